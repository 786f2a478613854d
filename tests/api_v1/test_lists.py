"""Lists of the legacy routes: filters, order, fields and pages, all of them decided by MongoDB."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api_v1.conftest import Person, doctor_document, patient_document, record_document


@pytest.fixture(scope="module")
def records(doctor: Person, patient: Person) -> list[dict[str, Any]]:
    """Twelve records of one patient, oldest first."""
    found = []
    for month in range(1, 13):
        document = record_document(
            doctor.id, patient.id, date=f"2025-{month:02d}-01T10:00:00Z", illness=f"illness {month % 3}, with comma"
        )
        answer = doctor.http.post("/medicalRecord", json=document)
        assert answer.status_code == 201, answer.text
        found.append(answer.json()["data"])
    return found


def _ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert content["status"] == "success"
    assert content["result"] == len(content["data"])
    assert "T" in content["DateTime"]
    return [each["_id"] for each in content["data"]]


def test_newest_first(patient: Person, doctor: Person, records: list[dict[str, Any]]) -> None:
    """The calls of the frontend: a patient's and a doctor's records, newest first, with and without a slash."""
    newest = [each["_id"] for each in reversed(records)]
    for path in ("/medicalRecord/", "/medicalRecord"):
        assert _ids(patient.http.get(f"{path}?sort=-date&patient={patient.id}")) == newest
        assert _ids(doctor.http.get(f"{path}?sort=-date&doctor={doctor.id}")) == newest
    assert _ids(doctor.http.get(f"/medicalRecord?patient={patient.id}&sort=date")) == newest[::-1]
    assert patient.http.get("/medicalRecord?sort=-date").json()["data"][0] == records[-1]


@pytest.mark.parametrize(
    ("query", "months"),
    [
        ("date[gte]=2025-11-01", [11, 12]),
        ("date[gt]=2025-11-01T10:00:00Z", [12]),
        ("date[lte]=2025-02-01", [1, 2]),
        ("date[lt]=2025-02-01T10:00:00Z", [1]),
        ("date[gte]=2025-03-01&date[lt]=2025-05-01", [3, 4]),
        ("date=2025-06-01T10:00:00.000Z", [6]),
        ("illness=illness+0,+with+comma", [3, 6, 9, 12]),
        ("illness=illness+0", []),
        ("treatment=Amoxicillin+for+seven+days&date[gte]=2025-12-01", [12]),
        ("peDiagnosis=nothing", []),
    ],
)
def test_filters(patient: Person, records: list[dict[str, Any]], query: str, months: list[int]) -> None:
    """Equality of any field, in the document's own part or another one; order of dates."""
    found = _ids(patient.http.get(f"/medicalRecord?{query}&sort=date"))
    assert found == [records[month - 1]["_id"] for month in months]


def test_pages(patient: Person, records: list[dict[str, Any]]) -> None:
    """Pages follow each other without a gap, whether one index serves their order or the database sorts."""
    for order in ("-date", "date", "illness", "-illness,date"):
        pages = [_ids(patient.http.get(f"/medicalRecord?sort={order}&limit=5&page={page}")) for page in (1, 2, 3, 4)]
        assert [len(page) for page in pages] == [5, 5, 2, 0]
        found = [id for page in pages for id in page]
        assert sorted(found) == sorted(each["_id"] for each in records)
        assert found == _ids(patient.http.get(f"/medicalRecord?sort={order}"))


def test_fields(patient: Person, records: list[dict[str, Any]]) -> None:
    """Only the fields that are asked for, and the ids."""
    found = patient.http.get("/medicalRecord?fields=illness,date&sort=date&limit=1").json()["data"]
    names = ("_id", "id", "illness", "date")
    assert found == [{name: records[0][name] for name in names}]


@pytest.fixture(scope="module")
def people(staff: Person, specialization: str) -> dict[str, dict[str, Any]]:
    """A patient and a doctor whom nobody else resembles."""
    mark = uuid4().hex
    made: dict[str, dict[str, Any]] = {}
    documents = {
        "patient": patient_document(
            name=f"Zaynab {mark}", birthdate="1951-02-03", bloodType="B", allergy=f"nuts {mark}"
        ),
        "doctor": doctor_document(specialization, name=f"Dr {mark}", hospital=f"Hospital {mark}", background=mark),
    }
    for entity, document in documents.items():
        made[entity] = {**document, **staff.http.post(f"/{entity}", json=document).json()["data"]}
    return made


@pytest.mark.parametrize(
    "field", ["name", "email", "phone", "gender", "birthdate", "IDcard", "currentAddress", "allergy", "bloodType"]
)
def test_every_field_of_a_patient(doctor: Person, people: dict[str, dict[str, Any]], field: str) -> None:
    """A patient is found by each of their fields, and not by another value of it."""
    one = people["patient"]
    if field in {"allergy", "bloodType"}:
        one = {**one, **doctor.http.get(f"/patient/{one['_id']}").json()["data"]}
    assert one["_id"] in _ids(doctor.http.get("/patient", params={field: one[field], "limit": 1000}))
    other = {"gender": "Male", "birthdate": "1951-02-04", "IDcard": 7, "bloodType": "A"}.get(field, "somebody else")
    assert one["_id"] not in _ids(doctor.http.get("/patient", params={field: other, "limit": 1000}))


@pytest.mark.parametrize(
    "field", ["name", "email", "phone", "gender", "specialization", "specializationDetail", "background", "hospital"]
)
def test_every_field_of_a_doctor(patient: Person, people: dict[str, dict[str, Any]], field: str) -> None:
    """A doctor is found by each of their fields, those of the role and of the hospital included."""
    one = people["doctor"]
    value = one[field]["_id"] if field == "specialization" else one[field]
    assert one["_id"] in _ids(patient.http.get("/doctor", params={field: value, "limit": 1000}))
    other = {"gender": "Female", "specialization": "nothing"}.get(field, "somebody else")
    assert one["_id"] not in _ids(patient.http.get("/doctor", params={field: other, "limit": 1000}))


def test_staff_do_not_see_what_is_clinical_of_a_patient(staff: Person, people: dict[str, dict[str, Any]]) -> None:
    """Staff list patients, without allergies and blood groups, and cannot look for those either."""
    shown = staff.http.get(f"/patient/{people['patient']['_id']}").json()["data"]
    assert "allergy" not in shown
    assert "bloodType" not in shown
    assert staff.http.get("/patient?bloodType=B").status_code == 403
    assert staff.http.get("/patient", params={"sort": "name", "birthdate[lt]": "1952-01-01"}).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "nothing=1",
        "password=x",
        "passwordHash=x",
        "$where=1",
        "email[$ne]=",
        "email[$ne]=x",
        "date[$gt]=2020",
        "date[regex]=2020",
        "illness[gte]=a",
        "date=yesterday",
        "date[gte]=",
        "page=0",
        "page=-1",
        "page=1.5",
        "page=1e3",
        "page=99999",
        "page=4294967296",
        "limit=0",
        "limit=1001",
        "limit=1000000000",
        "limit=%F0%9D%9F%99",
        "sort=treatment",
        "sort=nothing",
        "sort=-",
        "sort=date,date",
        "sort=date&sort=date",
        "fields=password_hash",
        "fields=",
        "illness=a%00b",
        "illness=%FF",
        "patient[a][b]=1",
        "patient.name=x",
        "illness=" + "x" * 1001,
    ],
)
def test_malformed_queries(doctor: Person, query: str) -> None:
    """An unknown field or operator, or a value that is none of the field's: 400 that names it, and shows no value."""
    answer = doctor.http.get(f"/medicalRecord?{query}")
    assert answer.status_code == 400, answer.text
    content = answer.json()
    assert content["status"] == "fail"
    assert content["message"]
    assert "x" * 50 not in answer.text
    assert "yesterday" not in answer.text
