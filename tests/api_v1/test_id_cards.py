"""The number of an identity card: told by whoever registers, confirmed by the staff, and only then good for linking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api_v1.conftest import Person, RunningSite, patient_document, signed_in

ID_CARD = "urn:hayat:id-card"
CLAIMED = "urn:hayat:id-card:claimed"


@pytest.fixture
def partner(site: RunningSite) -> Iterator[httpx.Client]:
    """The partner hospital, at the FHIR base."""
    headers = {"authorization": f"Bearer {site.partner_token()}"}
    with httpx.Client(base_url=f"{site.url}/fhir", headers=headers, timeout=120, trust_env=False) as client:
        yield client


def _registered(anonymous: httpx.Client, **changes: Any) -> dict[str, Any]:
    answer = anonymous.post("/patient/register", json=patient_document(**changes))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


def _identifiers(staff: Person, id: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = staff.fhir.get(f"/Patient/{id}").json()["identifier"]
    return found


def _shared(partner: httpx.Client, number: int) -> str:
    """Where a history goes that another hospital shares by this number: the id of its Patient here."""
    number_there = uuid4().hex
    patient = {
        "resourceType": "Patient",
        "identifier": [
            {"system": ID_CARD, "value": str(number)},
            {"system": "http://p.example/fhir/Patient", "value": number_there},
        ],
    }
    report = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": {"text": "Secret report"},
        "subject": {"reference": "urn:uuid:5b1934a0-d14e-4d2e-902a-b9bc6aa2ad11"},
    }
    criteria = f"identifier={ID_CARD}|{number},http://p.example/fhir/Patient|{number_there}"
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:5b1934a0-d14e-4d2e-902a-b9bc6aa2ad11",
                "resource": patient,
                "request": {"method": "POST", "url": "Patient", "ifNoneExist": criteria},
            },
            {
                "fullUrl": "urn:uuid:5b1934a0-d14e-4d2e-902a-b9bc6aa2ad12",
                "resource": report,
                "request": {"method": "POST", "url": "DiagnosticReport"},
            },
        ],
    }
    answer = partner.post("/", json=bundle)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["entry"][0]["response"]["location"].split("/")[-3])


def test_another_ones_number_brings_nobody_their_history(
    site: RunningSite, anonymous: httpx.Client, staff: Person, partner: httpx.Client
) -> None:
    """Registering takes no proof: what is shared by the number goes elsewhere, however many have told it."""
    first = patient_document()
    answer = anonymous.post("/patient/register", json=first)
    assert answer.status_code == 201
    impostor = signed_in(site, anonymous, "patient", first["email"])
    _registered(anonymous, IDcard=first["IDcard"])
    goes_to = _shared(partner, first["IDcard"])
    assert goes_to != impostor.id
    assert impostor.fhir.get("/DiagnosticReport").json().get("entry", []) == []
    assert _identifiers(staff, impostor.id) == [{"system": CLAIMED, "value": str(first["IDcard"])}]
    assert _shared(partner, first["IDcard"]) == goes_to


def test_a_claim_reads_as_any_number(site: RunningSite, anonymous: httpx.Client, doctor: Person) -> None:
    """It comes back as it was sent, is found by, and may be sent back; another one is the site's to write."""
    document = patient_document()
    registered = anonymous.post("/patient/register", json=document).json()["data"]
    assert registered["IDcard"] == document["IDcard"]
    person = signed_in(site, anonymous, "patient", document["email"])
    shown = person.http.get(f"/patient/{person.id}").json()["data"]
    assert shown == registered
    assert person.http.put(f"/patient/{person.id}", json=shown).status_code == 200
    assert person.http.put(f"/patient/{person.id}", json={"IDcard": document["IDcard"] + 1}).status_code == 403
    found = doctor.http.get("/patient", params={"IDcard": document["IDcard"]}).json()["data"]
    assert [one["id"] for one in found] == [person.id]


def test_the_staff_confirm_a_claim(anonymous: httpx.Client, staff: Person, partner: httpx.Client) -> None:
    """By naming the number in a correction, also another one; a correction of something else confirms nothing."""
    for change in (0, 1):
        registered = _registered(anonymous)
        id, number = registered["id"], registered["IDcard"]
        assert staff.http.put(f"/patient/{id}/correction", json={"phone": "+20 7"}).status_code == 200
        assert _identifiers(staff, id) == [{"system": CLAIMED, "value": str(number)}]
        answer = staff.http.put(f"/patient/{id}/correction", json={"IDcard": number + change})
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"]["IDcard"] == number + change
        assert _identifiers(staff, id) == [{"system": ID_CARD, "value": str(number + change)}]
        assert _shared(partner, number + change) == id
        version = staff.fhir.get(f"/Patient/{id}").json()["meta"]["versionId"]
        assert staff.http.put(f"/patient/{id}/correction", json={"IDcard": number + change}).status_code == 200
        assert staff.fhir.get(f"/Patient/{id}").json()["meta"]["versionId"] == version


def test_what_the_staff_enter_is_confirmed(staff: Person, partner: httpx.Client) -> None:
    """They have seen the card."""
    document = patient_document()
    made = staff.http.post("/patient", json=document).json()["data"]
    assert _identifiers(staff, made["id"]) == [{"system": ID_CARD, "value": str(document["IDcard"])}]
    assert _shared(partner, document["IDcard"]) == made["id"]


def test_no_two_patients_have_one_number_confirmed(
    anonymous: httpx.Client, staff: Person, partner: httpx.Client
) -> None:
    """The second one's stays a claim, so that shares still find the first; to confirm it is refused."""
    document = patient_document()
    first = staff.http.post("/patient", json=document).json()["data"]
    for second in (
        staff.http.post("/patient", json=patient_document(IDcard=document["IDcard"])).json()["data"],
        _registered(anonymous, IDcard=document["IDcard"]),
    ):
        assert second["IDcard"] == document["IDcard"]
        refused = staff.http.put(f"/patient/{second['id']}/correction", json={"IDcard": document["IDcard"]})
        assert refused.status_code == 409
        assert _identifiers(staff, second["id"]) == [{"system": CLAIMED, "value": str(document["IDcard"])}]
    assert _shared(partner, document["IDcard"]) == first["id"]


def test_a_registration_does_not_tell_whose_number_is_known(anonymous: httpx.Client, staff: Person) -> None:
    """The answer is the same for a number that the site has confirmed and for one that it has never seen."""
    document = patient_document()
    assert staff.http.post("/patient", json=document).status_code == 201
    known = _registered(anonymous, email=f"{uuid4().hex}@patient.example", IDcard=document["IDcard"])
    unknown = _registered(anonymous, email=f"{uuid4().hex}@patient.example")
    assert known.keys() == unknown.keys()
