"""A peer that speaks the upper layer byte by byte, so that it can say what no decent peer says."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
VERIFICATION = "1.2.840.10008.1.1"
RQ, AC, RJ, DATA, ABORT = 1, 2, 3, 4, 7


def item(kind: int, body: bytes) -> bytes:
    """An item of an A-ASSOCIATE PDU."""
    return struct.pack(">BBH", kind, 0, len(body)) + body


def pdu(kind: int, body: bytes) -> bytes:
    """A PDU."""
    return struct.pack(">BBL", kind, 0, len(body)) + body


def associate_rq(
    calling: bytes = b"PACS",
    called: bytes = b"HAYAT",
    contexts: Sequence[tuple[int, str, Sequence[str]]] = ((1, CT, (EXPLICIT,)), (3, VERIFICATION, (IMPLICIT,))),
) -> bytes:
    """An A-ASSOCIATE-RQ."""
    body = struct.pack(">HH", 1, 0) + called.ljust(16) + calling.ljust(16) + b"\0" * 32
    body += item(0x10, b"1.2.840.10008.3.1.1.1")
    for number, abstract, syntaxes in contexts:
        inner = item(0x30, abstract.encode()) + b"".join(item(0x40, one.encode()) for one in syntaxes)
        body += item(0x20, struct.pack(">BBBB", number, 0, 0, 0) + inner)
    return pdu(RQ, body + item(0x50, item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3.4")))


def associate_ac(request: bytes, syntax: str = EXPLICIT) -> bytes:
    """The A-ASSOCIATE-AC to the body of a request: each context that is asked for is accepted, in this syntax."""
    body, at = request[:68] + item(0x10, b"1.2.840.10008.3.1.1.1"), 68
    while at < len(request):
        kind, length = struct.unpack_from(">BxH", request, at)
        if kind == 0x20:
            body += item(0x21, struct.pack(">BBBB", request[at + 4], 0, 0, 0) + item(0x40, syntax.encode()))
        at += 4 + length
    return pdu(AC, body + item(0x50, item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3.4")))


def element(group: int, number: int, value: bytes) -> bytes:
    """An element in implicit VR little endian."""
    return struct.pack("<HHL", group, number, len(value)) + value


def uid(text: str) -> bytes:
    """The bytes of a UID."""
    return text.encode("latin-1") + b"\0" * (len(text) % 2)


def command(field: int, sop_class: str, instance: str | None = None, *, data_set: bool = False) -> bytes:
    """A command set."""
    body = element(0, 2, uid(sop_class)) + element(0, 0x100, struct.pack("<H", field))
    body += element(0, 0x110, b"\x07\0")
    if field == 1:
        body += element(0, 0x700, b"\0\0")
    body += element(0, 0x800, b"\1\0" if data_set else b"\1\1")
    if instance is not None:
        body += element(0, 0x1000, uid(instance))
    return element(0, 0, struct.pack("<L", len(body))) + body


def value(context: int, control: int, data: bytes) -> bytes:
    """A presentation data value."""
    return struct.pack(">LBB", len(data) + 2, context, control) + data


def store(sop_class: str, instance: str, data_set: bytes, context: int = 1, size: int = 16_000) -> bytes:
    """All PDUs of a C-STORE."""
    parts = [pdu(DATA, value(context, 3, command(1, sop_class, instance, data_set=True)))]
    chunks = [data_set[at : at + size] for at in range(0, len(data_set), size)] or [b""]
    for number, chunk in enumerate(chunks):
        parts.append(pdu(DATA, value(context, 2 if number == len(chunks) - 1 else 0, chunk)))
    return b"".join(parts)


class Raw:
    """The connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def send(self, data: bytes) -> None:
        """Send; a door that has closed already is no error."""
        try:
            self.connection.sendall(data)
        except OSError:
            return

    def receive(self) -> tuple[int, bytes]:
        """The next PDU: type and body; (0, b"") where the door closed."""
        header = self._exactly(6)
        if len(header) < 6:
            return 0, b""
        kind, length = struct.unpack(">BxL", header)
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        received = b""
        try:
            while len(received) < count and (more := self.connection.recv(count - len(received))):
                received += more
        except ConnectionResetError:
            return b""
        return received

    def status(self) -> int | None:
        """The status of the next response; None where the association ends instead."""
        kind, body = self.receive()
        if kind != DATA:
            return None
        at = body.index(struct.pack("<HHL", 0, 0x0900, 2))
        return int(struct.unpack_from("<H", body, at + 8)[0])


@contextmanager
def connected(port: int, seconds: float = 20, source: str = "127.0.0.1") -> Iterator[Raw]:
    """A connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds, source_address=(source, 0)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Raw(connection)


@contextmanager
def associated(port: int, request: bytes | None = None) -> Iterator[Raw]:
    """An association."""
    with connected(port) as raw:
        raw.send(request or associate_rq())
        assert raw.receive()[0] == AC
        yield raw
