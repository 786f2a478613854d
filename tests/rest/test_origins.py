"""Patient/$origins over HTTP: where each part of a history came from, as this site knows it."""

from __future__ import annotations

from typing import Any

import httpx

from .clients import entry, patient, transaction
from .conftest import PatientClient


def _report(subject: str, **elements: object) -> dict[str, Any]:
    return {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": {"text": "Report"},
        "subject": {"reference": subject},
        **elements,
    }


async def _origins(client: httpx.AsyncClient, id: str) -> dict[str, tuple[str, bool]]:
    answer = await client.get(f"/Patient/{id}/$origins")
    assert answer.status_code == 200, answer.text
    found: dict[str, tuple[str, bool]] = {}
    for origin in answer.json().get("parameter", []):
        part = {one["name"]: one for one in origin["part"]}
        organization = part["organization"]["valueReference"]["reference"]
        found[part["target"]["valueReference"]["reference"]] = (organization, part["verified"]["valueBoolean"])
    return found


async def _contributed(partner: httpx.AsyncClient) -> tuple[str, str]:
    """A patient and a report of a partner: the patient's id, and the report's reference."""
    person = entry("POST", "Patient", patient())
    answer = await partner.post(
        "/", json=transaction(person, entry("POST", "DiagnosticReport", _report(person["fullUrl"])))
    )
    assert answer.status_code == 200, answer.text
    locations = [row["response"]["location"].partition("/_history")[0] for row in answer.json()["entry"]]
    return locations[0].rpartition("/")[2], "/".join(locations[1].split("/")[-2:])


async def test_what_a_partner_contributed_is_verified(
    partner: httpx.AsyncClient, doctor: httpx.AsyncClient, staff: httpx.AsyncClient, one: PatientClient
) -> None:
    """Its report bears its name; a report of the site itself has no origin; others are refused."""
    id, report = await _contributed(partner)
    own = await doctor.post("/DiagnosticReport", json=_report(f"Patient/{id}"))
    assert own.status_code == 201, own.text
    [(reference, (organization, verified))] = (await _origins(doctor, id)).items()
    assert (reference, verified) == (report, True)
    assert (await doctor.get(f"/{organization}")).json()["resourceType"] == "Organization"
    assert (await one.http.get(f"/Patient/{id}/$origins")).status_code == 404
    assert await _origins(staff, id) == {}
    assert (await doctor.get("/Patient/nobody/$origins")).status_code == 404
    assert (await doctor.get(f"/Patient/{id}/$origins?x=1")).status_code == 400


async def test_what_was_changed_since_is_not_verified(partner: httpx.AsyncClient, doctor: httpx.AsyncClient) -> None:
    """A later version, outside the transaction that was recorded, is not what came."""
    id, report = await _contributed(partner)
    changed = (await partner.get(f"/{report}")).json() | {"conclusion": "Changed afterwards."}
    assert (await partner.put(f"/{report}", json=changed)).status_code == 200
    [(_, verified)] = (await _origins(doctor, id)).values()
    assert verified is False


async def test_a_provenance_cannot_claim_what_is_not_the_partners(
    partner: httpx.AsyncClient, doctor: httpx.AsyncClient
) -> None:
    """Neither a report of this site, nor one in another hospital's name, becomes somebody's by saying so."""
    id, report = await _contributed(partner)
    written = await doctor.post("/DiagnosticReport", json=_report(f"Patient/{id}"))
    own = f"DiagnosticReport/{written.json()['id']}"
    [(organization, _)] = (await _origins(doctor, id)).values()
    for who in (organization, "Organization/somebody-else"):
        claim = {
            "resourceType": "Provenance",
            "target": [{"reference": f"{reference}/_history/1"} for reference in (own, report)],
            "recorded": "2026-01-01T10:00:00Z",
            "agent": [{"who": {"reference": who}}],
        }
        await partner.post("/Provenance", json=claim)
        odd = {**claim, "target": [{"reference": f"{report}/_history/x"}]}
        await partner.post("/Provenance", json=odd)
    assert {reference: who for reference, (who, _) in (await _origins(doctor, id)).items()} == {report: organization}


async def test_a_doctor_of_another_hospital_is_none_here(partner: httpx.AsyncClient, doctor: httpx.AsyncClient) -> None:
    """The tag that makes somebody a doctor of a site stays at that site; other tags travel."""
    tags = [{"system": "urn:hayat:role", "code": "doctor"}, {"system": "urn:other", "code": "kept"}]
    person = {"resourceType": "Practitioner", "name": [{"text": "Dr. Elsewhere"}], "meta": {"tag": tags}}
    answer = await partner.post("/", json=transaction(entry("POST", "Practitioner", person)))
    assert answer.status_code == 200, answer.text
    location = answer.json()["entry"][0]["response"]["location"].partition("/_history")[0]
    stored = (await doctor.get(location)).json()
    assert stored["meta"]["tag"] == [tags[1]]
    found = await doctor.get("/Practitioner", params={"_tag": "urn:hayat:role|doctor", "name": "Elsewhere"})
    assert found.json()["total"] == 0
