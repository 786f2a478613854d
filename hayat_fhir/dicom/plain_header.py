"""The header of an ordinary data set, read without detours: it is read for every image that comes in.

Ordinary means little endian, uncommon in nothing, plain ASCII. Whatever is not is left to pydicom: ``plain_elements``
says None at the first doubt. PS3.5 7 (encoding), PS3.18 annex F (the DICOM JSON model).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from mmap import mmap
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

Buffer = bytes | bytearray | memoryview | mmap
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"})
_SHORT = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS"}
    | {b"ST", b"TM", b"UI", b"UL", b"US"}
)
_IS_LONG = {**dict.fromkeys(_LONG, True), **dict.fromkeys(_SHORT, False)}
_TEXT = frozenset({"CS", "DA", "LO", "SH", "TM", "UI"})
_SEQUENCE = frozenset({b"SQ", b""})
"""VRs under which an undefined length is that of a sequence; implicit VR does not say."""
_DELIMITERS, _SEQUENCE_END = b"\xfe\xff", b"\xfe\xff\xdd\xe0"
_DEEPEST = 16
_UNDEFINED = 0xFFFFFFFF
_LONGEST = 1024
_MOST_ELEMENTS = 20_000
_PLAIN = re.compile(rb"[!-\[\]-~]([ -~]*[!-~])?")
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}")
_EXPLICIT = struct.Struct("<HH2sH")
_IMPLICIT = struct.Struct("<HHL")
_LONG_AT = struct.Struct("<L").unpack_from


def wanted(keywords: Iterable[str]) -> dict[int, tuple[str, str, bytes]]:
    """The tags of these keywords, each with its name in DICOM JSON and its VR, as text and as it is encoded."""
    tags = sorted(int(tag) for tag in map(tag_for_keyword, keywords) if tag is not None)
    return {tag: (f"{tag:08X}", dictionary_VR(tag), dictionary_VR(tag).encode()) for tag in tags}


def plain_elements(
    data: Buffer, start: int, *, is_implicit: bool, tags: Mapping[int, tuple[str, str, bytes]], is_whole: bool = True
) -> dict[str, dict[str, Any]] | None:
    """The DICOM JSON of these tags in the data set that begins at ``start``; None where that is not plain to see.

    ``tags`` is what ``wanted`` gave; ``is_whole`` says that the data set ends where ``data`` does.
    """
    found: dict[str, dict[str, Any]] = {}
    at, previous, last, size = start, -1, max(tags), len(data)
    explicit, implicit, kinds, long, asked = _EXPLICIT.unpack_from, _IMPLICIT.unpack_from, _IS_LONG, _LONG_AT, tags.get
    for _ in range(_MOST_ELEMENTS):
        if at + 12 > size:
            return found if is_whole and at == size else None
        if is_implicit:
            group, number, length = implicit(data, at)
            value, vr = at + 8, b""
        else:
            group, number, vr, length = explicit(data, at)
            value = at + 8
            is_long = kinds.get(vr)
            if is_long is None:
                return None
            if is_long:
                (length,) = long(data, value)
                value += 4
        tag = group << 16 | number
        if not previous < tag <= last:
            return found if tag > last else None
        expected, after = asked(tag), value + length
        if length == _UNDEFINED:
            end = _after_sequence(data, value, is_implicit=is_implicit) if vr in _SEQUENCE and not expected else None
            if end is None:
                return None
            after = end
        elif after > size:
            return None
        elif expected is not None:
            name, its_vr, encoded = expected
            element = _element(bytes(data[value:after]), its_vr) if length <= _LONGEST else None
            if element is None or (vr and vr != encoded):
                return None
            found[name] = element
        at, previous = after, tag
    return None


def _after_sequence(data: Buffer, at: int, *, is_implicit: bool) -> int | None:
    """Where a sequence of undefined length ends that begins at ``at``; None where that is not plain to see."""
    depth = 1
    for _ in range(_MOST_ELEMENTS):
        if at + (8 if data[at : at + 4] == _SEQUENCE_END else 12) > len(data):
            return None
        if data[at : at + 2] == _DELIMITERS:
            number, length = _IMPLICIT.unpack_from(data, at)[1:]
            at += 8
            if number == 0xE0DD:
                depth -= 1
                if depth == 0:
                    return at
            elif length != _UNDEFINED:
                at += length
            continue
        if is_implicit:
            length, at, vr = _IMPLICIT.unpack_from(data, at)[2], at + 8, b""
        else:
            vr, length = _EXPLICIT.unpack_from(data, at)[2:]
            if vr in _LONG:
                length, at = int.from_bytes(data[at + 8 : at + 12], "little"), at + 12
            elif vr in _SHORT:
                at += 8
            else:
                return None
        if length != _UNDEFINED:
            at += length
        elif vr in _SEQUENCE and depth < _DEEPEST:
            depth += 1
        else:
            return None
    return None


@lru_cache(maxsize=2048)
def _element(value: bytes, vr: str) -> dict[str, Any] | None:
    """One element in DICOM JSON, not to be changed: images of a series share most; None for what is not plain."""
    if vr == "US" and value:
        return {"vr": vr, "Value": [int.from_bytes(value, "little")]} if len(value) == 2 else None
    text = value.rstrip(b"\0") if vr == "UI" else value.rstrip(b" ")
    if not text:
        return {"vr": vr}
    values = text.split(b"\\")
    if not all(map(_PLAIN.fullmatch, values)):
        return None
    texts = [one.decode("ascii") for one in values]
    if vr in _TEXT:
        return {"vr": vr, "Value": texts}
    if vr == "IS" and all(map(_NUMBER.fullmatch, texts)):
        return {"vr": vr, "Value": [int(one) for one in texts]}
    if vr == "PN" and len(texts) == 1 and "=" not in texts[0]:
        return {"vr": vr, "Value": [{"Alphabetic": texts[0]}]}
    return None
