"""Connections that this site has opened, as pynetdicom's sockets: bounded in what they take, and safe for threads.

Of an association that this site asks for, pynetdicom's thread reads what comes, while the thread that sends images
writes past it. An object of OpenSSL must not be used by two threads at once, stock pynetdicom 3.0.4 reads as many bytes
as a partner announces, and waits for ever for one that neither reads nor closes.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from typing import Any

from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from hayat_fhir.dimse.upper_layer import MAXIMUM_PDU

_LONGEST = MAXIMUM_PDU + 6
_CHUNK = 1 << 16
_SLICE = 500
"""Milliseconds between two looks at the clock."""


class OpenConnection(AssociationSocket):  # type: ignore[misc]
    """A connection that is open before the association is asked for.

    Within ``pdu_seconds`` all bytes of a PDU must come, or be taken by the partner; else it is closed.
    """

    def __init__(
        self,
        association: Any,  # noqa: ANN401 - pynetdicom's Association
        connection: socket.socket,
        pdu_seconds: float,
    ) -> None:
        super().__init__(association, client_socket=connection)
        self.event_queue.get_nowait()  # that a connection has come in (Evt5), which it has not
        self._ready.clear()
        self._is_connected = False
        connection.setblocking(False)
        self._reading = select.poll()
        self._reading.register(connection, select.POLLIN)
        self._writing = select.poll()
        self._writing.register(connection, select.POLLOUT)
        self._connection = connection
        self._pdu_seconds = pdu_seconds
        self._lock, self._sending = threading.Lock(), threading.Lock()
        self._taken = bytearray()
        self._is_over = False

    def connect(self, primitive: T_CONNECT) -> None:
        """Confirm the connection (Evt2)."""
        self.assoc.requestor.address_info = AddressInformation.from_tuple(self._connection.getsockname())
        self._is_connected = True
        primitive.result = "Evt2"
        self.provider_queue.put(primitive)
        self._ready.set()

    @property
    def ready(self) -> bool:
        """Whether there is something to read, or the peer is gone."""
        if self.socket is None or not self._is_connected:
            return False
        if not self._taken:
            self._take()
        return bool(self._taken) or self._is_over

    def recv(self, nr_bytes: int) -> bytearray:
        """So many bytes, or fewer where the peer is gone.

        Raises:
            OSError: These are more than may be, or do not come in time.
        """
        if nr_bytes > _LONGEST:
            self._shutdown_socket()
            raise OSError("the PDU is too long")
        deadline = time.monotonic() + self._pdu_seconds
        while len(self._taken) < nr_bytes and not self._is_over:
            if self._take() or self._is_over:
                continue
            if time.monotonic() > deadline:
                self._shutdown_socket()
                raise TimeoutError("PDU not received in time")
            self._reading.poll(_SLICE)
        taken = self._taken[:nr_bytes]
        del self._taken[:nr_bytes]
        return taken

    def send(self, bytestream: bytes) -> None:
        """Send all of it, within a deadline; a failure ends the association (Evt17)."""
        left = memoryview(bytestream)
        deadline = time.monotonic() + self._pdu_seconds
        try:
            with self._sending:
                while left:
                    sent = self._give(left)
                    left = left[sent:]
                    if time.monotonic() > deadline:
                        raise TimeoutError("PDU not sent in time")
                    if not sent:
                        self._writing.poll(_SLICE)
        except OSError:
            self._shutdown_socket()
            self.event_queue.put("Evt17")

    def _shutdown_socket(self) -> None:
        """Close the connection; not while another thread sends, who would go on in clear without OpenSSL's object."""
        with self._lock:
            super()._shutdown_socket()

    def _take(self) -> int:
        """Take what has come, without waiting; how many bytes that were."""
        try:
            with self._lock:
                data = self._connection.recv(_CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except OSError:
            data = b""
        self._taken += data
        self._is_over = not data
        return len(data)

    def _give(self, data: memoryview) -> int:
        """How many of these bytes go now."""
        try:
            with self._lock:
                return self._connection.send(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
