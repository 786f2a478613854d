"""pynetdicom's socket, made fit for an open port, by subclassing (no fork; the version is pinned).

What stock pynetdicom 3.0.4 lacks: a deadline for a whole PDU (a peer that dribbles a byte now and then holds a slot
for ever), a deadline for sending, and ``poll`` instead of ``select`` (which ends at 1,024 descriptors).
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
from contextlib import suppress
from typing import Any

from pynetdicom.transport import AssociationSocket

_SEND_SECONDS = 60.0
_FAREWELL_SECONDS = 1.0
_FAREWELL_BYTES = 1 << 20
_CHUNK = 1 << 16


class BoundedSocket(AssociationSocket):  # type: ignore[misc]
    """Reads whole PDUs, each within ``pdu_seconds``."""

    def __init__(
        self,
        association: Any,  # noqa: ANN401 - pynetdicom's Association
        connection: socket.socket,
        pdu_seconds: float,
    ) -> None:
        super().__init__(association, client_socket=connection)
        self._pdu_seconds = pdu_seconds
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._pending = getattr(connection, "pending", None)
        self._deadline = 0.0
        self._is_plain = not isinstance(connection, ssl.SSLSocket)
        self._allowed = 0.0

    def wait(self, seconds: float) -> bool:
        """Whether there is something to read, or the peer is gone, within this time."""
        if self.socket is None:
            return False
        if self._pending is not None and self._pending():
            return True
        return bool(self._poll.poll(seconds * 1000))

    def begin(self) -> None:
        """A PDU begins: all of it must be read within the deadline from now."""
        self._deadline = time.monotonic() + self._pdu_seconds

    def fill(self, view: memoryview) -> bool:
        """Fill ``view``; False where the peer closed before.

        Raises:
            OSError: The connection failed, or the deadline has passed.
        """
        received = 0
        while received < len(view):
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("PDU not received in time")
            count = (
                self._receive_whole(view[received:], left) if self._is_plain else self._receive(view[received:], left)
            )
            if count == 0:
                return False
            received += count
        return True

    def send(self, bytestream: bytes) -> None:
        """Send all of it, within a deadline; a failure ends the association (Evt17)."""
        try:
            sent = self._send_at_once(bytestream) if self._is_plain else 0
            if sent < len(bytestream):
                self.socket.settimeout(_SEND_SECONDS)
                self.socket.sendall(memoryview(bytestream)[sent:])
        except (OSError, AttributeError):
            self.event_queue.put("Evt17")

    def _receive(self, view: memoryview, seconds: float) -> int:
        self.socket.settimeout(seconds)
        return int(self.socket.recv_into(view))

    def _receive_whole(self, view: memoryview, seconds: float) -> int:
        """Wait in the kernel until all is there: one call, where a timeout of Python's takes three for each piece."""
        if not 0.9 * seconds <= self._allowed <= 1.1 * seconds:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds))
            self._allowed = seconds
        if self.socket.gettimeout() is not None:
            self.socket.settimeout(None)
        return int(self.socket.recv_into(view, 0, socket.MSG_WAITALL))

    def _send_at_once(self, bytestream: bytes) -> int:
        """Bytes that the kernel takes now."""
        try:
            return int(self.socket.send(bytestream, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return 0

    def take_leave(self) -> None:
        """Let the peer read our last PDU before the connection is closed: wait a moment for it to close first."""
        deadline, left = time.monotonic() + _FAREWELL_SECONDS, _FAREWELL_BYTES
        with suppress(OSError, ValueError, AttributeError):
            while left > 0 and (seconds := deadline - time.monotonic()) > 0 and self.wait(seconds):
                self.socket.settimeout(seconds)
                received = len(self.socket.recv(_CHUNK))
                if received == 0:
                    return
                left -= received


def _timeval(seconds: float) -> bytes:
    """A ``struct timeval`` (socket(7), SO_RCVTIMEO); zero would mean for ever."""
    return struct.pack("@qq", int(seconds), max(int(seconds % 1 * 1e6), 1))
