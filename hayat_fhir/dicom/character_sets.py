"""Text in an undeclared code page: what it is read as. Stored bytes are never changed by this.

PS3.3 C.12.1.1.2: without Specific Character Set (0008,0005) text is ISO_IR 6, ASCII. Devices write theirs all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

LATIN_1 = "ISO_IR 100"
_UTF_8 = "ISO_IR 192"
_CHARACTER_SET = BaseTag(0x00080005)
_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UN", "UT"})
_DEEPEST = 32


def declare(dataset: Dataset, default: str = LATIN_1) -> bool:
    """Where bytes beyond ASCII are in no declared character set: declare UTF-8 if they all are, else the default.

    The data set is one just read, with its elements raw; whether this has declared anything is answered.
    """
    if _is_declared(dataset):
        return False
    levels = list(_undeclared(dataset, _DEEPEST))
    texts = [text for level in levels for text in _texts(level) if not text.isascii()]
    if not texts:
        return False
    dataset.SpecificCharacterSet = _UTF_8 if all(map(_is_utf_8, texts)) else default
    encodings = convert_encodings(dataset.SpecificCharacterSet)
    for level in levels:
        is_implicit, is_little_endian = level.original_encoding
        level.set_original_encoding(is_implicit, is_little_endian, encodings)
    return True


def _is_declared(dataset: Dataset) -> bool:
    declared = dataset.get(_CHARACTER_SET)
    value = None if declared is None else declared.value
    names = [value] if isinstance(value, str) else list(value or ())
    return any(str(name).strip() not in {"", "ISO_IR 6", "ISO 2022 IR 6"} for name in names)


def _undeclared(dataset: Dataset, depth: int) -> Iterator[Dataset]:
    """The data set, and the items of its sequences that declare nothing of their own (PS3.5 6.1.2.4)."""
    yield dataset
    if not depth:
        return
    for tag, element in list(dataset._dict.items()):
        if _vr(element) == "SQ":
            for item in dataset[tag].value or ():
                if not _is_declared(item):
                    yield from _undeclared(item, depth - 1)


def _texts(dataset: Dataset) -> Iterator[bytes]:
    for element in dataset._dict.values():
        if isinstance(element, RawDataElement) and isinstance(element.value, bytes) and _vr(element) in _TEXT:
            yield element.value


def _vr(element: DataElement | RawDataElement) -> str:
    """The VR as it is told, or as the dictionary has it where the transfer syntax tells none."""
    if element.VR is not None:
        return str(element.VR)
    try:
        return dictionary_VR(element.tag)
    except KeyError:
        return "UN"


def _is_utf_8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
