"""Partners link to the site's own patients by identifier: what that tells them, and what it does not."""

from typing import Any

import httpx
import pytest

from .clients import patient, post
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
