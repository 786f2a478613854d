"""Partners link to the site's own patients by identifier: what that tells them, and what it does not."""

from typing import Any

import httpx
import pytest

from .clients import SYSTEM, entry, patient, post, transaction
from .conftest import RunningSite

ID_CARD = "urn:hayat:id-card"


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
