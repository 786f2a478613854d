"""The staff's front desk: entries set right, people shut out and let in again."""

from __future__ import annotations

import time

import httpx

from tests.api_v1.conftest import (
    PASSWORD,
    Person,
    RunningSite,
    doctor_document,
    patient_document,
    signed_in,
    staff_document,
)

_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)
"""A picture of one red pixel."""


def _made(staff: Person, entity: str, document: dict[str, object]) -> str:
    answer = staff.http.post(f"/{entity}", json=document)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["id"])


def test_staff_correct_a_patient(site: RunningSite, anonymous: httpx.Client, staff: Person) -> None:
    """What is named changes, in FHIR too, the rest stays; a new address is the one to sign in with."""
    document = patient_document()
    id = _made(staff, "patient", document)
    change = {"name": "Amina Corrected", "phone": "+20 7", "email": f"new-{document['email']}"}
    answer = staff.http.put(f"/patient/{id}/correction", json=change)
    assert answer.status_code == 200, answer.text
    found = answer.json()["data"]
    assert (found["name"], found["phone"], found["gender"]) == ("Amina Corrected", "+20 7", "Female")
    assert staff.fhir.get(f"/Patient/{id}").json()["telecom"][0]["value"].startswith("new-")
    person = signed_in(site, anonymous, "patient", change["email"])
    assert person.id == id
    assert person.http.get(f"/patient/{id}").json()["data"]["allergy"] == "penicillin"
    old = {"email": document["email"], "password": PASSWORD}
    assert anonymous.post("/patient/login", json=old).status_code == 401


def test_staff_give_a_doctor_a_photograph(staff: Person, specialization: str) -> None:
    """A form with a file, as for a new doctor."""
    id = _made(staff, "doctor", doctor_document(specialization))
    answer = staff.http.put(
        f"/doctor/{id}/correction",
        data={"background": "Trained in Lyon"},
        files={"photo": ("me.png", _PNG, "image/png")},
    )
    assert answer.status_code == 200, answer.text
    found = answer.json()["data"]
    assert found["background"] == "Trained in Lyon"
    assert "/photo/" in found["photo"]
    assert "default" not in found["photo"]


def test_who_is_shut_out_comes_in_again(
    site: RunningSite, anonymous: httpx.Client, staff: Person, specialization: str
) -> None:
    """Sign-in and tokens end, the entry says that it is not in use; later both come back."""
    document = doctor_document(specialization)
    id = _made(staff, "doctor", document)
    login = {"email": document["email"], "password": PASSWORD}
    person = signed_in(site, anonymous, "doctor", str(document["email"]))
    assert staff.http.put(f"/doctor/{id}/access", json={"disabled": True}).status_code == 204
    assert anonymous.post("/doctor/login", json=login).status_code == 401
    assert staff.fhir.get(f"/Practitioner/{id}").json()["active"] is False
    deadline = time.monotonic() + 10
    while person.http.get("/auth/").status_code != 401:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert staff.http.put(f"/doctor/{id}/access", json={"disabled": False}).status_code == 204
    assert anonymous.post("/doctor/login", json=login).status_code == 200
    assert staff.fhir.get(f"/Practitioner/{id}").json()["active"] is True


def test_the_desk_is_the_staffs(staff: Person, doctor: Person, patient: Person, other: Person) -> None:
    """Doctors and patients correct nobody; staff do not shut themselves out; bodies are checked."""
    for person in (doctor, patient):
        for path in (f"/patient/{other.id}", f"/patient/{patient.id}", f"/doctor/{doctor.id}"):
            assert person.http.put(f"{path}/correction", json={"phone": "+20 1"}).status_code in {403, 404}
            assert person.http.put(f"{path}/access", json={"disabled": True}).status_code in {403, 404}
    assert staff.http.put(f"/staff/{staff.id}/access", json={"disabled": True}).status_code == 409
    assert staff.http.put("/patient/nobody/access", json={"disabled": True}).status_code == 404
    assert staff.http.put(f"/doctor/{patient.id}/access", json={"disabled": True}).status_code == 404
    for body in ({}, {"disabled": "yes"}, {"disabled": True, "password": "x"}):
        assert staff.http.put(f"/patient/{other.id}/access", json=body).status_code == 400
    assert staff.http.put(f"/patient/{other.id}/correction", json={"password": PASSWORD}).status_code == 400
    clerk = _made(staff, "staff", staff_document())
    assert staff.http.put(f"/doctor/{clerk}/access", json={"disabled": True}).status_code == 404
