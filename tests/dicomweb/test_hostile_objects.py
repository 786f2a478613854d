"""Objects that are made to do harm: each is refused, or shown to nobody, and the door goes on."""

from __future__ import annotations

import gzip
import io
import struct
import time
from typing import Any

import httpx
import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless, generate_uid

from .conftest import Archive
from .test_stow import FAILED, REASON, RELATED, STORED, body, file, fresh, seen

DICOM = {"Content-Type": "application/dicom"}


def store(http: httpx.Client, image: FileDataset) -> str:
    """Have an image stored; where it is."""
    answer = http.post("/studies", content=file(image), headers=DICOM)
    assert answer.status_code == 200, answer.text
    seen(http, image)
    return f"/studies/{image.StudyInstanceUID}/series/{image.SeriesInstanceUID}/instances/{image.SOPInstanceUID}"


def altered(**values: Any) -> FileDataset:
    """An image whose description of its pixels is not true."""
    image = fresh()
    for keyword, value in values.items():
        setattr(image, keyword, value)
    return image


def encapsulated(syntax: str, *frames: bytes, **values: Any) -> FileDataset:
    """An image whose compressed pixels are these."""
    image = altered(**values)
    image.file_meta.TransferSyntaxUID = syntax
    image.PixelData = encapsulate(list(frames))
    image["PixelData"].is_undefined_length = True
    return image


J2K_BOMB = (
    b"\xff\x4f\xff\x51\x00\x29\x00\x00"
    + struct.pack(">8L", 60000, 60000, 0, 0, 60000, 60000, 0, 0)
    + b"\x00\x01\x0f\x01\x01"
    + b"\xff\x52\x00\x0c\x00\x00\x00\x01\x00\x05\x04\x04\x00\x01"
    + b"\xff\x5c\x00\x13\x40"
    + b"\x80" * 16
    + b"\xff\x90\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x01\xff\x93\xff\xd9"
)
"""A JPEG 2000 code stream that says it is of 60,000 times 60,000 pixels, in a hundred bytes."""


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(lambda: altered(Rows=65535, Columns=65535), id="65,535 rows and columns"),
        pytest.param(lambda: altered(Rows=0), id="no rows"),
        pytest.param(lambda: altered(BitsAllocated=0), id="no bits"),
        pytest.param(lambda: altered(BitsAllocated=64, BitsStored=99), id="more bits than there are"),
        pytest.param(lambda: altered(NumberOfFrames=2**31 - 1), id="two thousand million frames"),
        pytest.param(lambda: altered(SamplesPerPixel=200), id="200 samples"),
        pytest.param(lambda: altered(PixelData=b"\0\0"), id="pixels end early"),
        pytest.param(lambda: altered(PhotometricInterpretation="PALETTE COLOR"), id="palette that is not there"),
        pytest.param(lambda: encapsulated(RLELossless, b"\xff" * 64), id="RLE that lies"),
        pytest.param(lambda: encapsulated(JPEGLSLossless, b"\xff\xd8\xff\xf7" + b"\xff" * 64), id="JPEG-LS that lies"),
        pytest.param(lambda: encapsulated(JPEG2000Lossless, J2K_BOMB, Rows=60000, Columns=60000), id="JPEG 2000 bomb"),
        pytest.param(lambda: encapsulated(JPEG2000Lossless, J2K_BOMB), id="JPEG 2000 bomb in disguise"),
    ],
)
def test_pixels_that_lie(archive: Archive, image: Any) -> None:
    """They are kept as they came; whoever wants to see them gets a refusal soon, and the next image is shown."""
    with archive.http() as http:
        path = store(http, image())
        begun = time.monotonic()
        for what in ("/rendered", "/thumbnail", "/frames/1", "/frames/2147483647"):
            assert http.get(path + what).status_code in {200, 400, 404, 406, 413}, what
        assert time.monotonic() - begun < 90
        assert http.get(path + "/metadata").status_code == 200
        assert http.get(archive.path("CT0") + "/rendered").status_code == 200


@pytest.mark.parametrize("window", ["0,999999999", "-999999999,1", "0,1.000001,SIGMOID"])
def test_windows_out_of_all_proportion(archive: Archive, window: str) -> None:
    """A picture comes, whatever is in it."""
    with archive.http() as http:
        assert http.get(archive.path("CT0") + f"/rendered?window={window}").status_code == 200


def test_a_preamble_that_is_a_program(archive: Archive) -> None:
    """It is not given back: what is served begins with zeros, and says what it is."""
    image = fresh()
    image.preamble = b"MZ" + b"\x90" * 126
    with archive.http() as http:
        path = store(http, image)
        answer = http.get(path, headers={"Accept": "application/dicom"})
    assert answer.content[:128] == b"\0" * 128
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"].startswith("application/dicom")
    assert dcmread(io.BytesIO(answer.content)).SOPInstanceUID == image.SOPInstanceUID


@pytest.mark.parametrize("content", [b"MZ" + b"\0" * 600, b"\x7fELF" + b"\0" * 600, b"%PDF-1.7" * 90, b"PK\3\4" * 200])
def test_what_is_no_object(archive: Archive, content: bytes) -> None:
    """Programs, documents and archives are not stored, whatever their name."""
    with archive.http() as http:
        answer = http.post("/studies", content=content, headers=DICOM)
    assert answer.status_code == 409
    assert answer.json()[FAILED]["Value"][0][REASON]["Value"] == [0xC000]


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
def test_a_directory_is_not_followed(archive: Archive) -> None:
    """A DICOMDIR with paths that lead out is no object of a study."""
    directory = fresh()
    directory.SOPClassUID = directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "PixelData"):
        del directory[keyword]
    entry = FileDataset("", {})
    entry.ReferencedFileID = ["..", "..", "ETC", "PASSWD"]
    directory.DirectoryRecordSequence = [entry]
    with archive.http() as http:
        answer = http.post("/studies", content=file(directory), headers=DICOM)
    assert answer.status_code == 409


def test_a_transfer_syntax_that_is_not_that_of_the_bytes(archive: Archive) -> None:
    """The file meta information says one thing, the data set is another."""
    content = bytearray(file(fresh()))
    at = content.index(b"1.2.840.10008.1.2.1\0")
    content[at : at + 20] = b"1.2.840.10008.1.2.2\0"
    with archive.http() as http:
        answer = http.post("/studies", content=bytes(content), headers=DICOM)
    assert answer.status_code == 409
    assert answer.json()[FAILED]["Value"][0][REASON]["Value"] == [0xC000]


def test_compressed_bodies_are_not_inflated(archive: Archive) -> None:
    """A gzip bomb is no object, and costs nothing."""
    bomb = gzip.compress(b"\0" * 50_000_000)
    with archive.http() as http:
        begun = time.monotonic()
        answer = http.post("/studies", content=bomb, headers={**DICOM, "Content-Encoding": "gzip"})
        assert answer.status_code in {409, 415}
        assert time.monotonic() - begun < 10


def test_very_many_parts(archive: Archive) -> None:
    """A hundred thousand parts of nothing are refused in time that grows with their number alone."""
    with archive.http() as http:
        begun = time.monotonic()
        answer = http.post("/studies", content=body(*[b""] * 100_000), headers={"Content-Type": RELATED})
        assert answer.status_code in {400, 409, 413, 422}
        assert time.monotonic() - begun < 60


def test_a_part_within_a_part(archive: Archive) -> None:
    """Nested multipart is no object; what stands beside it is stored."""
    image = fresh()
    nested = b"Content-Type: multipart/related; boundary=in\r\n\r\n--in\r\n\r\nx\r\n--in--"
    with archive.http() as http:
        answer = http.post("/studies", content=body(file(image), nested), headers={"Content-Type": RELATED})
        assert answer.status_code == 202
        assert len(answer.json()[STORED]["Value"]) == len(answer.json()[FAILED]["Value"]) == 1


def test_ranges_without_end(archive: Archive) -> None:
    """A thousand byte ranges cost no more than none."""
    with archive.http() as http:
        headers = {"Range": "bytes=" + ",".join(["0-"] * 1000), "Accept": "application/octet-stream"}
        answer = http.get(archive.path("CT0") + "/frames/1", headers=headers)
    assert answer.status_code in {200, 416}
    assert len(answer.content) <= len(archive.images["CT0"].PixelData) + 1000


@pytest.mark.parametrize(
    "path", ["/frames/-1", "/frames/1000000000", "/frames/1,,2", "/frames/%00", "/bulkdata/%2e%2e/x"]
)
def test_places_that_are_none(archive: Archive, path: str) -> None:
    """Refused with a status of their own."""
    with archive.http() as http:
        assert http.get(archive.path("CT0") + path).status_code in {400, 404}


@pytest.mark.parametrize(
    "query",
    [
        {"PatientName": "*" * 500},
        {"PatientName": "a*b*c*d*e*f*g*h*i*j*k*l*m*n*o*p*q*r*s*t*"},
        {"PatientName": "(a+)+$", "fuzzymatching": "true"},
        {"PatientName": "[a-z", "fuzzymatching": "true"},
        {"PatientName": " ".join(["abcdefgh"] * 60), "fuzzymatching": "true"},
        {"StudyInstanceUID": ",".join(f"1.2.{number}" for number in range(150))},
        {"includefield": "all", "limit": "999999999"},
    ],
)
def test_queries_that_cost(archive: Archive, query: dict[str, str]) -> None:
    """They are answered within their bounds, or refused."""
    with archive.http() as http:
        begun = time.monotonic()
        assert http.get("/studies", params=query).status_code in {200, 204, 400, 413}
        assert time.monotonic() - begun < 20


def test_names_that_are_markup(archive: Archive) -> None:
    """They are told as the text that they are, typed as JSON; characters that turn text around stay with the object."""
    image = fresh(PatientID=f"X{generate_uid()[-6:]}", PatientName="<script>alert(1)</script>^\u202egnp.exe")
    image.SpecificCharacterSet = "ISO_IR 192"
    with archive.http() as http:
        store(http, image)
        found = http.get("/studies", params={"StudyInstanceUID": image.StudyInstanceUID})
        assert found.headers["content-type"] == "application/dicom+json"
        uid = f"urn:oid:{image.StudyInstanceUID}"
        params = {"identifier": uid, "_include": "ImagingStudy:subject"}
        entries = http.get(f"{archive.site.url}/fhir/ImagingStudy", params=params).json()["entry"]
        (patient,) = [one["resource"] for one in entries if one["resource"]["resourceType"] == "Patient"]
        assert patient["name"][0]["family"] == "<script>alert(1)</script>"
        assert "\u202e" not in str(patient)
