"""Every legacy route as every role, by the tables of the product; and the same seen through /fhir."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api_v1.conftest import (
    Person,
    RunningSite,
    doctor_document,
    patient_document,
    record_document,
    signed_in,
    staff_document,
)

ROLES = ("patient", "doctor", "staff", "partner")

ALLOWED = """
patient        GET     /            doctor staff
patient        GET     /:id         doctor staff
patient        GET     /:self       patient doctor staff
patient        POST    /            staff
patient        PUT     /:id
patient        PUT     /:self       patient
patient        DELETE  /:id         staff
doctor         GET     /            patient staff
doctor         GET     /:id         patient staff
doctor         GET     /:self       patient doctor staff
doctor         POST    /            staff
doctor         PUT     /:id
doctor         PUT     /:self       doctor
doctor         DELETE  /:id         staff
staff          GET     /            staff
staff          GET     /:id         staff
staff          POST    /            staff
staff          PUT     /:id         staff
staff          DELETE  /:id         staff
medicalRecord  GET     /            patient doctor
medicalRecord  GET     /:own        patient doctor
medicalRecord  GET     /:foreign    doctor
medicalRecord  POST    /            doctor
medicalRecord  PUT     /:own        doctor
medicalRecord  DELETE  /:own        doctor
specialization GET     /            patient doctor staff
specialization GET     /:id         patient staff
specialization POST    /            staff
specialization PUT     /:id         staff
specialization DELETE  /:id         staff
"""
"""The access columns of the product's tables;
``self``: the entry of this patient, of this doctor; ``own``: a record about this patient
by this doctor, ``foreign``: one about another patient."""

ROWS = [
    (line[:15].strip(), line[15:23].strip(), line[23:36].strip(), line[36:].split())
    for line in ALLOWED.strip().splitlines()
]

TYPES = {
    "patient": "Patient",
    "doctor": "Practitioner",
    "staff": "Practitioner",
    "medicalRecord": "DiagnosticReport",
    "specialization": "HealthcareService",
}

OF_PATIENTS = frozenset({"Patient", "DiagnosticReport"})

WIDER_THROUGH_FHIR = {
    ("doctor", "doctor", "GET", "/"): "reports name those who made them: doctors read the directory",
    ("doctor", "doctor", "GET", "/:id"): "reports name those who made them: doctors read the directory",
    ("doctor", "specialization", "GET", "/:id"): "the directory",
    ("partner", "doctor", "GET", "/"): "the directory",
    ("partner", "doctor", "GET", "/:id"): "the directory",
    ("partner", "specialization", "GET", "/"): "the directory",
    ("partner", "specialization", "GET", "/:id"): "the directory",
    ("patient", "patient", "GET", "/"): "a search that finds the patient themselves and nobody else",
    ("partner", "patient", "GET", "/"): "a search that finds shared patients only",
    ("partner", "medicalRecord", "GET", "/"): "a search that finds shared patients' records only",
    ("staff", "patient", "PUT", "/:id"): "staff manage the register of patients",
    ("staff", "patient", "PUT", "/:self"): "staff manage the register of patients",
    ("staff", "doctor", "PUT", "/:id"): "staff manage the directory",
    ("staff", "doctor", "PUT", "/:self"): "staff manage the directory",
    ("partner", "doctor", "GET", "/:self"): "the directory",
}
"""Where /fhir lets somebody do what their legacy route does not, and why: it discloses nothing more."""


@pytest.fixture(scope="module")
def people(
    site: RunningSite, staff: Person, doctor: Person, patient: Person, other: Person
) -> Iterator[dict[str, httpx.Client]]:
    """The clients of all roles at ``/api/v1``."""
    headers = {"authorization": f"Bearer {site.partner_token()}"}
    with httpx.Client(base_url=f"{site.url}/api/v1", headers=headers, trust_env=False) as partner:
        yield {"patient": patient.http, "doctor": doctor.http, "staff": staff.http, "partner": partner}


class Target:
    """Makes, for each row and role, what a route is tried on, so that no try spoils another one."""

    def __init__(self, staff: Person, doctor: Person, patient: Person, other: Person, specialization: str) -> None:
        self.staff, self.doctor, self.patient, self.other = staff, doctor, patient, other
        self.specialization = specialization

    def id(self, entity: str, place: str) -> str:
        """The id that stands in the path."""
        if place == "/:self":
            return {"patient": self.patient.id, "doctor": self.doctor.id}[entity]
        if entity == "medicalRecord":
            about = self.patient.id if place == "/:own" else self.other.id
            return self.made(self.doctor, entity, record_document(self.doctor.id, about))
        return self.made(self.staff, entity, self.document(entity))

    def document(self, entity: str) -> dict[str, Any]:
        """What is sent to create one."""
        return {
            "patient": patient_document(),
            "doctor": doctor_document(self.specialization),
            "staff": staff_document(),
            "medicalRecord": record_document(self.doctor.id, self.patient.id),
            "specialization": {"specialization": "Cardiology", "detail": "Heart"},
        }[entity]

    def change(self, entity: str) -> dict[str, Any]:
        """What is sent to change one."""
        return {"specialization": {"detail": "Changed"}, "medicalRecord": {"treatment": "Changed"}}.get(
            entity, {"phone": "+20 5"}
        )

    @staticmethod
    def made(by: Person, entity: str, document: dict[str, Any]) -> str:
        """A new one."""
        answer = by.http.post(f"/{entity}", json=document)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["data"]["_id"])


@pytest.fixture(scope="module")
def target(staff: Person, doctor: Person, patient: Person, other: Person, specialization: str) -> Target:
    """What routes are tried on."""
    return Target(staff, doctor, patient, other, specialization)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("entity", "method", "place", "roles"), ROWS, ids=lambda value: str(value).replace("/", ""))
def test_every_route_as_every_role(
    people: dict[str, httpx.Client], target: Target, entity: str, method: str, place: str, roles: list[str], role: str
) -> None:
    """Who stands in the access column gets in; everybody else is refused, and what they tried has not happened."""
    path = f"/{entity}" if place == "/" else f"/{entity}/{target.id(entity, place)}"
    body = {"POST": target.document(entity), "PUT": target.change(entity)}.get(method)
    answer = people[role].request(method, path, json=body)
    if role in roles:
        assert answer.status_code == {"GET": 200, "POST": 201, "PUT": 200, "DELETE": 204}[method], answer.text
        return
    assert answer.status_code in {403, 404}, answer.text
    assert answer.json()["status"] == "fail"
    if (
        role == "patient"
        and place in {"/:id", "/:foreign"}
        and entity in {"patient", "medicalRecord"}
        and method == "GET"
    ):
        assert answer.status_code == 404
    reader = target.doctor if entity == "medicalRecord" else target.staff
    if method in {"PUT", "DELETE"} and place != "/:self":
        kept = reader.http.get(path)
        assert kept.status_code == 200
        assert "Changed" not in kept.text


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("entity", "method", "place", "roles"), ROWS, ids=lambda value: str(value).replace("/", ""))
def test_the_other_door_answers_the_same(
    people: dict[str, httpx.Client], target: Target, entity: str, method: str, place: str, roles: list[str], role: str
) -> None:
    """Through /fhir the same role gets in or not, but for what is listed above; nobody sees more people or records."""
    type = TYPES[entity]
    id = "" if place == "/" else target.id(entity, place)
    headers = {"authorization": "Bearer " + _token(people[role])}
    with httpx.Client(base_url=str(people[role].base_url).replace("/api/v1/", "/fhir"), headers=headers) as fhir:
        if method == "GET" and not id:
            answer = fhir.get(f"/{type}?_count=1000")
        elif method == "POST":
            answer = fhir.post(f"/{type}", json=_resource(entity, target))
        elif method == "PUT":
            stored = (target.doctor if entity == "medicalRecord" else target.staff).fhir.get(f"/{type}/{id}").json()
            answer = fhir.put(f"/{type}/{id}", json={**stored, "language": "en"})
        else:
            answer = fhir.request(method, f"/{type}/{id}")
    reader = target.doctor if entity == "medicalRecord" else target.staff
    allowed = answer.status_code < 300
    if method == "DELETE":  # what somebody cannot see is gone for them already: 204, and it stays
        allowed = reader.fhir.get(f"/{type}/{id}").status_code == 410
    if role in roles:
        assert allowed, answer.text
    elif allowed and method == "POST" and role == "partner":
        assert answer.json()["id"] not in reader.http.get(f"/{entity}?limit=1000").text or entity != "doctor"
    elif allowed and entity != "staff":
        assert (role, entity, method, place) in WIDER_THROUGH_FHIR
    if entity == "staff" and role != "staff" and id:
        assert not allowed
    if allowed and method == "GET" and not id and role in {"patient", "partner"} and type in OF_PATIENTS:
        assert target.other.id not in answer.text


def _token(client: httpx.Client) -> str:
    return client.headers.get("x-acess-token") or client.headers["authorization"].removeprefix("Bearer ")


def _resource(entity: str, target: Target) -> dict[str, Any]:
    name = [{"text": "Somebody Example"}]
    return {
        "patient": {"resourceType": "Patient", "name": name},
        "doctor": {"resourceType": "Practitioner", "name": name},
        "staff": {"resourceType": "Practitioner", "name": name},
        "specialization": {"resourceType": "HealthcareService", "name": "x"},
        "medicalRecord": {
            "resourceType": "DiagnosticReport",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": f"Patient/{target.patient.id}"},
            "performer": [{"reference": f"Practitioner/{target.doctor.id}"}],
        },
    }[entity]


def test_a_disabled_doctor_is_out_and_their_records_stay(
    site: RunningSite, anonymous: httpx.Client, staff: Person, patient: Person, specialization: str
) -> None:
    """Deleting a doctor ends their tokens and keeps what they signed, with their name."""
    document = doctor_document(specialization, name="Dr Leaving")
    staff.http.post("/doctor", json=document)
    leaving = signed_in(site, anonymous, "doctor", document["email"])
    record = leaving.http.post("/medicalRecord", json=record_document(leaving.id, patient.id)).json()["data"]
    assert staff.http.delete(f"/doctor/{leaving.id}").status_code == 204
    assert staff.http.get(f"/doctor/{leaving.id}").status_code == 404
    kept = patient.http.get(f"/medicalRecord/{record['_id']}").json()["data"]
    assert kept["doctor"]["name"] == "Dr Leaving"
    assert kept["peDiagnosis"] == record["peDiagnosis"]
    refused = anonymous.post("/doctor/login", json={"email": document["email"], "password": document["password"]})
    assert refused.status_code == 401
