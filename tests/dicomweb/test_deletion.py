"""Deletion by the staff: out of sight for everybody, on record, and reversible; nobody else deletes."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from .conftest import Archive, example, push

ACCEPT = {"Accept": "application/dicom"}


def until(holds: Callable[[], bool]) -> None:
    """Wait for something to hold."""
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def address(image: FileDataset) -> str:
    """Where it is served."""
    return f"/studies/{image.StudyInstanceUID}/series/{image.SeriesInstanceUID}/instances/{image.SOPInstanceUID}"


def pushed(archive: Archive) -> list[FileDataset]:
    """Three images in two series of a new study, in sight."""
    study, one, two = generate_uid(), generate_uid(), generate_uid()
    number = f"D-{generate_uid()[-8:]}"
    images = [example("CT_small.dcm", study, series, number, "Deleted^Somebody") for series in (one, one, two)]
    push(archive, images)
    with archive.http() as http:
        until(lambda: all(http.get(address(image), headers=ACCEPT).status_code == 200 for image in images))
    return images


def entries(archive: Archive, study: str) -> list[dict[str, str]]:
    """The entries of the quarantine that the staff sees of a study."""
    with httpx.Client(base_url=archive.site.url, timeout=60, trust_env=False) as http:
        headers = {"Authorization": f"Bearer {archive.token('staff')}"}
        found = http.get("/fhir/$quarantine", params={"state": "withheld", "study": study}, headers=headers)
    return [entry["resource"] for entry in found.raise_for_status().json().get("entry", ())]


def resolve(archive: Archive, study: str) -> None:
    """Let all of a study in again."""
    for entry in entries(archive, study):
        given = {"decision": "accept", "id": entry["id"], "reason": "deleted by mistake"}
        parameters = [{"name": name, "valueString": value} for name, value in given.items()]
        with httpx.Client(base_url=archive.site.url, timeout=60, trust_env=False) as http:
            http.post(
                "/fhir/$quarantine",
                json={"resourceType": "Parameters", "parameter": parameters},
                headers={"Authorization": f"Bearer {archive.token('staff')}"},
            ).raise_for_status()


def test_an_image_a_series_and_a_study_are_deleted_and_come_back(archive: Archive) -> None:
    """Each is gone for whoever sees images, the rest of the study stays; let in again, they are the same bytes."""
    images = pushed(archive)
    study = f"/studies/{images[0].StudyInstanceUID}"
    with archive.http() as doctor, archive.http("staff") as staff:
        before = {address(image): doctor.get(address(image), headers=ACCEPT).content for image in images}

        def seen() -> list[bool]:
            return [doctor.get(path, headers=ACCEPT).status_code == 200 for path in before]

        assert staff.delete(address(images[0])).status_code == 204
        until(lambda: seen() == [False, True, True])
        assert staff.delete(address(images[0])).status_code == 404
        assert staff.delete(f"{study}/series/{images[0].SeriesInstanceUID}").status_code == 204
        until(lambda: seen() == [False, False, True])
        assert staff.delete(study).status_code == 204
        until(lambda: seen() == [False] * 3)
        until(
            lambda: doctor.get("/studies", params={"StudyInstanceUID": images[0].StudyInstanceUID}).text in {"", "[]"}
        )
        assert doctor.get(f"{study}/metadata").status_code == 404

        resolve(archive, images[0].StudyInstanceUID)
        until(lambda: seen() == [True] * 3)
        assert {path: doctor.get(path, headers=ACCEPT).content for path in before} == before


def test_nobody_but_the_staff_deletes(archive: Archive) -> None:
    """Doctors, patients and strangers are refused, and nothing is gone; what is not there is not found."""
    images = pushed(archive)
    path = address(images[0])
    for role, status in (("doctor", 403), ("patient", 403)):
        with archive.http(role) as http:
            assert http.delete(path).status_code == status
    with httpx.Client(base_url=f"{archive.site.url}/dicomweb", timeout=60, trust_env=False) as http:
        assert http.delete(path).status_code == 401
    with archive.http("staff") as staff:
        assert staff.delete(f"/studies/{generate_uid()}").status_code == 404
        assert staff.delete(f"/studies/{images[0].StudyInstanceUID}/series/1.2.3").status_code == 404
    with archive.http() as doctor:
        assert doctor.get(path, headers=ACCEPT).status_code == 200


def test_a_deletion_is_on_record(archive: Archive) -> None:
    """One AuditEvent says who deleted of which study; the entries say why they are withheld."""
    images = pushed(archive)
    with archive.http("staff") as staff:
        assert staff.delete(f"/studies/{images[0].StudyInstanceUID}").status_code == 204
    with archive.site.client("staff") as http:
        found = http.get("/AuditEvent", params={"action": "D", "_sort": "-date"}).raise_for_status().json()
    (entity,) = found["entry"][0]["resource"]["entity"]
    assert entity["what"]["reference"].startswith("ImagingStudy/")
    withheld = entries(archive, images[0].StudyInstanceUID)
    assert len(withheld) == 3
    assert {entry["reasonCode"]["text"] for entry in withheld} == {"deleted by the staff"}
