"""STOW-RS: objects stored over HTTP, in the same custody as those of the DICOM door."""

from __future__ import annotations

import io
import time

import httpx
import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from .conftest import Archive, example

RELATED = 'multipart/related; type="application/dicom"; boundary=cut'
RETRIEVE_URL, REASON, FAILED, STORED = "00081190", "00081197", "00081198", "00081199"


def file(image: FileDataset) -> bytes:
    """The object as a file."""
    buffer = io.BytesIO()
    image.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def body(*files: bytes) -> bytes:
    """A multipart body."""
    parts = [b"--cut\r\nContent-Type: application/dicom\r\n\r\n" + one + b"\r\n" for one in files]
    return b"".join(parts) + b"--cut--\r\n"


def fresh(**attributes: str) -> FileDataset:
    """An image of a study of its own."""
    made = example("CT_small.dcm", generate_uid(), generate_uid(), f"S-{generate_uid()[-8:]}", "Stored^Somebody")
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def seen(http: httpx.Client, image: FileDataset) -> bytes:
    """The image's file, once its study has been projected."""
    path = f"/studies/{image.StudyInstanceUID}/series/{image.SeriesInstanceUID}/instances/{image.SOPInstanceUID}"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        answer = http.get(path, headers={"Accept": "application/dicom"})
        if answer.status_code == 200:
            return answer.content
        time.sleep(0.2)
    raise AssertionError("the image did not appear")


def test_the_client_of_pypi_stores(archive: Archive) -> None:
    """What was stored comes back as it was, and its study is there."""
    images = [fresh(), fresh()]
    answer = archive.client().store_instances(images)
    assert {one.ReferencedSOPInstanceUID for one in answer.ReferencedSOPSequence} == {
        one.SOPInstanceUID for one in images
    }
    with archive.http() as http:
        for image in images:
            assert file(image)[-1000:] == seen(http, image)[-1000:]
        uid = f"urn:oid:{images[0].StudyInstanceUID}"
        found = http.get(f"{archive.site.url}/fhir/ImagingStudy", params={"identifier": uid}).json()
        assert found["total"] == 1
        assert found["entry"][0]["resource"]["numberOfInstances"] == 1


def test_one_object_alone(archive: Archive) -> None:
    """Without multipart; again changes nothing."""
    image = fresh()
    with archive.http() as http:
        for _ in range(2):
            answer = http.post("/studies", content=file(image), headers={"Content-Type": "application/dicom"})
            assert answer.status_code == 200, answer.text
            (stored,) = answer.json()[STORED]["Value"]
            assert stored["00081155"]["Value"] == [image.SOPInstanceUID]
        assert len(seen(http, image)) > 1000


def test_each_object_has_its_own_answer(archive: Archive) -> None:
    """What is broken, of another study or in conflict is told with a reason; the others are stored."""
    good, other, twice = fresh(), fresh(), fresh()
    other_bytes = fresh(SOPInstanceUID=twice.SOPInstanceUID, StudyInstanceUID=twice.StudyInstanceUID)
    other_bytes.PatientID = twice.PatientID
    other_bytes.file_meta.MediaStorageSOPInstanceUID = twice.SOPInstanceUID
    with archive.http() as http:
        content = body(file(good), b"no file at all" * 100, file(good)[:-20000], file(twice), file(other_bytes))
        answer = http.post("/studies", content=content, headers={"Content-Type": RELATED})
        assert answer.status_code == 202
        found = answer.json()
        assert len(found[STORED]["Value"]) == 2
        reasons = [one[REASON]["Value"][0] for one in found[FAILED]["Value"]]
        assert reasons[0] == 0xC000
        assert reasons[-1] == 0xA900
        wrong = http.post(
            f"/studies/{good.StudyInstanceUID}", content=body(file(other)), headers={"Content-Type": RELATED}
        )
        assert wrong.status_code == 409
        assert wrong.json()[FAILED]["Value"][0][REASON]["Value"] == [0xA900]


def test_where_it_is_to_be_had(archive: Archive) -> None:
    """Each object and the study that they are all of; of several studies, or where nothing is stored, no study."""
    image, other = fresh(), fresh()
    root, study = f"{archive.site.url}/dicomweb", f"/studies/{image.StudyInstanceUID}"
    with archive.http() as http:
        for path in ("/studies", study):
            answer = http.post(path, content=body(file(image)), headers={"Content-Type": RELATED}).json()
            assert answer[RETRIEVE_URL] == {"vr": "UR", "Value": [root + study]}
            (stored,) = answer[STORED]["Value"]
            place = f"{study}/series/{image.SeriesInstanceUID}/instances/{image.SOPInstanceUID}"
            assert stored[RETRIEVE_URL] == {"vr": "UR", "Value": [root + place]}
        seen(http, image)
        assert http.get(stored[RETRIEVE_URL]["Value"][0]).status_code == 200
        both = http.post("/studies", content=body(file(image), file(other)), headers={"Content-Type": RELATED}).json()
        assert both[RETRIEVE_URL] == {"vr": "UR"}
        assert len({one[RETRIEVE_URL]["Value"][0] for one in both[STORED]["Value"]}) == 2
        none = http.post("/studies/1.2.3", content=body(file(other)), headers={"Content-Type": RELATED})
        assert none.status_code == 409
        assert none.json()[RETRIEVE_URL] == {"vr": "UR"}


def test_what_is_stored_before_a_body_goes_wrong_is_told(archive: Archive) -> None:
    """A part of another kind, a body that ends early, a boundary that is none: the others are stored, and named."""
    images = [fresh(), fresh()]
    good, half = file(images[0]), file(images[1])[:-20000]
    foreign = b"--cut\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\r\n"
    end = b"--cut--\r\n"
    cases = [
        (body(good).removesuffix(end) + foreign + end, ""),
        (foreign + body(good), ""),
        (body(good, half).removesuffix(end), images[1].SOPInstanceUID),
        (body(good).removesuffix(end) + b"--cutting\r\n", ""),
        (body(good).removesuffix(end) + b"--cut\r\n" + b"a" * 20_000, ""),
    ]
    with archive.http() as http:
        for content, uid in cases:
            answer = http.post("/studies", content=content, headers={"Content-Type": RELATED})
            assert answer.status_code == 202, answer.text
            found = answer.json()
            assert [one["00081155"]["Value"] for one in found[STORED]["Value"]] == [[images[0].SOPInstanceUID]]
            (failed,) = found[FAILED]["Value"]
            assert failed[REASON]["Value"][0] in {0xC000, 0xA700}
            assert failed.get("00081155", {}).get("Value", [""]) == [uid]
        seen(http, images[0])


def test_blanks_after_a_boundary(archive: Archive) -> None:
    """They are padding (RFC 2046 5.1.1), up to the length of a head; anything else is no boundary."""
    content = body(file(fresh()), file(fresh()))
    with archive.http() as http:
        for padding, status in ((b" \t", 200), (b" " * 500, 200), (b" x", 400), (b" " * 400_000, 400)):
            padded = content.replace(b"--cut\r\n", b"--cut" + padding + b"\r\n")
            answer = http.post("/studies", content=padded, headers={"Content-Type": RELATED})
            assert answer.status_code == status, answer.text


def test_what_a_doctor_sent_in_conflict(archive: Archive) -> None:
    """The staff's Task has no requester: no partner has sent it."""
    first = fresh()
    other = fresh(StudyInstanceUID=first.StudyInstanceUID)
    with archive.http() as http:
        answer = http.post("/studies", content=body(file(first), file(other)), headers={"Content-Type": RELATED})
        assert answer.status_code == 202
    with archive.http("staff") as http:
        found = http.get(f"{archive.site.url}/fhir/$quarantine", params={"study": str(first.StudyInstanceUID)}).json()
    (task,) = [entry["resource"] for entry in found["entry"]]
    assert task["status"] == "requested"
    assert "requester" not in task


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "application/dicom", 400),
        (b"", RELATED, 400),
        (b"x", RELATED, 400),
        (b"--cut--\r\n", RELATED, 400),
        (b"--cut\r\nContent-Type: application/dicom\r\n\r\nabc", RELATED, 400),
        (b"--cut\r\n" + b"a" * 20_000, RELATED, 413),
        (b"--cutting", RELATED, 400),
        (b"x", "multipart/related; type=application/dicom", 400),
        (b"x", "text/plain", 415),
        (b"x", 'multipart/related; type="application/dicom+json"; boundary=cut', 415),
        (body(b"x").replace(b"application/dicom", b"text/plain"), RELATED, 415),
        (b"x" * 400, "application/dicom", 409),
    ],
)
def test_what_is_no_store_request(archive: Archive, content: bytes, kind: str, status: int) -> None:
    """A status of its own, and nothing stored."""
    with archive.http() as http:
        answer = http.post("/studies", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text


def test_whoever_may_not(archive: Archive) -> None:
    """Patients and staff store nothing; nobody is 401; a cut connection leaves nothing behind."""
    content = file(fresh())
    for role in ("patient", "staff"):
        with archive.http(role) as http:
            answer = http.post("/studies", content=content, headers={"Content-Type": "application/dicom"})
            assert answer.status_code == 403
    url = f"{archive.site.url}/dicomweb/studies"
    assert httpx.post(url, content=content, trust_env=False).status_code == 401
