"""Who sees what, through every interaction: patients, doctors, staff, partners."""

import httpx
import pytest

from .clients import entry, ids, observation, patient, post, transaction
from .conftest import PatientClient


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer x"},
        {"Authorization": "Bearer a b"},
        {"Authorization": "Bearer " + "a" * 10_000},
        {"x-access-token": "x"},
    ],
)
async def test_no_token_no_answer(anonymous: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """401 with a challenge, for paths that exist and paths that do not."""
    for path in ("/fhir/Patient/x", "/fhir/Nonsense", "/fhir", "/fhir/Patient?access_token=x"):
        answer = await anonymous.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_foreign_patient_does_not_exist(one: PatientClient, other: PatientClient) -> None:
    """Another patient's id: read, vread, history, $everything, all as if it were missing."""
    for path in ("", "/_history", "/_history/1", "/$everything"):
        foreign = await one.http.get(f"/Patient/{other.id}{path}")
        missing = await one.http.get(f"/Patient/no-such-patient{path}")
        assert (foreign.status_code, missing.status_code) == (404, 404)
        assert foreign.json() == missing.json()
        assert (await one.http.get(f"/Patient/{one.id}{path}")).status_code == 200


async def test_a_foreign_observation_does_not_exist(
    one: PatientClient, other: PatientClient, doctor: httpx.AsyncClient
) -> None:
    """Neither by id nor by any search."""
    own = await post(doctor, observation(one.id))
    foreign = await post(doctor, observation(other.id, performer=[{"reference": f"Patient/{one.id}"}]))
    hidden = await post(doctor, observation(other.id))
    assert (await one.http.get(f"/Observation/{hidden['id']}")).status_code == 404
    assert (await one.http.get(f"/Observation/{hidden['id']}/_history")).status_code == 404
    assert (await one.http.get(f"/Observation/{hidden['id']}/_history/1")).status_code == 404
    bundle = (await one.http.get(f"/Observation?subject=Patient/{other.id}&_total=accurate")).json()
    assert hidden["id"] not in ids(bundle)
    assert bundle["total"] == len(ids(bundle))
    everything = (await one.http.get("/Observation?_include=Observation:subject")).json()
    references = {f"{row['resource']['resourceType']}/{row['resource']['id']}" for row in everything["entry"]}
    assert f"Observation/{own['id']}" in references
    assert f"Patient/{other.id}" not in references
    assert f"Observation/{hidden['id']}" not in references
    assert foreign["id"]


async def test_everything_holds_only_the_own_compartment(
    one: PatientClient, other: PatientClient, doctor: httpx.AsyncClient
) -> None:
    """$everything and _revinclude of the own Patient."""
    mine = await post(doctor, observation(one.id))
    theirs = await post(doctor, observation(other.id))
    for path in (f"/Patient/{one.id}/$everything", f"/Patient?_id={one.id}&_revinclude=Observation:subject"):
        text = (await one.http.get(path)).text
        assert mine["id"] in text
        assert theirs["id"] not in text


async def test_includes_stop_at_the_compartment(
    one: PatientClient, other: PatientClient, doctor: httpx.AsyncClient
) -> None:
    """What an own resource refers to, or is referred to by, is not shown where it is another patient's."""
    foreign = await post(doctor, observation(other.id))
    report = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": {"text": "report"},
        "subject": {"reference": f"Patient/{one.id}"},
        "result": [{"reference": f"Observation/{foreign['id']}"}],
    }
    own = await post(doctor, report)
    linking = await post(doctor, observation(other.id, derivedFrom=[{"reference": f"Observation/{foreign['id']}"}]))
    for path in (
        f"/DiagnosticReport?_id={own['id']}&_include=DiagnosticReport:result",
        f"/DiagnosticReport?_id={own['id']}&_include=DiagnosticReport:result:Observation&_total=accurate",
        f"/Patient?_id={one.id}&_revinclude=Observation:subject&_revinclude=DiagnosticReport:subject",
        f"/DiagnosticReport?result=Observation/{foreign['id']}",
        f"/Patient/{one.id}/$everything?_count=1000",
    ):
        answer = await one.http.get(path)
        assert answer.status_code == 200, answer.text
        found = {row["resource"]["id"] for row in answer.json()["entry"]}
        assert own["id"] in found
        assert not found & {foreign["id"], linking["id"], other.id}
    for query in ("_revinclude=*:*", "_include=*", "_include:iterate=DiagnosticReport:result", "_revinclude=*"):
        assert (await one.http.get(f"/DiagnosticReport?{query}")).status_code == 400


async def test_conditional_create_does_not_disclose(
    one: PatientClient, other: PatientClient, staff: httpx.AsyncClient
) -> None:
    """Criteria that match a stranger's resource name nothing to who may not see it."""
    stored = (await staff.get(f"/Patient/{other.id}")).json()
    value = "someone"
    await staff.put(f"/Patient/{other.id}", json={**stored, "identifier": [{"system": "urn:x", "value": value}]})
    answer = await one.http.post("/Patient", json=patient(), headers={"If-None-Exist": f"identifier=urn:x|{value}"})
    assert answer.status_code == 403
    assert other.id not in answer.text


async def test_patients_write_no_records(one: PatientClient) -> None:
    """A patient reads; writing clinical records is outside the role."""
    answer = await one.http.post(
        "/Observation", content=observation(one.id), headers={"Content-Type": "application/fhir+json"}
    )
    assert answer.status_code == 403
    bundle = transaction(entry("DELETE", f"Patient/{one.id}"))
    assert (await one.http.post("/", json=bundle)).status_code == 403


async def test_staff_see_no_clinical_records(staff: httpx.AsyncClient, doctor: httpx.AsyncClient) -> None:
    """Neither one by one nor through an include."""
    id = (await post(staff, patient()))["id"]
    seen = await post(doctor, observation(id))
    assert (await staff.get(f"/Observation/{seen['id']}")).status_code == 403
    assert (await staff.get("/Observation")).status_code == 403
    bundle = (await staff.get(f"/Patient?_id={id}&_revinclude=Observation:subject")).json()
    assert seen["id"] not in str(bundle)


async def test_nobody_writes_audit_events(staff: httpx.AsyncClient, doctor: httpx.AsyncClient) -> None:
    """405 for every way in; staff can read them."""
    event = {
        "resourceType": "AuditEvent",
        "id": "x",
        "type": {"code": "rest"},
        "recorded": "2026-11-23T10:00:00Z",
        "agent": [{"requestor": True}],
        "source": {"observer": {"display": "x"}},
    }
    for client in (staff, doctor):
        assert (await client.post("/AuditEvent", json=event)).status_code == 405
        answer = await client.put("/AuditEvent/x", json=event)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
        assert (await client.delete("/AuditEvent/x")).status_code == 405
    assert (await doctor.get("/AuditEvent")).status_code == 403
    assert (await staff.get("/AuditEvent?_count=1")).status_code == 200


async def test_every_access_is_audited(staff: httpx.AsyncClient, doctor: httpx.AsyncClient) -> None:
    """A read leaves an AuditEvent that names what was read, before the answer is there."""
    id = (await post(staff, patient()))["id"]
    await doctor.get(f"/Patient/{id}")
    await doctor.get("/Patient/never-there")
    bundle = (await staff.get(f"/AuditEvent?entity=Patient/{id}&_count=50")).json()
    actions = {row["resource"]["action"] for row in bundle["entry"]}
    assert {"C", "R"} <= actions


async def test_a_partner_sees_what_it_contributed(partner: httpx.AsyncClient, staff: httpx.AsyncClient) -> None:
    """Its own contribution, and no patient of the site."""
    hidden = await post(staff, patient())
    answer = await partner.post("/", json=transaction(entry("POST", "Patient", patient())))
    assert answer.status_code == 200, answer.text
    location = answer.json()["entry"][0]["response"]["location"].partition("/_history")[0]
    assert (await partner.get(location)).status_code == 200
    assert (await partner.get(f"/Patient/{hidden['id']}")).status_code == 404
    assert hidden["id"] not in ids((await partner.get("/Patient?_count=1000")).json())


async def test_a_partner_does_not_delete_the_patient_of_others(
    partner: httpx.AsyncClient, doctor: httpx.AsyncClient
) -> None:
    """A patient it has contributed, of whom this site has records by now: 409, alone and in a transaction."""
    made = await post(partner, patient())
    path = f"/Patient/{made['id']}"
    own = await post(partner, observation(made["id"]))
    foreign = await post(doctor, observation(made["id"]))
    assert (await partner.delete(path)).status_code == 409
    bundle = transaction(entry("DELETE", path[1:]))
    assert (await partner.post("", json=bundle)).status_code == 409
    criteria = f"/Patient?identifier={made['identifier'][0]['value']}"
    assert (await partner.delete(criteria)).status_code == 409
    assert (await doctor.get(path)).status_code == 200
    assert (await doctor.delete(f"/Observation/{foreign['id']}")).status_code == 204
    assert (await partner.delete(path)).status_code == 204
    assert (await partner.get(f"/Observation/{own['id']}")).status_code == 200
    assert (await partner.delete("/Patient/nobody")).status_code == 204
