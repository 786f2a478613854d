"""Breaking the glass: what is restricted opens to a doctor with a reason, for a while, and not unseen."""

from typing import Any

import httpx
import pytest

from .clients import entry, ids, issues, observation, post, transaction
from .conftest import PatientClient, RunningSite

RESTRICTED = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}
REASON = "Unconscious in the emergency room, no relatives."


@pytest.fixture
async def secret(one: PatientClient, doctor: httpx.AsyncClient) -> str:
    """The id of a restricted Observation of a patient."""
    return str((await post(doctor, observation(one.id, meta=RESTRICTED)))["id"])


def parameters(**values: str) -> dict[str, Any]:
    """A Parameters resource."""
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name, "valueString": value} for name, value in values.items()],
    }


async def broken(site: RunningSite, doctor: httpx.AsyncClient, patient: str) -> httpx.AsyncClient:
    """A doctor who has broken the glass of this patient."""
    answer = await doctor.post(f"/Patient/{patient}/$break-glass", json=parameters(reason=REASON))
    assert answer.status_code == 200, answer.text
    found = {one["name"]: one for one in answer.json()["parameter"]}
    assert found["until"]["valueInstant"]
    token = found["access_token"]["valueString"]
    return httpx.AsyncClient(
        base_url=f"{site.url}/fhir", headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False
    )


async def test_a_doctor_is_told_that_there_is_a_glass(
    one: PatientClient, other: PatientClient, doctor: httpx.AsyncClient, partner: httpx.AsyncClient, secret: str
) -> None:
    """403 that says so to the doctor; to everybody else it does not exist; nothing is in a search."""
    refused = await doctor.get(f"/Observation/{secret}")
    assert refused.status_code == 403
    assert issues(refused)[0]["code"] == "suppressed"
    assert "$break-glass" in issues(refused)[0]["diagnostics"]
    assert (await doctor.get("/Observation/no-such-one")).status_code == 404
    assert (await other.http.get(f"/Observation/{secret}")).status_code == 404
    assert (await partner.get(f"/Observation/{secret}")).status_code == 404
    assert secret not in ids((await doctor.get(f"/Observation?patient={one.id}")).json())
    state = (await doctor.get(f"/Patient/{one.id}/$break-glass")).json()
    assert state["parameter"] == [{"name": "withheld", "valueBoolean": True}]


async def test_the_glass_opens_one_patient_to_one_doctor(
    site: RunningSite, one: PatientClient, other: PatientClient, doctor: httpx.AsyncClient, secret: str
) -> None:
    """With the token of the emergency: by read, search, count and $everything; not with the session's own."""
    foreign = (await post(doctor, observation(other.id, meta=RESTRICTED)))["id"]
    async with await broken(site, doctor, one.id) as emergency:
        assert (await emergency.get(f"/Observation/{secret}")).status_code == 200
        assert secret in ids((await emergency.get(f"/Observation?patient={one.id}")).json())
        assert secret in ids((await emergency.get(f"/Patient/{one.id}/$everything")).json())
        counted = [
            (await client.get(f"/Observation?patient={one.id}&_total=accurate&_count=1")).json()["total"]
            for client in (emergency, doctor)
        ]
        assert counted[0] > counted[1]
        assert (await emergency.get(f"/Observation/{foreign}")).status_code == 403
        assert (await doctor.get(f"/Observation/{secret}")).status_code == 403
        both = await broken(site, emergency, other.id)
        async with both:
            for id in (secret, foreign):
                assert (await both.get(f"/Observation/{id}")).status_code == 200


async def shown_in_histories(client: httpx.AsyncClient, id: str, since: str) -> dict[str, list[str]]:
    """The versions of an Observation that the three histories show."""
    found: dict[str, list[str]] = {}
    for path in (f"/Observation/{id}/_history", "/Observation/_history", "/_history"):
        answer = await client.get(path, params={} if id in path else {"_since": since, "_count": 200})
        rows = answer.json().get("entry", ()) if answer.status_code == 200 else ()
        found[path] = [row["response"]["etag"] for row in rows if row["fullUrl"].endswith(id)]
    return found


@pytest.mark.parametrize("together", [False, True])
async def test_a_label_withholds_the_earlier_versions(
    site: RunningSite,
    one: PatientClient,
    doctor: httpx.AsyncClient,
    partner: httpx.AsyncClient,
    together: bool,
) -> None:
    """Labelled by itself or in a transaction: by vread and all histories, for everybody but who breaks the glass."""
    written = await post(doctor, observation(one.id))
    id, since = written["id"], written["meta"]["lastUpdated"]
    changed = {**written, "status": "amended"}
    assert (await doctor.put(f"/Observation/{id}", json=changed)).status_code == 200
    labelled = {**changed, "meta": RESTRICTED}
    if together:
        answer = await doctor.post("", json=transaction(entry("PUT", f"Observation/{id}", labelled)))
    else:
        answer = await doctor.put(f"/Observation/{id}", json=labelled)
    assert answer.status_code == 200, answer.text
    for version in ("1", "2", "3"):
        refused = await doctor.get(f"/Observation/{id}/_history/{version}")
        assert refused.status_code == 403
        assert issues(refused)[0]["code"] == "suppressed"
        for client in (one.http, partner):
            assert (await client.get(f"/Observation/{id}/_history/{version}")).status_code == 404
    refused = await doctor.get(f"/Observation/{id}/_history")
    assert (refused.status_code, issues(refused)[0]["code"]) == (403, "suppressed")
    assert (await doctor.get(f"/Observation/{id}/_history/4")).status_code == 404
    for client in (doctor, one.http, partner):
        assert not any((await shown_in_histories(client, id, since)).values())
    async with await broken(site, doctor, one.id) as emergency:
        assert (await emergency.get(f"/Observation/{id}/_history/1")).json()["status"] == "final"
        for versions in (await shown_in_histories(emergency, id, since)).values():
            assert versions == ['W/"3"', 'W/"2"', 'W/"1"']
        assert (await emergency.delete(f"/Observation/{id}")).status_code == 204
    for client in (doctor, one.http):
        assert not any((await shown_in_histories(client, id, since)).values())
    assert (await doctor.put(f"/Observation/{id}", json=written)).status_code == 201
    assert (await doctor.get(f"/Observation/{id}")).status_code == 200
    for versions in (await shown_in_histories(doctor, id, since)).values():
        assert versions == ['W/"5"']
    for version in ("1", "3"):
        assert (await doctor.get(f"/Observation/{id}/_history/{version}")).status_code == 403
    assert (await doctor.get(f"/Observation/{id}/_history/4")).status_code == 404


async def test_breaking_it_and_what_is_read_is_written_down(
    site: RunningSite, one: PatientClient, doctor: httpx.AsyncClient, staff: httpx.AsyncClient, secret: str
) -> None:
    """A security alert with purpose and reason, which the patient and the staff read; each access is marked."""
    async with await broken(site, doctor, one.id) as emergency:
        await emergency.get(f"/Observation/{secret}")
    for client in (one.http, staff):
        found = (await client.get("/AuditEvent", params={"patient": one.id, "_sort": "-date", "_count": 200})).json()
        events = [row["resource"] for row in found["entry"]]
        (alert, *_) = [event for event in events if event["type"]["code"] == "110113" and "purposeOfEvent" in event]
        assert alert["subtype"][0]["code"] == "110127"
        assert alert["purposeOfEvent"][0]["text"] == REASON
        assert alert["purposeOfEvent"][0]["coding"][0]["code"] == "BTG"
        read = [event for event in events if event["subtype"][0]["code"] == "read" and event["outcome"] == "0"]
        assert any("purposeOfUse" in event["agent"][0] for event in read)


async def test_what_does_not_break_it(
    one: PatientClient, doctor: httpx.AsyncClient, staff: httpx.AsyncClient, partner: httpx.AsyncClient, secret: str
) -> None:
    """No reason, a short one, another purpose, another role, nobody; and where nothing is withheld there is none."""
    path = f"/Patient/{one.id}/$break-glass"
    assert secret
    for body in (parameters(), parameters(reason="why"), parameters(reason=REASON, purpose="HRESCH")):
        assert (await doctor.post(path, json=body)).status_code == 400
    for client in (staff, partner, one.http):
        assert (await client.post(path, json=parameters(reason=REASON))).status_code == 403
        assert (await client.get(path)).status_code == 403
    assert (await doctor.post("/Patient/nobody/$break-glass", json=parameters(reason=REASON))).status_code == 404
    free = (await staff.post("/Patient", json={"resourceType": "Patient"})).json()["id"]
    answer = await doctor.post(f"/Patient/{free}/$break-glass", json=parameters(reason=REASON))
    assert answer.status_code == 422


async def test_asking_whether_there_is_a_glass_is_written_down(one: PatientClient, doctor: httpx.AsyncClient) -> None:
    """It tells that something is withheld: the patient reads who has asked, also of a refusal."""
    asked = {"patient": one.id, "subtype": "urn:hayat:audit|break-glass", "_summary": "count"}
    before = (await one.http.get("/AuditEvent", params=asked)).json()["total"]
    assert (await doctor.get(f"/Patient/{one.id}/$break-glass")).status_code == 200
    assert (await one.http.get(f"/Patient/{one.id}/$break-glass")).status_code == 403
    assert (await one.http.get("/AuditEvent", params=asked)).json()["total"] == before + 2
