"""Where each frame of an object lies in its file, so that a frame is read without the object.

PS3.5 A.4, https://dicom.nema.org/medical/dicom/current/output/html/part05.html#sect_A.4
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

from hayat_fhir.dicom.object_file import (
    EXPLICIT_HEAD,
    IMPLICIT,
    IMPLICIT_HEAD,
    ObjectFile,
    frame_length,
    is_little_endian,
)
from hayat_fhir.errors import NotAcceptable

_ITEM, _DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_MOST_FRAGMENTS = 100_000


def layout(one: ObjectFile) -> dict[str, Any] | None:
    """Native frames as ``start``, ``length`` and ``count``, others as ``fragments``: [offset, bytes, ..] of each.

    None where the frames do not lie in the file as they are to be served, or cannot be told apart.
    """
    if one.pixels is None or not is_little_endian(one.transfer_syntax):
        return None
    with open(one.path, "rb") as file:  # noqa: PTH123 - also a str of another process
        if one.compressed:
            frames = _encapsulated(file, one.pixels + EXPLICIT_HEAD, one.frames)
            return None if frames is None else {"fragments": frames}
        try:
            length = frame_length(one.header)
        except NotAcceptable:
            return None
        start = one.pixels + (IMPLICIT_HEAD if one.transfer_syntax == IMPLICIT else EXPLICIT_HEAD)
        there = file.seek(0, 2) - start
    return {"start": start, "length": length, "count": min(one.frames, there // length)}


def _encapsulated(file: BinaryIO, start: int, count: int) -> list[list[int]] | None:
    end = file.seek(0, 2)
    file.seek(start)
    items: list[tuple[int, int]] = []
    while len(items) <= _MOST_FRAGMENTS:
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] == _DELIMITER or (not head and items):
            break
        at = file.tell()
        if head[:4] != _ITEM or at + length > end:
            return None
        items.append((at, length))
        file.seek(at + length)
    else:
        return None
    if len(items) < 2:
        return None
    table, *fragments = items
    if count == 1:
        return [[number for one in fragments for number in one]]
    if len(fragments) == count:
        return [list(one) for one in fragments]
    return _by_offsets(file, table, fragments, count)


def _by_offsets(
    file: BinaryIO, table: tuple[int, int], fragments: list[tuple[int, int]], count: int
) -> list[list[int]] | None:
    """The fragments of each frame as the basic offset table tells them apart."""
    if table[1] != 4 * count:
        return None
    file.seek(table[0])
    first = fragments[0][0]
    begins = {first + offset for offset in struct.unpack(f"<{count}L", file.read(table[1]))}
    frames: list[list[int]] = []
    for at, length in fragments:
        if at in begins:
            frames.append([])
        if not frames:
            return None
        frames[-1] += [at, length]
    return frames if len(frames) == count else None
