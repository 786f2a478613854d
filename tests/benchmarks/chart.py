"""One patient of a hospital with a long history: 500 reports, 50 studies, and one of them with 300 CT slices."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydicom import dcmread

from hayat_fhir.demonstration_site import Site, free_port
from tests.benchmarks import storescp
from tests.benchmarks.ct_images import write_series
from tests.benchmarks.figures import BenchmarkFailed
from tests.benchmarks.run import Run

REPORTS, STUDIES, SLICES = 500, 50, 300
_CALLING = "PACS"
_NUMBER = "N-500"
_PATIENCE = 300.0
_FIRST_DAY = datetime(2012, 3, 1, 9, tzinfo=UTC)
_LOINC = "http://loinc.org"
_FINDINGS = ("Pneumonia", "Bronchitis", "Fracture of the radius", "Gastritis", "Migraine", "Otitis media")
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Chart:
    """What the pages are of: the Patient, the ImagingStudy with many slices and the address of its first one."""

    patient: str
    study: str
    first_slice: str


def fill(run: Run, site: Site, doctor: str) -> Chart:
    """Write the reports over ``/fhir``, as Practitioner ``doctor``, and push the images with ``storescu``.

    Raises:
        BenchmarkFailed: Something was refused, or the studies did not appear.
    """
    site.hayat(
        *("partner", "add", "--name", "PACS", "--ae-title", _CALLING),
        *("--host", "127.0.0.1", "--port", str(free_port())),
    )
    with site.client("staff") as http:
        identifier = {"system": f"{site.url}/identifier/patient", "value": _NUMBER}
        name = {"use": "official", "family": "Karim", "given": ["Huda"]}
        patient = {"resourceType": "Patient", "identifier": [identifier], "name": [name], "birthDate": "1986-04-12"}
        id = str(http.post("/Patient", json=patient | {"gender": "female"}).raise_for_status().json()["id"])
    with site.client("doctor") as http:
        with run.step("browser: reports", REPORTS) as task:
            for first in range(0, REPORTS, _AT_ONCE):
                reports = [_report(id, doctor, number) for number in range(first, first + _AT_ONCE)]
                entry = [{"resource": one, "request": {"method": "POST", "url": "DiagnosticReport"}} for one in reports]
                bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entry}
                http.post("/", json=bundle, timeout=_PATIENCE).raise_for_status()
                run.progress.advance(task, _AT_ONCE)
        uid = _push(run, site)
        return _when_projected(http, site, id, uid)


def _report(patient: str, doctor: str, number: int) -> dict[str, Any]:
    finding = _FINDINGS[number % len(_FINDINGS)]
    return {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": {"coding": [{"system": _LOINC, "code": "11488-4", "display": "Consult note"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "performer": [{"reference": f"Practitioner/{doctor}", "display": "Dr. Layla Mansour"}],
        "effectiveDateTime": (_FIRST_DAY + timedelta(days=10 * number)).isoformat(),
        "conclusion": f"{finding}: seen, treated, and to be seen again in two weeks; nothing else of note.",
        "conclusionCode": [{"text": finding}],
    }


def _push(run: Run, site: Site) -> str:
    """Push all images of the patient; the UID of the study with many slices, which is the latest."""
    storescu = storescp.find("storescu")
    uid = ""
    with run.step("browser: images", STUDIES) as task:
        for number in range(STUDIES):
            folder = run.folder(f"browser-study-{number}")
            last = number == STUDIES - 1
            write_series(folder, SLICES if last else 2, padded=last)
            for path in folder.iterdir():
                image = dcmread(path)
                image.PatientID, image.PatientName, image.PatientBirthDate = _NUMBER, "Karim^Huda", "19860412"
                image.PatientSex, image.StudyDescription = "F", f"Chest {number}"
                image.StudyDate = image.SeriesDate = (_FIRST_DAY + timedelta(days=100 * number)).strftime("%Y%m%d")
                image.save_as(path, enforce_file_format=True)
                uid = image.StudyInstanceUID
            command = [storescu, "-aet", _CALLING, "-aec", site.ae_title, "127.0.0.1", str(site.dicom_port)]
            done = subprocess.run([*command, "+sd", str(folder)], capture_output=True, check=False, timeout=_PATIENCE)
            if done.returncode:
                raise BenchmarkFailed(f"storescu ended with {done.returncode}")
            run.progress.advance(task)
    return uid


def _when_projected(http: httpx.Client, site: Site, patient: str, uid: str) -> Chart:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        search = {"patient": patient, "_count": "100"}
        bundle = http.get("/ImagingStudy", params=search, timeout=_PATIENCE).raise_for_status().json()
        studies = [each["resource"] for each in bundle.get("entry", [])]
        large = next((one for one in studies if f"urn:oid:{uid}" in _values(one)), None)
        if len(studies) == STUDIES and large is not None and large.get("numberOfInstances") == SLICES:
            series = large["series"][0]
            first = min(series["instance"], key=lambda instance: int(instance.get("number", 0)))
            address = f"{site.url}/dicomweb/studies/{uid}/series/{series['uid']}/instances/{first['uid']}"
            return Chart(patient, str(large["id"]), address)
        time.sleep(0.5)
    raise BenchmarkFailed("the studies did not appear")


def _values(study: dict[str, Any]) -> list[str]:
    return [str(identifier.get("value")) for identifier in study.get("identifier", [])]
