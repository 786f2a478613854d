"""The quick reading of ordinary headers says what pydicom says, or nothing."""

from __future__ import annotations

import mmap
import struct
import tempfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_charset_files, get_testdata_file
from pydicom.datadict import dictionary_VR, tag_for_keyword

from hayat_fhir.dicom.header import Header, file_header, read_file_header, read_plain_header
from hayat_fhir.errors import InvalidRequest

_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


def _is_file(path: Path) -> bool:
    return path.read_bytes()[128:132] == b"DICM"


_FILES = [
    *(path for path in sorted(Path(str(get_testdata_file("CT_small.dcm"))).parent.glob("*.dcm")) if _is_file(path)),
    *(Path(name) for name in sorted(get_charset_files("*.dcm"))),
]


def _both(encoded: bytes, syntax: str) -> tuple[Header | str, Header | str]:
    """What is read of a mapped file, where the quick reading is tried first, and what pydicom reads."""
    with tempfile.TemporaryFile() as file:
        file.write(encoded)
        file.flush()
        with mmap.mmap(file.fileno(), len(encoded), prot=mmap.PROT_READ) as mapped:
            quick = _read(mapped, syntax)
    return quick, _read(BytesIO(encoded), syntax)


def _read(file: mmap.mmap | BytesIO, syntax: str) -> Header | str:
    try:
        return read_file_header(file, syntax)
    except InvalidRequest as refusal:
        return refusal.issues[0].code


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.name)
def test_real_files(path: Path) -> None:
    """A real file has the same header either way."""
    raw = path.read_bytes()
    try:
        meta = dcmread(path, stop_before_pixels=True, specific_tags=[]).file_meta
        syntax, length = str(meta.TransferSyntaxUID), int(meta.FileMetaInformationGroupLength)
    except (AttributeError, NotImplementedError):
        return
    encoded = file_header("1.2", "1.2", syntax, "PEER") + raw[132 + 12 + length :]

    quick, thorough = _both(encoded, syntax)

    assert quick == thorough


_TEXT = st.text(st.characters(codec="latin-1"), max_size=20)
_UIDS = st.from_regex(r"[0-9]{1,5}(\.[0-9]{1,5}){0,5}", fullmatch=True) | _TEXT
_IDENTIFYING = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_OTHERS = ("PatientID", "PatientName", "Modality", "StudyDate", "ImageType", "SeriesDescription", "StudyID")


def _encoded(number: int, vr: str, value: bytes, *, implicit: bool, undefined: bool = False) -> bytes:
    tag = struct.pack("<HH", number >> 16, number & 0xFFFF)
    length = 0xFFFFFFFF if undefined else len(value)
    if implicit:
        return tag + struct.pack("<L", length) + value
    if vr == "SQ":
        return tag + b"SQ\0\0" + struct.pack("<L", length) + value
    return tag + vr.encode() + struct.pack("<H", length) + value


def _sequence(*, implicit: bool) -> bytes:
    """A sequence of undefined length with one item of undefined length."""
    inner = _encoded(0x00080100, "SH", b"1 ", implicit=implicit)
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner + b"\xfe\xff\x0d\xe0\0\0\0\0"
    return _encoded(0x00081110, "SQ", item + b"\xfe\xff\xdd\xe0\0\0\0\0", implicit=implicit, undefined=True)


@settings(max_examples=300, deadline=None)
@given(
    values=st.dictionaries(st.sampled_from(_OTHERS), _TEXT),
    uids=st.tuples(_UIDS, _UIDS, _UIDS, _UIDS),
    number=st.text("0123456789+-. ", max_size=6),
    implicit=st.booleans(),
    cut=st.integers(0, 40),
)
def test_arbitrary_values(
    values: dict[str, str], uids: tuple[str, str, str, str], number: str, implicit: bool, cut: int
) -> None:
    """Whatever stands in the elements, and wherever the data set ends, both say the same."""
    texts = {**values, **dict(zip(_IDENTIFYING, uids, strict=True)), "InstanceNumber": number}
    elements = {int(tag_for_keyword(keyword) or 0): text.encode("latin-1") for keyword, text in texts.items()}
    parts = [
        (tag, _encoded(tag, dictionary_VR(tag), value + b" " * (len(value) % 2), implicit=implicit))
        for tag, value in elements.items()
    ]
    parts.append((0x00081110, _sequence(implicit=implicit)))
    encoded = b"".join(part for _, part in sorted(parts))
    syntax = _IMPLICIT if implicit else _EXPLICIT

    quick, thorough = _both(file_header("1.2", "1.2", syntax, "PEER") + encoded[: len(encoded) - cut], syntax)

    assert quick == thorough


def test_the_first_bytes_suffice_or_say_nothing() -> None:
    """However short the head of a file is that is at hand, what is read of it is never less than what there is."""
    data = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
    at = 144 + int.from_bytes(data[140:144], "little")
    file = bytearray(file_header("1.2", "1.2", "1.2.840.10008.1.2.1", "PEER") + data[at:])
    whole = read_plain_header(file, "1.2.840.10008.1.2.1", is_whole=True)
    assert whole is not None
    sizes = range(len(file) - len(data) + at, len(file), 7)
    found = [read_plain_header(file[:size], "1.2.840.10008.1.2.1", is_whole=False) for size in sizes]
    assert all(one is None or one == whole for one in found)
    assert found[-1] == whole
