"""pynetdicom's transport, made fit for an open port, by subclassing (no fork; the version is pinned).

What stock pynetdicom 3.0.4 lacks: a cap on the length of a PDU, a deadline for a whole PDU (a peer that dribbles a
byte now and then holds a slot for ever), ``poll`` instead of ``select`` (which ends at 1,024 descriptors), a look
at who is calling from where, and a cap on connections per address.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from pynetdicom import evt
from pynetdicom.acse import ACSE
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

MAXIMUM_PDU = 262_144
_NEGOTIATION_PDU = 131_072
_SLACK = 6 * 64
_HEADER = 6
_DEADLINE = 10.0
_ACCEPT_TIMEOUT = 10.0
_PER_ADDRESS = 64
_CALLING_UNKNOWN = (0x01, 0x01, 0x03)
_CALLED_UNKNOWN = (0x01, 0x01, 0x07)

Admits = Callable[[Association, str, str], bool]
"""Whether an association may be made with a calling AE title from an address."""


class BoundedSocket(AssociationSocket):  # type: ignore[misc]
    """Reads at most a PDU of the negotiated size, and that within a deadline."""

    @property
    def ready(self) -> bool:
        """Whether there is something to read."""
        if self.socket is None or not self._is_connected:
            return False
        poll = select.poll()
        try:
            poll.register(self.socket, select.POLLIN | select.POLLHUP | select.POLLERR)
            found = bool(poll.poll(0))
        except (OSError, ValueError):
            self.event_queue.put("Evt17")
            return False
        pending = getattr(self.socket, "pending", None)
        return found or bool(pending and pending())

    def recv(self, nr_bytes: int) -> bytearray:
        """Exactly ``nr_bytes``, or fewer where the peer closed.

        Raises:
            OSError: Longer than a PDU may be, or not there within the deadline; the association ends.
        """
        limit = MAXIMUM_PDU + _SLACK if self.assoc.is_established else _NEGOTIATION_PDU
        if nr_bytes > limit:
            raise OSError("PDU longer than was negotiated")
        buffer = bytearray(nr_bytes)
        view, received = memoryview(buffer), 0
        deadline = time.monotonic() + _DEADLINE
        while received < nr_bytes:
            left = deadline - time.monotonic()
            if left <= 0:
                raise OSError("PDU not received in time")
            self.socket.settimeout(left)
            count = self.socket.recv_into(view[received:])
            if count == 0:
                return buffer[:received]
            received += count
        self.socket.settimeout(None)
        return buffer


class GuardedACSE(ACSE):  # type: ignore[misc]
    """Negotiates with known peers only."""

    admits: Admits
    address: str

    def _negotiate_as_acceptor(self) -> None:
        request = self.requestor.primitive
        calling, called = str(request.calling_ae_title).strip(), str(request.called_ae_title).strip()
        reason = None
        if called != str(self.acceptor.ae_title).strip():
            reason = _CALLED_UNKNOWN
        elif not self.admits(self.assoc, calling, self.address):
            reason = _CALLING_UNKNOWN
        if reason is None:
            super()._negotiate_as_acceptor()
            return
        self.send_reject(*reason)
        evt.trigger(self.assoc, evt.EVT_REJECTED, {})
        self.assoc.kill()


class DoorServer(ThreadedAssociationServer):  # type: ignore[misc]
    """Accepts connections: a backlog, a time limit, and a cap per address."""

    request_queue_size = 128
    daemon_threads = True
    _silent: Counter[str]
    _counting: threading.Lock

    def server_bind(self) -> None:
        """Bind, and begin to count the connections that have not said anything yet."""
        self._silent, self._counting = Counter(), threading.Lock()
        super().server_bind()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept one connection."""
        connection, address = self.socket.accept()
        connection.settimeout(_ACCEPT_TIMEOUT)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401 - socketserver's signature
        """Refuse an address that has too many connections open."""
        del request
        address = client_address[0]
        associated = sum(
            isinstance(thread, Association) and getattr(thread, "peer_address", None) == address
            for thread in threading.enumerate()
        )
        with self._counting:
            return bool(associated + self._silent[address] < _PER_ADDRESS)

    def speaks(self, connection: socket.socket, address: str) -> bool:
        """Whether the peer sends anything in time: a probe that only connects must not take an association."""
        with self._counting:
            self._silent[address] += 1
        try:
            return bool(connection.recv(1, socket.MSG_PEEK))
        except OSError:
            return False
        finally:
            with self._counting:
                self._silent[address] -= 1


def handler(admits: Admits) -> type[RequestHandler]:
    """A request handler whose associations are guarded by ``admits``."""

    class DoorHandler(RequestHandler):  # type: ignore[misc]
        def handle(self) -> None:
            if self.server.speaks(self.request, self.client_address[0]):
                super().handle()
            else:
                self.server.shutdown_request(self.request)

        def _create_association(self) -> Association:
            association = super()._create_association()
            association.peer_address = self.client_address[0]
            association.dul.socket.__class__ = BoundedSocket
            association.acse.__class__ = GuardedACSE
            association.acse.admits = admits
            association.acse.address = self.client_address[0]
            return association

    return DoorHandler
