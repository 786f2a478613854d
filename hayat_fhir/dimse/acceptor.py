"""Accepts connections, within bounds: nobody who holds a connection without speaking keeps others out.

A connection first waits (for its TLS handshake, its first byte, its A-ASSOCIATE-RQ); of those that wait there are so
many at most for each address and altogether, and the oldest must go when one more comes. An association is a
connection of a known peer; of those there are so many at most, and one more is told so (PS3.8 9.3.4).
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hayat_fhir.dimse.tls import UNTRUSTED, ServerTls, shake_hands

Serve = Callable[[socket.socket, tuple[Any, ...]], None]
Untrusted = Callable[[str], None]
_TICK_MS = 250
_FIRST_BYTE_SECONDS = 10.0
_YIELD_SECONDS, _MOST_YIELD_SECONDS = 0.004, 0.016


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections there may be, and how long a peer may take.

    ``pdu_seconds``: for a whole PDU, and between the PDUs of one message; ``idle_seconds``: between messages;
    ``per_minute``: connections of one address, which may have an association for each image.
    """

    associations: int = 64
    waiting: int = 256
    per_address: int = 64
    per_minute: int = 6000
    pdu_seconds: float = 10.0
    idle_seconds: float = 60.0


class Occupancy:
    """Who waits and who is associated."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._waiting: OrderedDict[socket.socket, str] = OrderedDict()
        self._associated: dict[Any, str] = {}
        self._arrived: Counter[str] = Counter()
        self._minute = 0

    @property
    def associations(self) -> list[Any]:
        """The associations that are served now."""
        with self._lock:
            return list(self._associated)

    @property
    def held(self) -> int:
        """How many connections there are, be they associations yet or not."""
        with self._lock:
            return len(self._waiting) + len(self._associated)

    def arrives(self, connection: socket.socket, address: str) -> bool:
        """A connection comes and waits; False where its address has too many already, or comes too often."""
        with self._lock:
            if not self._is_patient(address):
                return False
            held = [*self._waiting.values(), *self._associated.values()].count(address)
            if held >= self._limits.per_address:
                return False
            if len(self._waiting) >= self._limits.waiting:
                _shut(self._waiting.popitem(last=False)[0])
            self._waiting[connection] = address
            return True

    def _is_patient(self, address: str) -> bool:
        """Whether an address has not come more often within this minute than it may."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute = minute
            self._arrived.clear()
        self._arrived[address] += 1
        return self._arrived[address] <= self._limits.per_minute

    def becomes(self, plain: socket.socket, connection: socket.socket) -> None:
        """A connection that waits goes on as another object."""
        with self._lock:
            self._waiting[connection] = self._waiting.pop(plain, "")

    def enters(self, association: Any, address: str) -> bool:  # noqa: ANN401 - whatever stands for an association
        """Its peer is known; False where there are too many associations."""
        with self._lock:
            self._waiting.pop(association.connection, None)
            if len(self._associated) >= self._limits.associations:
                return False
            self._associated[association] = address
            return True

    def leaves(self, connection: socket.socket, association: Any = None) -> None:  # noqa: ANN401 - as above
        """A connection is over."""
        with self._lock:
            self._waiting.pop(connection, None)
            self._associated.pop(association, None)

    def shut_waiting(self) -> None:
        """Close what only waits."""
        with self._lock:
            for connection in self._waiting:
                _shut(connection)


class Acceptor:
    """Takes connections from a listening socket, each into a thread of its own, which calls ``serve``.

    ``untrusted`` hears of the address of a client without a certificate that counts.
    """

    def __init__(
        self,
        listening: socket.socket,
        occupancy: Occupancy,
        serve: Serve,
        tls: ServerTls | None,
        untrusted: Untrusted,
    ) -> None:
        self._listening = listening
        self._occupancy = occupancy
        self._serve = serve
        self._tls = tls
        self._untrusted = untrusted
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="accept", daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._listening.setblocking(False)
        self._thread.start()

    def stop(self) -> None:
        """Accept no more; the socket stays as it is, for other processes may listen on it."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._listening, select.POLLIN)
        while not self._stopping.is_set():
            if poll.poll(_TICK_MS):
                self._accept()

    def _accept(self) -> None:
        # Where several processes listen on one socket, the busier one lets the others go first.
        time.sleep(min(_YIELD_SECONDS * self._occupancy.held, _MOST_YIELD_SECONDS))
        try:
            connection, address = self._listening.accept()
        except (OSError, MemoryError):
            return
        if not self._occupancy.arrives(connection, str(address[0])):
            connection.close()
            return
        try:
            threading.Thread(target=self._take, args=(connection, address), name="association", daemon=True).start()
        except (RuntimeError, MemoryError):
            self._occupancy.leaves(connection)
            connection.close()

    def _take(self, connection: socket.socket, address: tuple[Any, ...]) -> None:
        try:
            connection.settimeout(_FIRST_BYTE_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                plain = connection
                connection = self._tls.context().wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
                self._occupancy.becomes(plain, connection)
                shake_hands(connection, _FIRST_BYTE_SECONDS)
            elif not connection.recv(1, socket.MSG_PEEK):
                return
            self._serve(connection, address)
        except ssl.SSLError as error:
            if error.reason in UNTRUSTED:
                self._untrusted(str(address[0]))
        except OSError:
            return
        finally:
            self._occupancy.leaves(connection)
            connection.close()


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
