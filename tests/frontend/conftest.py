"""A real site with people, records and images pushed over DICOM, and Debian's Chromium to look at it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from hayat_fhir.demonstration_site import Site, free_port
from hayat_fhir.dimse.demonstration import push_examples

from .images import image, push

PASSWORD = "quiet harbour lantern 58"
CHROMIUM = shutil.which("chromium", path="/usr/bin:/usr/local/bin")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream=fps=30",
    "--use-fake-ui-for-media-stream",
]
_QUARANTINED = 0xA900
_PATIENCE = 60_000
"""Milliseconds that a page has to show what it should: a bound for what never comes."""
_BLOOD_PRESSURE = ((2023, 152, 96), (2024, 144, 91), (2025, 136, 86), (2026, 128, 82))


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account: ``id`` is that of the Patient or Practitioner."""

    role: str
    email: str
    name: str
    id: str
    token: str


@dataclass(frozen=True, slots=True)
class Hospital:
    """A site that serves the app, and who is there."""

    url: str
    patient: Person
    other_patient: Person
    """Nothing is known of them."""
    doctor: Person
    staff: Person
    studies: dict[str, str]
    """Modality to the id of the ImagingStudy."""
    dicom_port: int
    number: str
    """The patient's number, as images carry it."""
    other_origin: str
    """Whose pages may use the site too."""
    site: Site | None = None
    """The site itself, for what is done at its command line; None where it runs in the test's own process."""

    def http(self, person: Person) -> httpx.Client:
        """A client with this person's token."""
        headers = {"Authorization": f"Bearer {person.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=120, trust_env=False)


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """The site, started as ``hayat serve`` does."""
    origin = f"http://localhost:{free_port()}"
    site = Site("Al-Noor Hospital", "NOOR", tmp_path_factory.mktemp("noor"))
    site.further_settings["HAYAT_CORS_ORIGINS"] = json.dumps([origin])
    site.start()
    try:
        site.wait_until_ready()
        yield _peopled(site, origin)
    finally:
        site.stop()


def _peopled(site: Site, origin: str) -> Hospital:
    email = "staff@noor.example"
    site.hayat(
        *("account", "add", "--role", "staff", "--email", email, "--name", "Samira Haddad", "--password-stdin"),
        stdin=PASSWORD,
    )
    site.hayat("partner", "add", "--name", "City Clinic", "--fhir-url", "http://127.0.0.1:9/fhir")
    site.hayat("partner", "add", "--name", "PACS", "--ae-title", "PACS", "--host", "127.0.0.1", "--port", "104")
    with httpx.Client(base_url=site.url, timeout=120, trust_env=False) as http:
        staff = _signed_in(http, "staff", email)
        http.headers["authorization"] = f"Bearer {staff.token}"
        _post(
            http, "/api/v1/staff", _person("Omar Nasser", "omar@noor.example") | {"position": "Records", "salary": 900}
        )
        area = _post(http, "/api/v1/specialization", {"specialization": "Radiology", "detail": "Images and findings"})
        _post(http, "/api/v1/specialization", {"specialization": "Cardiology", "detail": "Heart and circulation"})
        _post(
            http,
            "/api/v1/doctor",
            _person("Dr. Layla Mansour", "doctor@noor.example")
            | {"specialization": area["id"], "specializationDetail": "Thoracic imaging", "hospital": "Al-Noor Hospital"}
            | {"background": "Fifteen years of reading chest images."},
        )
        patient = _post(
            http,
            "/api/v1/patient",
            _person("Huda Karim", "patient@noor.example")
            | {"birthdate": "1986-04-12", "IDcard": 48151623, "allergy": "Penicillin", "bloodType": "A"},
        )
        number = [
            one for one in _resource(http, f"Patient/{patient['id']}")["identifier"] if "patient" in one["system"]
        ]
        value = number[0]["value"] if number else _numbered(http, site.url, patient["id"])
        doctor = _signed_in(http, "doctor", "doctor@noor.example")
        http.headers["authorization"] = f"Bearer {doctor.token}"
        _clinical(http, patient["id"], doctor.id)
        push_examples("127.0.0.1", site.dicom_port, "NOOR", "PACS", value, "Karim^Huda", "19860412")
        studies = _studies(http, patient["id"])
        strange = [image(file, value, birth_date="19500101") for file in ("CT_small.dcm", "MR_small.dcm")]
        assert push(site.dicom_port, strange) == [_QUARANTINED, _QUARANTINED]
        del http.headers["authorization"]
        _post(
            http,
            "/api/v1/patient/register",
            _person("Nadia Saleh", "other@noor.example") | {"birthdate": "1990-01-02", "IDcard": 11223344},
        )
        person = _signed_in(http, "patient", "patient@noor.example")
        other = _signed_in(http, "patient", "other@noor.example")
    return Hospital(site.url, person, other, doctor, staff, studies, site.dicom_port, value, origin, site)


@pytest.fixture
def consultant(hospital: Hospital) -> Iterator[Person]:
    """A second doctor, for as long as a test takes."""
    email = f"consultant-{token_hex(4)}@noor.example"
    with hospital.http(hospital.staff) as http:
        area = http.get("/api/v1/specialization").raise_for_status().json()["data"][0]
        made = _post(
            http,
            "/api/v1/doctor",
            _person("Dr. Rânia Aziz", email)
            | {"specialization": area["id"], "specializationDetail": "Heart failure", "hospital": "Al-Noor Hospital"}
            | {"background": "Ten years of looking after failing hearts."},
        )
        yield _signed_in(http, "doctor", email)
        http.delete(f"/api/v1/doctor/{made['id']}").raise_for_status()


def _numbered(http: httpx.Client, url: str, id: str) -> str:
    """The patient's number at this site, given by the staff."""
    resource = _resource(http, f"Patient/{id}")
    identifier = {"system": f"{url}/identifier/patient", "value": "N-1042"}
    resource["identifier"] = [*resource.get("identifier", []), identifier]
    http.put(f"/fhir/Patient/{id}", json=resource).raise_for_status()
    return identifier["value"]


def _person(name: str, email: str) -> dict[str, Any]:
    return {"name": name, "email": email, "password": PASSWORD, "phone": "+96170000000", "gender": "Female"}


def _clinical(http: httpx.Client, patient: str, doctor: str) -> None:
    for illness, diagnosis, date in (
        ("Pneumonia", "Consolidation in the right lower lobe, no effusion.", "2026-09-14T09:30:00Z"),
        ("Hypertension", "Blood pressure is above target; no end-organ damage.", "2024-02-03T11:00:00Z"),
    ):
        record = {"patient": patient, "doctor": doctor, "illness": illness, "peDiagnosis": diagnosis, "date": date}
        _post(http, "/api/v1/medicalRecord", record | {"history": "Cough for two weeks.", "treatment": "Rest; review."})
    subject = {"reference": f"Patient/{patient}"}
    active = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]}
    condition = {"resourceType": "Condition", "subject": subject, "clinicalStatus": active}
    condition |= {"code": {"text": "Essential hypertension"}, "onsetDateTime": "2023-05"}
    http.post("/fhir/Condition", json=condition).raise_for_status()
    for year, *pressures in _BLOOD_PRESSURE:
        parts = [
            {
                "code": {"coding": [{"system": "http://loinc.org", "code": code}], "text": text},
                "valueQuantity": {"value": value, "unit": "mmHg"},
            }
            for (code, text), value in zip((("8480-6", "Systolic"), ("8462-4", "Diastolic")), pressures, strict=True)
        ]
        observation = {"resourceType": "Observation", "status": "final", "code": {"text": "Blood pressure"}}
        observation |= {"subject": subject, "effectiveDateTime": f"{year}-03-01T08:00:00Z", "component": parts}
        http.post("/fhir/Observation", json=observation).raise_for_status()


def _studies(http: httpx.Client, patient: str) -> dict[str, str]:
    """The patient's two studies, once the worker has projected them."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        bundle = http.get("/fhir/ImagingStudy", params={"patient": patient}).raise_for_status().json()
        found = {e["resource"]["modality"][0]["code"]: e["resource"]["id"] for e in bundle.get("entry", [])}
        if len(found) == 2:
            return found
        time.sleep(0.2)
    raise AssertionError("the studies did not appear")


def _resource(http: httpx.Client, reference: str) -> dict[str, Any]:
    resource: dict[str, Any] = http.get(f"/fhir/{reference}").raise_for_status().json()
    return resource


def _post(http: httpx.Client, path: str, document: dict[str, Any]) -> dict[str, Any]:
    answer = http.post(path, json=document)
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def _signed_in(http: httpx.Client, role: str, email: str) -> Person:
    answer = http.post(f"/api/v1/{role}/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    token = answer.json()["token"]
    who = http.get("/api/v1/auth/", headers={"Authorization": f"Bearer {token}"}).raise_for_status().json()
    return Person(role, email, who["name"], who["id"], token)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, with a camera and a microphone that are not real.

    It ends with the module: while Playwright runs, no other event loop can run in this thread.
    """
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        expect.set_options(timeout=_PATIENCE)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass(slots=True)
class Visits:
    """Opens pages, and collects whatever is wrong on them."""

    browser: Browser
    hospital: Hospital
    contexts: list[BrowserContext] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def open(self, path: str, person: Person | None = None, **options: Any) -> Page:
        """The app at this path, as this person or nobody."""
        context = self.browser.new_context(base_url=self.hospital.url, **{"locale": "en-GB", **options})
        self.contexts.append(context)
        if person is not None:
            session = {"token": person.token, "role": person.role, "id": person.id, "name": person.name}
            text = json.dumps(json.dumps(session))
            context.add_init_script(f"if (!sessionStorage.getItem('left')) sessionStorage['hayat.session'] = {text}")
        page = context.new_page()
        page.on("console", lambda message: self._heard(message.type, message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self.hosts.add(httpx.URL(request.url).netloc.decode()))
        page.goto(path)
        return page

    def _heard(self, kind: str, text: str) -> None:
        if kind == "error" and "Failed to load resource" not in text:
            self.problems.append(text)


@pytest.fixture
def visits(chromium: Browser, hospital: Hospital) -> Iterator[Visits]:
    """Opens pages; afterwards nothing may have gone wrong on them, and no other host have been asked."""
    visits = Visits(chromium, hospital)
    yield visits
    for context in visits.contexts:
        context.close()
    assert not visits.problems
    assert visits.hosts - {"", hospital.url.removeprefix("http://")} == set()


Open = Callable[..., Page]


@pytest.fixture
def open_page(visits: Visits) -> Open:
    """Opens a page of the app."""
    return visits.open
