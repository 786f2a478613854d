"""Text in an undeclared code page: what it is read as. Stored bytes are never changed by this.

PS3.3 C.12.1.1.2: without Specific Character Set (0008,0005) text is ISO_IR 6, ASCII. Devices write theirs all the same.
"""

from __future__ import annotations

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

LATIN_1 = "ISO_IR 100"
_UTF_8 = "ISO_IR 192"
_CHARACTER_SET = BaseTag(0x00080005)
_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UN", "UT"})


def declare(dataset: Dataset, default: str = LATIN_1) -> bool:
    """Where bytes beyond ASCII are in no declared character set: declare UTF-8 if they all are, else the default.

    The data set is one just read, with its elements raw; whether anything was declared is answered.
    """
    declared = dataset.get(_CHARACTER_SET)
    value = None if declared is None else declared.value
    names = [value] if isinstance(value, str) else list(value or ())
    if any(str(name).strip() not in {"", "ISO_IR 6", "ISO 2022 IR 6"} for name in names):
        return False
    texts = [
        element.value
        for element in dataset._dict.values()
        if isinstance(element, RawDataElement)
        and isinstance(element.value, bytes)
        and (element.VR is None or element.VR in _TEXT)
        and not element.value.isascii()
    ]
    if not texts:
        return False
    dataset.SpecificCharacterSet = _UTF_8 if all(map(_is_utf_8, texts)) else default
    return True


def _is_utf_8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
