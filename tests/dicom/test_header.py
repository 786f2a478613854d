"""Reading headers that strangers sent."""

from __future__ import annotations

import contextlib
import struct
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from hayat_fhir.dicom.header import file_header, is_uid, issuer_of, read_file_header, read_header, universal_system
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
        ({"UniversalEntityID": "ID.Hospital.example", "UniversalEntityIDType": "DNS"}, "dns:id.hospital.example"),
        ({"UniversalEntityID": "no host", "UniversalEntityIDType": "DNS"}, "https://peer.example"),
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


@pytest.mark.parametrize("number", [b"9" * 20, b"9" * 5000, b"-9e99 ", b"inf ", b"1e400 ", b"abc ", b"1\\x "])
def test_a_number_that_is_none_is_left_out(number: bytes) -> None:
    """What no number can be told of, or none that a database holds, says nothing; the rest of the header does."""
    plain = encoded(InstanceNumber="7", PatientID="P")
    at = plain.index(b"\x20\x00\x13\x00IS")
    data = plain[: at + 6] + struct.pack("<H", len(number)) + number + plain[at + 10 :]
    header = read_header(data, EXPLICIT)
    assert (header.instance, header.patient_id) == ("1.2.3.4", "P")
    assert "00200013" not in header.attributes
    assert read_header(plain, EXPLICIT).attributes["00200013"]["Value"] == [7]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("vr", "value"), [("UV", 2**64 - 1), ("IS", b"inf ")])
def test_a_sequence_that_cannot_be_kept_is_left_out(vr: str, value: object) -> None:
    """Wherever in it that is."""
    item = Dataset()
    item.CodeValue = "A"
    item.add_new(0x00091001, vr, 1 if vr == "IS" else value)
    data = encoded(ProcedureCodeSequence=[item], PatientID="P")
    if vr == "IS":
        data = data.replace(b"IS\x02\x001 ", b"IS\x02\x00\xff\xff")
    header = read_header(data, EXPLICIT)
    assert header.patient_id == "P"
    assert "00081032" not in header.attributes


def test_deflated_is_refused() -> None:
    """A deflated data set may be a bomb: it is not taken from the network."""
    with pytest.raises(InvalidRequest):
        read_header(encoded(), "1.2.840.10008.1.2.1.99")


@pytest.mark.parametrize(
    ("raw", "default", "expected"),
    [
        ("Y\u0131ld\u0131z^Çiğdem".encode(), "ISO_IR 100", "Y\u0131ld\u0131z^Çiğdem"),
        ("Y\u0131ld\u0131z^Çiğdem".encode("iso8859-9"), "ISO_IR 148", "Y\u0131ld\u0131z^Çiğdem"),
        ("Müller^Jörg".encode("latin-1"), "ISO_IR 100", "Müller^Jörg"),
        ("Иванов".encode("iso8859-5"), "ISO_IR 144", "Иванов"),
        (b"Plain^Name", "ISO_IR 148", "Plain^Name"),
    ],
)
@pytest.mark.parametrize("declared", [None, "", "ISO_IR 6"])
def test_undeclared_text_is_read_by_the_site(raw: bytes, default: str, expected: str, declared: str | None) -> None:
    """Bytes beyond ASCII in no declared character set are UTF-8 where they can be, else what the site says."""
    data = encoded(PatientName="N" * (len(raw) + len(raw) % 2))
    data = data.replace(b"N" * (len(raw) + len(raw) % 2), raw.ljust(len(raw) + len(raw) % 2))
    if declared is not None:
        value = declared.encode().ljust(len(declared) + len(declared) % 2)
        data = struct.pack("<HH2sH", 8, 5, b"CS", len(value)) + value + data
    file = BytesIO(file_header("1.2", "1.2", EXPLICIT, "X") + data)
    header = read_file_header(file, EXPLICIT, default)
    assert header.attributes["00100010"]["Value"] == [{"Alphabetic": expected}]


CHARSETS = Path(pydicom.__file__).parent / "data" / "charset_files"


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("chrH31", {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}),
        ("chrH32", {"Alphabetic": "ﾔﾏﾀﾞ^ﾀﾛｳ", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}),
        ("chrI2", {"Alphabetic": "Hong^Gildong", "Ideographic": "洪^吉洞", "Phonetic": "홍^길동"}),
        ("chrX1", {"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小東"}),
        ("chrX2", {"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小东"}),
        ("chrFren", {"Alphabetic": "Buc^Jérôme"}),
        ("chrGerm", {"Alphabetic": "Äneas^Rüdiger"}),
        ("chrRuss", {"Alphabetic": "Люкceмбypг"}),  # noqa: RUF001
        ("chrGreek", {"Alphabetic": "Διονυσιος"}),
        ("chrHbrw", {"Alphabetic": "שרון^דבורה"}),
        ("chrArab", {"Alphabetic": "قباني^لنزار"}),
    ],
)
def test_names_of_all_scripts(name: str, groups: dict[str, str]) -> None:
    """Single and multi-byte character sets, code extensions and the three groups of a name: PS3.5 annexes H to K."""
    content = (CHARSETS / f"{name}.dcm").read_bytes()
    dataset = dcmread(BytesIO(content), specific_tags=["SOPClassUID"])
    start = 144 + dataset.file_meta.FileMetaInformationGroupLength
    header = read_header(content[start:], str(dataset.file_meta.TransferSyntaxUID))
    assert header.attributes["00100010"]["Value"] == [groups]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "name",
    [
        b"\x1b",
        b"\x1b$",
        b"\x1b$Bx",
        b"\x1b(\xff\x1b)I\x80",
        b"A\x1b$B\x3b^\x1b(",
        b"\x1b$)C\xb1" * 7,
        b"\xff\xfe^=^=^=^",
    ],
)
def test_malformed_escapes_are_read_or_refused(name: bytes) -> None:
    """Escape sequences that lead nowhere never raise anything but a refusal, and the UIDs are still read."""
    padded = name.ljust(len(name) + len(name) % 2)
    data = encoded(PatientName="N" * len(padded), SpecificCharacterSet=["", "ISO 2022 IR 87", "ISO 2022 IR 149"])
    header = read_header(data.replace(b"N" * len(padded), padded), EXPLICIT)
    assert header.instance == "1.2.3.4"


@pytest.mark.parametrize(
    "system",
    [
        "https://id.example/mrn",
        "https://id.example/" + "x" * 80,
        "urn:oid:1.2.999",
        "urn:oid:no",
        "urn:uuid:AB",
        "dns:a.b",
    ],
)
def test_an_issuer_is_read_as_the_system_it_was_made_of(system: str) -> None:
    """Whatever the system."""
    assert universal_system({keyword: [value] for keyword, value in issuer_of(system).items()}) == system
