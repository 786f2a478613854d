"""An object's file (PS3.10) read as far as is needed: its header, and where its pixels lie.

Runs where a stranger's bytes may do harm to nothing but the process itself.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame, parse_basic_offsets
from pydicom.uid import UID

from hayat_fhir.dicom.character_sets import LATIN_1, declare
from hayat_fhir.errors import InvalidRequest, NotAcceptable, NotFound

_PIXELS = {0x7FE00008: "OF", 0x7FE00009: "OD", 0x7FE00010: "OW"}
"""Float, Double Float and Pixel Data, and their VR where none is written (PS3.5 A.1)."""
_WRITTEN = frozenset({"OB", "OD", "OF", "OW", "UN"})
_DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_HEAD, IMPLICIT_HEAD = 12, 8
"""Bytes before the value of the pixel data element."""
IMPLICIT = "1.2.840.10008.1.2"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"


@dataclass(frozen=True, slots=True)
class ObjectFile:
    """A header, and the place of the pixel data element in its file; None where it has none.

    ``pixel_tag`` and ``pixel_vr``: which of the elements for pixels it is, and its VR.
    """

    path: str
    header: FileDataset
    pixels: int | None
    pixel_tag: int = 0x7FE00010
    pixel_vr: str = "OW"

    @property
    def transfer_syntax(self) -> str:
        """In which the data set is encoded."""
        return str(self.header.file_meta.TransferSyntaxUID)

    @property
    def frames(self) -> int:
        """How many frames there are; none without pixels."""
        if self.pixels is None:
            return 0
        return max(int(self.header.get("NumberOfFrames") or 1), 1)

    @property
    def compressed(self) -> bool:
        """Whether the pixels are encapsulated."""
        return UID(self.transfer_syntax).is_encapsulated


def opened(path: str, character_set: str = LATIN_1) -> ObjectFile:
    """Read the header of a file. ``character_set``: what text is taken to be in that declares none and is not UTF-8.

    Raises:
        InvalidRequest: It cannot be read.
    """
    with open(path, "rb") as file, warnings.catch_warnings():  # noqa: PTH123 - also a str of another process
        warnings.simplefilter("ignore")
        try:
            header = dcmread(file, stop_before_pixels=True)
            declare(header, character_set)
            header.decode()
            place = file.tell()
            pixels = _pixel_element(file, place, str(header.file_meta.TransferSyntaxUID))
        except Exception as error:  # pydicom raises whatever a stranger's bytes make it
            raise InvalidRequest("the object cannot be read", code="structure") from error
    return ObjectFile(path, header, None) if pixels is None else ObjectFile(path, header, place, *pixels)


def stored_frames(one: ObjectFile, numbers: Sequence[int]) -> list[bytes]:
    """These frames, counted from 1, as they are stored: read from their places, without the rest of the file.

    Raises:
        NotFound: There is no such frame.
        NotAcceptable: Stored frames cannot be told apart, or are no little endian bytes.
    """
    _check(one, numbers)
    if not is_little_endian(one.transfer_syntax):
        raise NotAcceptable("these pixels are not stored as little endian bytes")
    if one.pixels is None:
        raise NotFound("the object has no pixels")
    with open(one.path, "rb") as file:  # noqa: PTH123
        if one.compressed:
            return [_encapsulated(one, file, number) for number in numbers]
        head = IMPLICIT_HEAD if one.transfer_syntax == IMPLICIT else EXPLICIT_HEAD
        length = frame_length(one.header)
        found = []
        for number in numbers:
            file.seek(one.pixels + head + (number - 1) * length)
            found.append(file.read(length))
    if any(len(frame) != length for frame in found):
        raise NotFound("the pixel data end before this frame")
    return found


def is_little_endian(transfer_syntax: str) -> bool:
    """Whether pixels stand in the file as little endian bytes."""
    return transfer_syntax not in {_DEFLATED, _BIG_ENDIAN}


def frame_length(header: FileDataset) -> int:
    """Bytes of a native frame.

    Raises:
        NotAcceptable: Frames do not begin at whole bytes, or the description of the pixels is not complete.
    """
    try:
        samples = int(header.Rows) * int(header.Columns) * int(header.get("SamplesPerPixel") or 1)
        bits = samples * int(header.BitsAllocated)
    except (AttributeError, TypeError, ValueError) as error:
        raise NotAcceptable("the description of the pixels is not complete") from error
    if header.get("PhotometricInterpretation") == "YBR_FULL_422":
        bits = bits // 3 * 2
    if bits % 8 or bits <= 0:
        raise NotAcceptable("frames do not begin at whole bytes")
    return bits // 8


def _encapsulated(one: ObjectFile, file: BinaryIO, number: int) -> bytes:
    first = (one.pixels or 0) + EXPLICIT_HEAD
    table, lengths = one.header.get("ExtendedOffsetTable"), one.header.get("ExtendedOffsetTableLengths")
    try:
        file.seek(first)
        offsets = parse_basic_offsets(file)
        start = file.tell()
        if len(offsets) >= number:
            end = start + offsets[number] if number < len(offsets) else None
            return _fragments(file, start + offsets[number - 1], end)
        file.seek(first)
        extended = (table, lengths) if table and lengths else None
        return get_frame(file, number - 1, extended_offsets=extended, number_of_frames=one.frames)
    except (ValueError, EOFError, IndexError, struct.error) as error:
        raise NotFound("there is no such frame in the pixel data") from error


def _fragments(file: BinaryIO, start: int, end: int | None) -> bytes:
    """The fragments from here up to another frame's, or to the end of the pixel data."""
    file.seek(start)
    found = []
    while end is None or file.tell() < end:
        head = file.read(8)
        if len(head) < 8 or head[:4] != b"\xfe\xff\x00\xe0":
            break
        found.append(file.read(int.from_bytes(head[4:], "little")))
    if not found:
        raise EOFError
    return b"".join(found)


def _check(one: ObjectFile, numbers: Sequence[int]) -> None:
    if not one.frames:
        raise NotFound("the object has no pixels")
    if any(number > one.frames for number in numbers):
        raise NotFound("there is no such frame")


def _pixel_element(file: BinaryIO, place: int, syntax: str) -> tuple[int, str] | None:
    """Tag and VR of the element that stands here, if it holds pixels."""
    if syntax == _DEFLATED:
        file.seek(0)
        inflated = dcmread(file, specific_tags=list(_PIXELS))
        return next(((tag, str(inflated.get_item(tag).VR)) for tag in _PIXELS if tag in inflated), None)
    order: Any = "big" if syntax == _BIG_ENDIAN else "little"
    file.seek(place)
    head = file.read(6)
    tag = int.from_bytes(head[:2], order) << 16 | int.from_bytes(head[2:4], order)
    if tag not in _PIXELS:
        return None
    written = head[4:].decode("latin-1")
    return tag, written if syntax != IMPLICIT and written in _WRITTEN else _PIXELS[tag]
