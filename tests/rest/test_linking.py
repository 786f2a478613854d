"""Partners link to the site's own patients by identifier: what that tells them, and what it does not."""

from typing import Any

import httpx
import pytest

from .clients import SYSTEM, entry, ids, patient, post, transaction
from .conftest import SECOND_URL, RunningSite

ID_CARD = "urn:hayat:id-card"
CLAIMED = "urn:hayat:id-card:claimed"


async def _linked(client: httpx.AsyncClient, criteria: str, resource: dict[str, Any], **headers: str) -> httpx.Response:
    """The answer to a conditional create."""
    return await client.post(
        f"/{resource['resourceType']}", json=resource, headers={"If-None-Exist": criteria, **headers}
    )


@pytest.mark.parametrize("scope", ["", " system/Patient.c"])
async def test_a_match_out_of_sight_is_only_named(
    site: RunningSite, staff: httpx.AsyncClient, partner: httpx.AsyncClient, unique: str, scope: str
) -> None:
    """200 with Location and ETag, and nothing else of the patient; the audit trail says what was told."""
    card = {"system": ID_CARD, "value": unique}
    own = await post(staff, patient(identifier=[card], address=[{"text": "Secret Street 1"}]))
    headers = {"Authorization": f"Bearer {site.token(f'partner{scope}')}", "Prefer": "return=representation"}
    answer = await _linked(partner, f"identifier={ID_CARD}|{unique}", patient(), **headers)
    assert answer.status_code == 200
    assert answer.content == b""
    assert answer.headers["location"].endswith(f"/Patient/{own['id']}/_history/1")
    assert answer.headers["etag"] == 'W/"1"'
    assert "last-modified" not in answer.headers
    assert (await partner.get(f"/Patient/{own['id']}")).status_code == 404
    trail = await staff.get(f"/AuditEvent?entity=Patient/{own['id']}&subtype=create&agent=Organization/{site.partner}")
    assert [row["resource"]["outcomeDesc"] for row in trail.json()["entry"]] == [
        "nothing was created: the condition matched, and the caller was told the id only"
    ]


async def test_an_imaging_study_out_of_sight_is_only_named(
    doctor: httpx.AsyncClient, staff: httpx.AsyncClient, partner: httpx.AsyncClient, unique: str
) -> None:
    """As a patient."""
    own = await post(staff, patient())
    uid = {"system": "urn:dicom:uid", "value": f"urn:oid:2.25.{int(unique, 16)}"}
    study = {
        "resourceType": "ImagingStudy",
        "status": "available",
        "identifier": [uid],
        "subject": {"reference": f"Patient/{own['id']}"},
        "description": "Secret study",
    }
    made = await post(doctor, study)
    answer = await _linked(partner, f"identifier={uid['system']}|{uid['value']}", study)
    assert (answer.status_code, answer.content) == (200, b"")
    assert f"/ImagingStudy/{made['id']}/" in answer.headers["location"]


async def test_a_match_in_sight_is_shown(
    staff: httpx.AsyncClient, doctor: httpx.AsyncClient, partner: httpx.AsyncClient
) -> None:
    """To the partner what it contributed, to the staff any patient."""
    for client, maker in ((partner, partner), (staff, staff), (staff, partner)):
        made = await post(maker, patient())
        number = made["identifier"][0]
        answer = await _linked(client, f"identifier={number['system']}|{number['value']}", patient())
        assert answer.status_code == 200
        assert answer.json() == made


@pytest.mark.parametrize("criteria", ["{number}", "{system}|", "|{number}", "{system}|{number},{number}"])
async def test_a_number_without_its_issuer_links_nobody(
    staff: httpx.AsyncClient, partner: httpx.AsyncClient, unique: str, criteria: str
) -> None:
    """It meets what the partner itself has contributed only: alone, in a transaction, and as a reference."""
    system = f"http://issuer.example/{unique}"
    await post(staff, patient(identifier=[{"system": system, "value": unique}]))
    named = f"identifier={criteria.format(system=system, number=unique)}"
    answer = await _linked(partner, named, patient())
    assert answer.status_code == 201, answer.text
    bundle = transaction(entry("POST", "Patient", patient(), ifNoneExist=f"{named},x{unique}"))
    answer = await partner.post("/", json=bundle)
    assert answer.json()["entry"][0]["response"]["status"] == "201"
    report = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": {"text": "Report"},
        "subject": {"reference": f"Patient?{named}"},
    }
    answer = await partner.post("/", json=transaction(entry("POST", "DiagnosticReport", report)))
    assert answer.status_code == 412


async def test_several_identifiers_with_their_issuers_link(
    staff: httpx.AsyncClient, partner: httpx.AsyncClient, unique: str
) -> None:
    """As another hospital's share names a patient; a comma in a number is escaped."""
    own = await post(staff, patient(identifier=[{"system": SYSTEM, "value": f"{unique},1"}]))
    criteria = f"identifier=http://other.example/Patient|{unique},{SYSTEM}|{unique}\\,1"
    answer = await _linked(partner, criteria, patient())
    assert answer.status_code == 200
    assert f"/Patient/{own['id']}/" in answer.headers["location"]


def _foreign(site: RunningSite, value: str) -> list[dict[str, str]]:
    """Numbers that are not the first partner's to give: of the site, and of the second partner."""
    systems = [f"{url}/{system}" for url in (site.url, SECOND_URL) for system in ("identifier/patient", "fhir/Patient")]
    return [{"system": system, "value": value} for system in systems]


async def _found(client: httpx.AsyncClient, *identifiers: dict[str, str]) -> list[str]:
    """The ids of the patients who have one of these."""
    tokens = ",".join(f"{one['system']}|{one['value']}" for one in identifiers)
    return ids((await client.get("/Patient", params={"identifier": tokens})).json())


async def _patient_of(client: httpx.AsyncClient, sent: dict[str, Any]) -> str:
    """The id of the Patient to which a share goes that names it by each of its identifiers."""
    named = ",".join(f"{one['system']}|{one['value']}" for one in sent["identifier"])
    answer = await client.post("/", json=transaction(entry("POST", "Patient", sent, ifNoneExist=f"identifier={named}")))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["entry"][0]["response"]["location"].split("/")[-3])


@pytest.mark.parametrize("door", ["POST", "PUT", "PATCH", "batch", "transaction"])
async def test_a_partner_gives_nobody_a_number_of_others(
    site: RunningSite, staff: httpx.AsyncClient, partner: httpx.AsyncClient, unique: str, door: str
) -> None:
    """Numbers of the site and of another hospital are left out of its own patients; the rest is stored as it is."""
    own, foreign = {"system": SYSTEM, "value": unique}, _foreign(site, unique)
    sent = patient(identifier=[*foreign, own], address=[{"text": "There"}])
    if door == "POST":
        assert (await partner.post("/Patient", json=sent)).status_code == 201
    elif door == "PUT":
        assert (await partner.put(f"/Patient/{unique}", json={**sent, "id": unique})).status_code == 201
    elif door == "PATCH":
        made = await post(partner, patient(identifier=[own], address=[{"text": "There"}]))
        operation = {"op": "replace", "path": "/identifier", "value": sent["identifier"]}
        headers = {"Content-Type": "application/json-patch+json"}
        assert (await partner.patch(f"/Patient/{made['id']}", json=[operation], headers=headers)).status_code == 200
    else:
        answer = await partner.post("/", json=transaction(entry("POST", "Patient", sent), type=door))
        assert answer.json()["entry"][0]["response"]["status"] == "201"
    assert await _found(staff, *foreign) == []
    [id] = await _found(staff, own)
    stored = (await partner.get(f"/Patient/{id}")).json()
    assert (stored["identifier"], stored["address"]) == ([own], [{"text": "There"}])


async def test_a_link_adds_what_the_partner_can_speak_for(
    site: RunningSite, staff: httpx.AsyncClient, partner: httpx.AsyncClient, second: httpx.AsyncClient, unique: str
) -> None:
    """Its own number: none of others, no second card, no claim; each hospital's next patients go where they belong."""
    card, own = {"system": ID_CARD, "value": unique}, {"system": SYSTEM, "value": unique}
    others = [
        *_foreign(site, unique),
        {"system": ID_CARD, "value": f"{unique}-2"},
        {"system": CLAIMED, "value": unique},
    ]
    made = await post(staff, patient(identifier=[card]))
    for _ in range(2):
        answer = await partner.post(
            "/",
            json=transaction(
                entry(
                    "POST", "Patient", patient(identifier=[*others, own]), ifNoneExist=f"identifier={ID_CARD}|{unique}"
                )
            ),
        )
        assert answer.json()["entry"][0]["response"]["status"] == "200", answer.text
        assert (await staff.get(f"/Patient/{made['id']}")).json()["identifier"] == [card, own]
    theirs = patient(identifier=[{"system": f"{SECOND_URL}/identifier/patient", "value": unique}])
    assert await _patient_of(second, theirs) != made["id"]


async def test_a_partner_brings_one_national_number(
    staff: httpx.AsyncClient, partner: httpx.AsyncClient, unique: str
) -> None:
    """With a patient of its own, or of the site's who has none; one that is set right takes the other's place."""
    first, further = ({"system": ID_CARD, "value": f"{unique}-{number}"} for number in (1, 2))
    made = await post(partner, patient(identifier=[first, further]))
    assert made["identifier"] == [first]
    changed = await partner.put(f"/Patient/{made['id']}", json={**made, "identifier": [further, first]})
    assert changed.json()["identifier"] == [first]
    changed = await partner.put(f"/Patient/{made['id']}", json={**made, "identifier": [further]})
    assert changed.json()["identifier"] == [further]
    number = {"system": SYSTEM, "value": unique}
    own = await post(staff, patient(identifier=[number]))
    assert await _patient_of(partner, patient(identifier=[number, first])) == own["id"]
    assert (await staff.get(f"/Patient/{own['id']}")).json()["identifier"] == [number, first]


async def test_a_number_that_the_site_gave_stays(
    site: RunningSite, staff: httpx.AsyncClient, partner: httpx.AsyncClient
) -> None:
    """A partner that sends its patient back as it reads takes nothing away."""
    made = await post(partner, patient())
    number = {"system": f"{site.url}/identifier/patient", "value": made["id"]}
    given = await staff.put(f"/Patient/{made['id']}", json={**made, "identifier": [*made["identifier"], number]})
    assert given.status_code == 200, given.text
    read = (await partner.get(f"/Patient/{made['id']}")).json()
    answer = await partner.put(f"/Patient/{made['id']}", json={**read, "birthDate": "1980-01-01"})
    assert answer.status_code == 200
    assert number in answer.json()["identifier"]


async def test_hospitals_that_know_one_anothers_numbers_share(
    partner: httpx.AsyncClient, second: httpx.AsyncClient, unique: str
) -> None:
    """A patient whom one of them has from the other arrives, and again after the other has sent its own."""
    own = {"system": "http://first.example/fhir/Patient", "value": unique}
    theirs = {"system": f"{SECOND_URL}/fhir/Patient", "value": unique}
    first = await _patient_of(partner, patient(identifier=[own, theirs]))
    other = await _patient_of(second, patient(identifier=[theirs]))
    assert other != first
    assert await _patient_of(partner, patient(identifier=[own, theirs])) == first
    assert await _patient_of(second, patient(identifier=[theirs, own])) == other


async def test_a_malformed_identifier_is_refused_also_of_a_match(
    staff: httpx.AsyncClient, partner: httpx.AsyncClient
) -> None:
    """400, as for a new patient."""
    number = (await post(staff, patient()))["identifier"][0]
    criteria = f"identifier={number['system']}|{number['value']}"
    for identifier in ("x", ["x"], [{"system": ["x"], "value": "y"}]):
        sent = patient(identifier=identifier)
        answer = await partner.post("/", json=transaction(entry("POST", "Patient", sent, ifNoneExist=criteria)))
        assert answer.status_code == 400, answer.text
