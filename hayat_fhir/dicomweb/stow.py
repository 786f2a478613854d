"""STOW-RS: images stored over HTTP, each with an answer of its own.

PS3.18 10.5, https://dicom.nema.org/medical/dicom/current/output/html/part18.html#sect_10.5
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from types import MappingProxyType
from typing import Any

from pydicom import dcmread
from starlette.requests import Request
from starlette.responses import Response

from hayat_fhir.dicom.header import is_uid
from hayat_fhir.dicomweb import media_types
from hayat_fhir.dicomweb.callers import Callers
from hayat_fhir.dicomweb.media_types import DICOM, MULTIPART
from hayat_fhir.dicomweb.multipart import Piece, Reader, boundary_of
from hayat_fhir.errors import Category, InvalidRequest, Refusal, UnsupportedMedia
from hayat_fhir.fhir.json import serialize
from hayat_fhir.security.callers import Caller
from hayat_fhir.services.ingest import Arrival, Taken
from hayat_fhir.services.storing import Storing
from hayat_fhir.store.partners import Partner

_CHUNK = 256 * 1024
_PREAMBLE = 132
_GROUP = 12
_LONGEST_META = 64 * 1024
_MOST = 10_000
_FAILURES: Mapping[Category, int] = MappingProxyType(
    {
        Category.UNAVAILABLE: 0xA700,
        Category.TOO_LARGE: 0xA700,
        Category.UNPROCESSABLE: 0xA900,
        Category.INVALID: 0xC000,
        Category.MEDIA: 0xC000,
    }
)
_CONFLICT, _FAILED = 0xA900, 0x0110
_RETRIEVE_URL = "00081190"
_STRANGE = "a part is not application/dicom"


@dataclass(slots=True)
class _Object:
    """One object on its way in: the head of its file, until the data set begins; then its arrival."""

    head: bytearray = field(default_factory=bytearray)
    arrival: Arrival | None = None
    sop_class: str = ""
    uid: str = ""
    refusal: Refusal | None = None


@dataclass(slots=True)
class _Tally:
    """What has become of the objects so far, as the sequences of the answer."""

    stored: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    studies: set[str] = field(default_factory=set)
    """The URLs of the studies of which any is stored."""
    strange: int = 0
    """How many failed for not even saying that they are objects."""

    @property
    def status(self) -> int:
        """200 where all are stored, 202 where some are, 409 where none is."""
        return 200 if not self.failed else 202 if self.stored else 409

    def add(self, one: _Object, study: str, path: str) -> None:
        """An object is stored; its study and, below that, itself are to be had at these places."""
        self.studies.add(study)
        self.stored.append({**_reference(one), _RETRIEVE_URL: {"vr": "UR", "Value": [study + path]}})

    def fail(self, one: _Object, reason: int) -> None:
        """An object is not stored."""
        self.failed.append({**_reference(one), "00081197": {"vr": "US", "Value": [reason]}})

    def refuse(self, one: _Object, refusal: Refusal) -> None:
        """An object is not stored, for what was found to be wrong."""
        self.strange += refusal.category is Category.MEDIA
        self.fail(one, _FAILURES.get(refusal.category, _FAILED))

    def answer(self) -> dict[str, Any]:
        """The Store Instances Response Module (PS3.18 table I.1-1)."""
        studies = {"vr": "UR", "Value": [*self.studies]} if len(self.studies) == 1 else {"vr": "UR"}
        found = {"00081199": {"vr": "SQ", "Value": self.stored}, "00081198": {"vr": "SQ", "Value": self.failed}}
        return {_RETRIEVE_URL: studies, **{tag: sequence for tag, sequence in found.items() if sequence["Value"]}}


class Stow:
    """Stores. ``root`` is the door's URL."""

    def __init__(self, callers: Callers, storing: Storing, root: str) -> None:
        self._callers = callers
        self._storing = storing
        self._root = root

    async def store(self, request: Request) -> Response:
        """POST /studies and /studies/{study}: multipart/related of objects, or one object."""
        caller = await self._callers.of(request)
        media = media_types.json(media_types.accepted(request.query_params, request.headers))
        study = request.path_params.get("study")
        if study is not None and not is_uid(study):
            raise InvalidRequest("a UID is malformed", code="value", expression=["StudyInstanceUID"])
        tally = await self._stored(caller, _pieces(request), study)
        if not tally.stored and tally.strange == len(tally.failed):
            raise UnsupportedMedia(_STRANGE) if tally.failed else InvalidRequest("no object came", code="structure")
        return Response(serialize(tally.answer()), tally.status, media_type=media)

    async def _stored(self, caller: Caller, pieces: AsyncIterator[Piece], study: str | None) -> _Tally:
        """Store one object after the other.

        Raises:
            Refusal: The caller may not, or the body is malformed and nothing of it was stored.
        """
        sender = await self._storing.sender(caller)
        tally, one = _Tally(), _Object()
        try:
            async for piece in pieces:
                if piece.head is not None:
                    one.refusal = _refusal(piece.head)
                await self._write(one, piece.content, sender)
                if piece.last:
                    await self._take(caller, one, study, tally)
                    await _discard(one)
                    one = _Object()
        except Refusal as refusal:
            # what is stored is not taken back, and the client has to learn of it
            if not tally.stored:
                raise
            tally.refuse(one, refusal)
        finally:
            await _discard(one)
        return tally

    async def _write(self, one: _Object, data: bytes, sender: Partner) -> None:
        """The next bytes of a file; what is refused is read to its end, for the sake of the others."""
        if one.refusal is not None:
            return
        try:
            if one.arrival is not None:
                await self._storing.write(one.arrival, data)
                return
            one.head += data
            begin = _data_set_begins(one.head)
            if begin is not None:
                syntax, one.sop_class, one.uid = _meta(bytes(one.head[:begin]))
                one.arrival = await self._storing.begin(syntax, one.sop_class, one.uid, sender)
                await self._storing.write(one.arrival, bytes(one.head[begin:]))
        except Refusal as refusal:
            one.refusal = refusal

    async def _take(self, caller: Caller, one: _Object, study: str | None, tally: _Tally) -> None:
        if len(tally.stored) + len(tally.failed) >= _MOST:
            raise InvalidRequest("too many objects in one request", code="too-costly")
        try:
            if one.refusal is not None:
                raise one.refusal
            if one.arrival is None:
                raise InvalidRequest("the file ends before its data set", code="structure")
            taken = await self._storing.take(caller, one.arrival, study)
        except Refusal as refusal:
            tally.refuse(one, refusal)
            return
        if taken is Taken.QUARANTINED:
            tally.fail(one, _CONFLICT)
        else:
            arrival = one.arrival
            path = f"/series/{arrival.series}/instances/{arrival.uid}"
            tally.add(one, f"{self._root}/studies/{arrival.study}", path)


def _refusal(head: Mapping[str, str]) -> Refusal | None:
    """What is wrong with a part, as its head has it."""
    kind = head.get("content-type", DICOM).partition(";")[0].strip().lower()
    return None if kind == DICOM else UnsupportedMedia(_STRANGE)


def _reference(one: _Object) -> dict[str, Any]:
    """Class and instance of an object, as far as they are known."""
    named = {"00081150": one.sop_class, "00081155": one.uid}
    return {tag: {"vr": "UI", "Value": [uid]} for tag, uid in named.items() if uid}


async def _discard(one: _Object) -> None:
    if one.arrival is not None:
        await asyncio.to_thread(one.arrival.discard)


def _pieces(request: Request) -> AsyncIterator[Piece]:
    """The pieces of the objects in the body.

    Raises:
        UnsupportedMedia: It is neither an object nor multipart/related of objects.
        InvalidRequest: The boundary is malformed.
    """
    media, parameters = media_types.described(request.headers.get("content-type", ""))
    if media == DICOM:
        return _alone(request)
    if media != MULTIPART or parameters.get("type", DICOM).lower() != DICOM:
        raise UnsupportedMedia("application/dicom, alone or in multipart/related, is stored here")
    return Reader(_chunks(request), boundary_of(parameters)).pieces()


async def _alone(request: Request) -> AsyncIterator[Piece]:
    head: dict[str, str] | None = {}
    async for chunk in _chunks(request):
        yield Piece(chunk, head)
        head = None
    if head is None:
        yield Piece(b"", None, last=True)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """The body in chunks that are worth a thread."""
    held = bytearray()
    async for chunk in request.stream():
        held += chunk
        if len(held) >= _CHUNK:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


def _data_set_begins(head: bytearray) -> int | None:
    """Where the data set begins; None while that is not yet known.

    Raises:
        InvalidRequest: This is no DICOM file.
    """
    if len(head) < _PREAMBLE + _GROUP:
        return None
    if head[128:132] != b"DICM" or head[132:140] != b"\x02\x00\x00\x00UL\x04\x00":
        raise InvalidRequest("not a DICOM file (PS3.10)", code="structure")
    length = int.from_bytes(head[140:144], "little")
    if length > _LONGEST_META:
        raise InvalidRequest("the file meta information is too long", code="structure")
    begin = _PREAMBLE + _GROUP + length
    return begin if len(head) >= begin else None


def _meta(head: bytes) -> tuple[str, str, str]:
    """Transfer syntax, SOP class and SOP instance of a file's meta information.

    Raises:
        InvalidRequest: It cannot be read, or one of them is missing or malformed.
    """
    try:
        meta = dcmread(BytesIO(head)).file_meta
        found = [
            str(meta.get(keyword, "")).rstrip("\0 ")
            for keyword in ("TransferSyntaxUID", "MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID")
        ]
    except Exception as error:  # pydicom raises whatever a stranger's bytes make it
        raise InvalidRequest("the file meta information cannot be read", code="structure") from error
    if not all(is_uid(uid) for uid in found):
        raise InvalidRequest("a UID of the file meta information is missing or malformed", code="value")
    return found[0], found[1], found[2]
