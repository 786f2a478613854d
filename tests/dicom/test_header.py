"""Reading headers that strangers sent."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from hayat_fhir.dicom.header import is_uid, read_header
from hayat_fhir.errors import InvalidRequest

EXPLICIT = "1.2.840.10008.1.2.1"
FILES = sorted(Path(str(get_testdata_file("CT_small.dcm"))).parent.glob("*.dcm"))


def encoded(**attributes: object) -> bytes:
    """A data set with the four UIDs and these attributes."""
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "1.2", "1.2.3", "1.2.3.4"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_real_files_are_read_or_refused(path: Path) -> None:
    """Of every real file there is a header or a refusal, never another exception."""
    raw = path.read_bytes()
    if raw[128:132] != b"DICM":
        return
    meta = dcmread(path, stop_before_pixels=True, specific_tags=[]).file_meta
    if "TransferSyntaxUID" not in meta or "FileMetaInformationGroupLength" not in meta:
        return
    data_set = raw[144 + int(meta.FileMetaInformationGroupLength) :]
    with contextlib.suppress(InvalidRequest):
        assert is_uid(read_header(data_set, str(meta.TransferSyntaxUID)).study)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, "https://peer.example"),
        ({"IssuerOfPatientID": "WARD 7"}, "https://peer.example/WARD%207"),
        ({"UniversalEntityID": "1.2.999", "UniversalEntityIDType": "ISO"}, "urn:oid:1.2.999"),
        ({"UniversalEntityID": "not an oid", "UniversalEntityIDType": "ISO"}, "https://peer.example"),
        (
            {"UniversalEntityID": "7D444840-9DC0-11D1-B245-5FFDCE74FAD2", "UniversalEntityIDType": "UUID"},
            "urn:uuid:7d444840-9dc0-11d1-b245-5ffdce74fad2",
        ),
        ({"UniversalEntityID": "not a uuid", "UniversalEntityIDType": "UUID"}, "https://peer.example"),
        ({"UniversalEntityID": "no uri: at all", "UniversalEntityIDType": "URI"}, "https://peer.example"),
        ({"UniversalEntityID": "https://id.example", "UniversalEntityIDType": "URI"}, "https://id.example"),
    ],
)
def test_a_patient_number_belongs_to_its_issuer(attributes: dict[str, str], expected: str) -> None:
    """A number without a universal issuer belongs to whoever sent it."""
    qualifiers = Dataset()
    rest = {}
    for keyword, value in attributes.items():
        if keyword.startswith("Universal"):
            setattr(qualifiers, keyword, value)
        else:
            rest[keyword] = value
    header = read_header(encoded(PatientID="1", IssuerOfPatientIDQualifiersSequence=[qualifiers], **rest), EXPLICIT)
    assert header.issuer_system("https://peer.example") == expected


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 500, b"\xff" * 500, encoded()[:-20]])
def test_rubbish_is_refused(data: bytes) -> None:
    """Rubbish is refused, without repeating it."""
    with pytest.raises(InvalidRequest):
        read_header(data, EXPLICIT)


def test_deflated_is_refused() -> None:
    """A deflated data set may be a bomb: it is not taken from the network."""
    with pytest.raises(InvalidRequest):
        read_header(encoded(), "1.2.840.10008.1.2.1.99")
