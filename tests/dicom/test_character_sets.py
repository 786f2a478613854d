"""Text in an undeclared code page is read as what it is, also within sequences, whatever the encoding of the object."""

from __future__ import annotations

import warnings
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from hayat_fhir.dicom.character_sets import declare
from hayat_fhir.dicom.header import file_header


def encoded(name: bytes, outer: bytes, inner: bytes, *, implicit: bool, undefined: bool) -> Dataset:
    """A data set that declares nothing, with these bytes as a name, and as text one and two sequences deep."""
    made, item, nested = Dataset(), Dataset(), Dataset()
    made.PatientName, item.TextValue, nested.TextValue = "N" * len(name), "O" * len(outer), "I" * len(inner)
    item.ContentSequence = Sequence([nested])
    made.ContentSequence = Sequence([item])
    made["ContentSequence"].is_undefined_length = undefined
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, implicit
    write_dataset(buffer, made)
    data = bytes(buffer.getvalue())
    for letter, text in ((b"N", name), (b"O", outer), (b"I", inner)):
        data = data.replace(letter * len(text), text)
    syntax = "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1"
    return dcmread(BytesIO(file_header("1.2", "1.2", syntax, "X") + data))


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize(
    ("encoding", "default", "name"), [("utf-8", "ISO_IR 100", "ISO_IR 192"), ("cp1254", "ISO_IR 148", "ISO_IR 148")]
)
def test_undeclared_text_at_every_depth(
    *, implicit: bool, undefined: bool, encoding: str, default: str, name: str
) -> None:
    """UTF-8 where all of it is; else the site's own code page."""
    texts = ["Güler Ağa", "Akciğer normal.", "Sağ böbrek!!"]
    raw = [text.encode(encoding) for text in texts]
    raw = [one + b" " * (len(one) % 2) for one in raw]
    made = encoded(*raw, implicit=implicit, undefined=undefined)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert declare(made, default)
        made.decode()
        item = made.ContentSequence[0]
        found = [str(made.PatientName), item.TextValue, item.ContentSequence[0].TextValue]
    assert [one.rstrip() for one in found] == texts
    assert made.SpecificCharacterSet == name


def test_what_an_item_declares_itself_stays() -> None:
    """An item with a character set of its own is left alone (PS3.5 6.1.2.4)."""
    made, item = Dataset(), Dataset()
    item.SpecificCharacterSet, item.TextValue = "ISO_IR 192", "Größe"
    made.ContentSequence = Sequence([item])
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, made)
    read = dcmread(BytesIO(file_header("1.2", "1.2", "1.2.840.10008.1.2.1", "X") + bytes(buffer.getvalue())))
    assert not declare(read)
    assert read.ContentSequence[0].TextValue.rstrip() == "Größe"
