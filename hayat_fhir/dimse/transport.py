"""pynetdicom's socket, made fit for an open port, by subclassing (no fork; the version is pinned).

What stock pynetdicom 3.0.4 lacks: a deadline for a whole PDU (a peer that dribbles a byte now and then holds a slot
for ever), a deadline for sending, and ``poll`` instead of ``select`` (which ends at 1,024 descriptors).
"""

from __future__ import annotations

import select
import socket
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
            self.socket.settimeout(left)
            count = self.socket.recv_into(view[received:])
            if count == 0:
                return False
            received += count
        return True

    def send(self, bytestream: bytes) -> None:
        """Send all of it, within a deadline; a failure ends the association (Evt17)."""
        try:
            self.socket.settimeout(_SEND_SECONDS)
            self.socket.sendall(bytestream)
        except (OSError, AttributeError):
            self.event_queue.put("Evt17")

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
