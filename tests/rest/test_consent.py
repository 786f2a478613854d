"""A patient says which hospital may see what, by Consent: it takes effect at once, on every way to the record."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from .clients import ids, issues, link, observation, post
from .conftest import PatientClient, RunningSite

IMAGES = [{"system": "http://hl7.org/fhir/resource-types", "code": "ImagingStudy"}]


def consent(patient: str, partner: str, status: str = "active", kind: str = "permit", **more: Any) -> dict[str, Any]:
    """A patient's Consent about a partner."""
    role = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
    actor = {"role": role, "reference": {"reference": f"Organization/{partner}"}}
    scope = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
    category = {"system": "http://loinc.org", "code": "59284-0"}
    policy = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}
    return {
        "resourceType": "Consent",
        "status": status,
        "scope": {"coding": [scope]},
        "category": [{"coding": [category]}],
        "policyRule": {"coding": [policy]},
        "patient": {"reference": f"Patient/{patient}"},
        "provision": {"type": kind, "actor": [actor], **more},
    }


@pytest.fixture
async def given(one: PatientClient, site: RunningSite) -> AsyncIterator[dict[str, Any]]:
    """The consent of a patient that the partner may see everything; afterwards it was entered in error."""
    made = (await one.http.post("/Consent", json=consent(one.id, site.partner))).json()
    yield made
    current = (await one.http.get(f"/Consent/{made['id']}")).json()
    await one.http.put(f"/Consent/{made['id']}", json={**current, "status": "entered-in-error"})


async def test_consent_opens_and_withdrawal_closes_at_once(
    one: PatientClient,
    doctor: httpx.AsyncClient,
    partner: httpx.AsyncClient,
    site: RunningSite,
    given: dict[str, Any],
) -> None:
    """With the very next request, by read, search and $everything; the doctor's share is refused with the reason."""
    seen = await post(doctor, observation(one.id))
    paths = (f"/Observation/{seen['id']}", f"/Patient/{one.id}", f"/Patient/{one.id}/$everything")
    for status, expected in (("active", 200), ("inactive", 404), ("active", 200), ("rejected", 404)):
        current = (await one.http.get(f"/Consent/{given['id']}")).json()
        answer = await one.http.put(f"/Consent/{given['id']}", json={**current, "status": status})
        assert answer.status_code == 200, answer.text
        assert [(await partner.get(path)).status_code for path in paths] == [expected] * 3
        found = ids((await partner.get(f"/Observation?patient={one.id}")).json())
        assert (seen["id"] in found) is (expected == 200)
    refused = await doctor.post(f"/Patient/{one.id}/$share?with={site.partner}")
    assert refused.status_code == 403
    assert issues(refused)[0]["code"] == "suppressed"
    assert "consent" in issues(refused)[0]["diagnostics"]


async def test_withdrawal_between_two_pages(
    one: PatientClient,
    doctor: httpx.AsyncClient,
    partner: httpx.AsyncClient,
    given: dict[str, Any],
) -> None:
    """The second page obeys the consent of its own moment: it is refused, or empty."""
    seen = {(await post(doctor, observation(one.id)))["id"] for _ in range(3)}
    for path in (f"/Observation?patient={one.id}&_count=1", f"/Patient/{one.id}/$everything?_count=1"):
        first = await partner.get(path)
        following = link(first.json(), "next")
        assert following is not None
        current = (await one.http.get(f"/Consent/{given['id']}")).json()
        await one.http.put(f"/Consent/{given['id']}", json={**current, "status": "inactive"})
        second = await partner.get(following)
        assert second.status_code in {400, 404} or "entry" not in second.json()
        assert not any(id in second.text for id in seen)
        await one.http.put(f"/Consent/{given['id']}", json={**current, "status": "active"})


async def test_consent_to_some_types(
    one: PatientClient,
    doctor: httpx.AsyncClient,
    partner: httpx.AsyncClient,
    site: RunningSite,
    given: dict[str, Any],
) -> None:
    """Only the images: the patient and no report, by no way; and the patient is told so."""
    seen = await post(doctor, observation(one.id))
    await one.http.put(
        f"/Consent/{given['id']}", json={**consent(one.id, site.partner, **{"class": IMAGES}), "id": given["id"]}
    )
    assert (await partner.get(f"/Patient/{one.id}")).status_code == 200
    assert (await partner.get(f"/Observation/{seen['id']}")).status_code == 404
    assert ids((await partner.get(f"/Patient/{one.id}/$everything")).json()) == [one.id]
    found = (await partner.get(f"/Patient?_id={one.id}&_revinclude=Observation:subject")).json()
    assert ids(found) == [one.id]
    chained = (await partner.get(f"/Patient?_id={one.id}&_has:Observation:patient:status=final")).json()
    assert ids(chained) == []
    parts = await _sharing(one, site.partner)
    assert (parts["decision"], parts["basis"]) == ("permit", "consent")
    assert parts["class"]["code"] == "ImagingStudy"


async def test_only_the_patient_writes_the_own_consent(
    one: PatientClient,
    other: PatientClient,
    doctor: httpx.AsyncClient,
    staff: httpx.AsyncClient,
    partner: httpx.AsyncClient,
    site: RunningSite,
    given: dict[str, Any],
) -> None:
    """Not for another, not by a doctor or staff; a partner's opens nothing to it, nor does it see the patient's."""
    about = consent(one.id, site.partner)
    assert (await other.http.post("/Consent", json=about)).status_code == 403
    assert (await doctor.post("/Consent", json=about)).status_code == 403
    assert (await staff.post("/Consent", json=about)).status_code == 403
    assert (await other.http.put(f"/Consent/{given['id']}", json={**given, "status": "inactive"})).status_code == 404
    assert (await one.http.delete(f"/Consent/{given['id']}")).status_code == 403
    assert (await partner.get(f"/Consent/{given['id']}")).status_code == 404
    own = await partner.post("/Consent", json=consent(other.id, site.partner))
    assert own.status_code == 201, own.text
    assert (await partner.get(f"/Patient/{other.id}/$everything")).status_code in {404, 200}
    assert (await _sharing(other, site.partner))["basis"] != "consent"
    assert (await doctor.get(f"/Consent/{given['id']}")).status_code == 200


async def test_a_consent_that_would_not_be_enforced(one: PatientClient, site: RunningSite) -> None:
    """422 with the place: nobody is promised what is not kept."""
    about = consent(one.id, site.partner, purpose=[{"code": "TREAT"}])
    answer = await one.http.post("/Consent", json=about)
    assert answer.status_code == 422
    assert issues(answer)[0]["expression"] == ["Consent.provision"]


async def test_who_may_ask_for_the_sharing(
    one: PatientClient, other: PatientClient, doctor: httpx.AsyncClient, staff: httpx.AsyncClient
) -> None:
    """The patient and doctors; staff see nothing clinical, and another patient does not know of this one."""
    assert (await doctor.get(f"/Patient/{one.id}/$sharing")).status_code == 200
    assert (await staff.get(f"/Patient/{one.id}/$sharing")).status_code == 403
    assert (await other.http.get(f"/Patient/{one.id}/$sharing")).status_code == 404


async def _sharing(client: PatientClient, partner: str) -> dict[str, Any]:
    """What the patient is told of the partner."""
    answer = await client.http.get(f"/Patient/{client.id}/$sharing")
    assert answer.status_code == 200, answer.text
    for parameter in answer.json()["parameter"]:
        parts = {
            part["name"]: next(value for name, value in part.items() if name != "name") for part in parameter["part"]
        }
        if parts["organization"]["reference"] == f"Organization/{partner}":
            return parts
    raise AssertionError("the partner is not listed")


@pytest.mark.parametrize(
    "reference",
    [
        "Organization/{partner}/_history/1",
        "Organization/{partner}/",
        "Organization/{partner}#x",
        "Organization/",
        "Organization/nope",
        "/Organization/{partner}",
        "#organization",
        "Patient/{partner}",
    ],
)
async def test_a_consent_about_nobody_is_refused(
    one: PatientClient, partner: httpx.AsyncClient, site: RunningSite, given: dict[str, Any], reference: str
) -> None:
    """A refusal that would count for nothing is not taken, by no way; the exact one ends what was permitted."""
    refusal = consent(one.id, site.partner, kind="deny")
    refusal["provision"]["actor"][0]["reference"]["reference"] = reference.format(partner=site.partner)
    entry = {"resource": refusal, "request": {"method": "POST", "url": "Consent"}}
    for answer in (
        await one.http.post("/Consent", json=refusal),
        await one.http.put(f"/Consent/{given['id']}", json={**refusal, "id": given["id"]}),
        await one.http.patch(
            f"/Consent/{given['id']}",
            json=[{"op": "replace", "path": "/provision", "value": refusal["provision"]}],
            headers={"Content-Type": "application/json-patch+json"},
        ),
        await one.http.post("/", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]}),
    ):
        assert answer.status_code in {400, 422}, answer.text
    assert (await partner.get(f"/Patient/{one.id}")).status_code == 200
    exact = consent(one.id, site.partner, kind="deny")
    assert (await one.http.put(f"/Consent/{given['id']}", json={**exact, "id": given["id"]})).status_code == 200
    assert (await partner.get(f"/Patient/{one.id}")).status_code == 404


async def test_a_contributed_consent_is_not_the_patients_to_change(
    one: PatientClient, partner: httpx.AsyncClient, site: RunningSite
) -> None:
    """It counts for nothing here, whoever writes it: the patient is told so, and a Consent of their own does count."""
    foreign = (await partner.post("/Consent", json=consent(one.id, site.partner))).json()
    assert (await one.http.get(f"/Consent/{foreign['id']}")).status_code == 200
    refusal = {**consent(one.id, site.partner, kind="deny"), "id": foreign["id"]}
    answer = await one.http.put(f"/Consent/{foreign['id']}", json=refusal)
    assert answer.status_code == 403
    assert "another hospital" in issues(answer)[0]["diagnostics"]
    own = await one.http.post("/Consent", json=consent(one.id, site.partner, kind="deny"))
    assert own.status_code == 201, own.text
    assert (await _sharing(one, site.partner))["basis"] == "consent"
    await one.http.put(f"/Consent/{own.json()['id']}", json={**own.json(), "status": "entered-in-error"})
