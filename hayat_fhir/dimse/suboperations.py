"""C-STORE sub-operations: images sent from disk, as they were received, over an association that takes them.

PS3.4 C.4.2, C.4.3, https://dicom.nema.org/medical/dicom/current/output/html/part04.html#sect_C.4.2
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pynetdicom.dimse_primitives import C_STORE

from hayat_fhir.dimse.commands import StoreRequest, store_command
from hayat_fhir.dimse.transcoding import TARGETS, Transcoder
from hayat_fhir.errors import Refusal, Unavailable, Unprocessable

SUCCESS = 0x0000
WARNINGS = frozenset({0xB000, 0xB006, 0xB007})
_LARGEST_FRAGMENT = 262_144
_OVERHEAD = 6
_P_DATA_TF = 0x04
_DATA, _LAST_DATA = 0x00, 0x02
_LAST_MESSAGE = 0xFFFF


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One image to send: the data set from ``offset`` of its file, for ``size`` bytes."""

    uid: str
    sop_class: str
    transfer_syntax: str
    path: Path
    offset: int
    size: int


@dataclass(slots=True)
class Tally:
    """What has become of the sub-operations of one retrieval."""

    remaining: int
    completed: int = 0
    failed: list[str] = field(default_factory=list)
    warned: int = 0

    def count(self, uid: str, status: int | None) -> None:
        """One is done; None: it could not be sent."""
        self.remaining -= 1
        if status == SUCCESS:
            self.completed += 1
        elif status in WARNINGS:
            self.warned += 1
        else:
            self.failed.append(uid)

    def fail(self, uids: Iterable[str]) -> None:
        """These could not be sent."""
        for uid in uids:
            self.count(uid, None)


class StoreUser:
    """Sends images over an established association, ours or a peer's that takes them on its own (C-GET).

    ``originator``: the AE title and message id of the C-MOVE that asked for it.
    """

    def __init__(self, association: Any, originator: tuple[str, int] | None = None) -> None:  # noqa: ANN401 - pynetdicom's
        self._association = association
        self._originator = originator
        self._message = 0
        self._transcoder = Transcoder()
        self._contexts = {
            (str(one.abstract_syntax), str(one.transfer_syntax[0])): int(one.context_id)
            for one in association.accepted_contexts
            if one.as_scu
        }
        peer = association.acceptor if association.is_requestor else association.requestor
        longest = int(peer.maximum_length or _LARGEST_FRAGMENT + _OVERHEAD)
        self._answer = association.dimse.get_msg
        if association.is_requestor:
            # The thread that pynetdicom runs for our association would now and then take an answer that is ours.
            association.dimse.get_msg = lambda block: (None, None)
        self._set(socket.TCP_NODELAY)
        self._fragment = max(min(longest - _OVERHEAD, _LARGEST_FRAGMENT), 2) & ~1

    def __enter__(self) -> StoreUser:
        return self

    def __exit__(self, *_: object) -> None:
        self._transcoder.close()

    def send(self, image: Outgoing) -> int:
        """Send one image; the status that the peer answers.

        Raises:
            Unprocessable: The peer takes no form of it.
            Unavailable: The association is over, or the peer does not answer.
        """
        context = self._contexts.get((image.sop_class, image.transfer_syntax))
        if context is not None:
            return self._send(image, context)
        for syntax in TARGETS:
            context = self._contexts.get((image.sop_class, syntax))
            if context is not None:
                path = self._transcoder.transcode(image.path, syntax)
                made = Outgoing(image.uid, image.sop_class, syntax, path, 0, path.stat().st_size)
                return self._send(made, context)
        raise Unprocessable("the peer takes no transfer syntax of this image")

    def _send(self, image: Outgoing, context: int) -> int:
        association = self._association
        if not association.is_established:
            raise Unavailable("the association is over")
        self._message = self._message % _LAST_MESSAGE + 1
        request = StoreRequest(self._message, image.sop_class, image.uid)
        try:
            self._stream(image, context, store_command(request, context, self._originator))
            self._set(socket.TCP_QUICKACK)
            _, answer = self._answer(block=True)
        except OSError as error:
            raise Unavailable("the image cannot be read or sent") from error
        if not isinstance(answer, C_STORE) or answer.Status is None:
            if association.is_established:
                association.abort()
            raise Unavailable("the peer did not answer")
        return int(answer.Status)

    def _set(self, option: int) -> None:
        """Have neither side wait: peers answer in two small segments, the second only when we have acknowledged."""
        connection = self._association.dul.socket.socket
        if connection is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, 1)

    def _stream(self, image: Outgoing, context: int, command: bytes) -> None:
        """The command, and the data set in P-DATA-TF PDUs (PS3.8 9.3.5), straight from disk."""
        left, before = image.size, command
        with image.path.open("rb") as file:
            file.seek(image.offset)
            while True:
                data = file.read(min(left, self._fragment))
                left -= len(data)
                if left and not data:
                    raise OSError("the file is shorter than its row says")
                control = _DATA if left else _LAST_DATA
                header = struct.pack(">BBLLBB", _P_DATA_TF, 0, len(data) + 6, len(data) + 2, context, control)
                self._association.dul.socket.send(before + header + data)
                before = b""
                if not left or not self._association.is_established:
                    return


def sent(user: StoreUser, image: Outgoing) -> int | None:
    """Send one image; its status, None where it could not be sent."""
    try:
        return user.send(image)
    except Refusal:
        return None
