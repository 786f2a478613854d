"""A site may ask every update to name the version that it replaces: then nobody overwrites what they have not seen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from hayat_fhir.app import Site, open_site
from hayat_fhir.errors import PreconditionMissing
from hayat_fhir.http_process import web_application
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.scopes import EVERYTHING
from hayat_fhir.settings import Settings

_OBSERVATION = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "weight"}}


@pytest.fixture
async def site(mongodb_url: str, database_name: str, tmp_path: Path) -> AsyncIterator[Site]:
    """A site with this rule."""
    settings = Settings(
        mongodb_url=SecretStr(mongodb_url), data_dir=tmp_path, base_url="http://127.0.0.1:1", versioned_update=True
    )
    async with open_site(settings, database_name) as site:
        yield site
        await site.database.drop()


@pytest.fixture
async def doctor(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """A doctor at its FHIR base."""
    account = await site.registration.account(Role.DOCTOR, "d@site.example", "Doctor", "violet-marmot-47-lantern")
    headers = {"authorization": f"Bearer {site.authorization.token_for_account(account)}"}
    transport = httpx.ASGITransport(web_application(site))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:1/fhir", headers=headers) as client:
        yield client


def _bundle(type: str, **request: str) -> dict[str, Any]:
    resource = {**_OBSERVATION, "status": "cancelled"}
    entry = {"resource": resource, "request": {"method": "PUT", "url": "Observation/o", **request}}
    return {"resourceType": "Bundle", "type": type, "entry": [entry]}


async def test_an_update_names_what_it_replaces(doctor: httpx.AsyncClient) -> None:
    """Without If-Match: 428, alone as in a Bundle, and nothing has changed; a first version needs none."""
    statement = (await doctor.get("/metadata")).json()
    assert {row["versioning"] for row in statement["rest"][0]["resource"]} == {"versioned-update"}
    assert (await doctor.put("/Observation/o", json=_OBSERVATION)).status_code == 201
    changed = {**_OBSERVATION, "status": "amended"}
    refused = await doctor.put("/Observation/o", json=changed)
    assert refused.status_code == 428
    assert refused.json()["issue"][0]["code"] == "required"
    refused = await doctor.post("", json=_bundle("transaction"))
    assert refused.status_code == 428
    assert refused.json()["issue"][0]["expression"] == ["Bundle.entry[0]"]
    batch = (await doctor.post("", json=_bundle("batch"))).json()
    assert batch["entry"][0]["response"]["status"] == "428"
    assert (await doctor.get("/Observation/o")).headers["etag"] == 'W/"1"'
    assert (await doctor.put("/Observation/o", json=changed, headers={"If-Match": 'W/"1"'})).status_code == 200
    assert (await doctor.post("", json=_bundle("transaction", ifMatch='W/"2"'))).status_code == 200
    assert (await doctor.put("/Observation/o", json=changed, headers={"If-Match": 'W/"1"'})).status_code == 412


async def test_a_partner_renews_what_it_has_sent(site: Site) -> None:
    """Nobody else writes there; what is not its own contribution it does not overwrite either."""
    partner = Caller(Role.PARTNER, "p", "Organization/p", "P", EVERYTHING["partner"], frozenset({"x"}), "p")
    mine = {**_OBSERVATION, "subject": {"reference": "Patient/x"}}
    await site.interactions.update(partner, "Observation", "o", mine)
    written = await site.interactions.update(partner, "Observation", "o", {**mine, "status": "amended"})
    assert written.stored.version == 2
    rights = frozenset({"records:amend"})
    doctor = Caller(Role.DOCTOR, "d", "Practitioner/d", scopes=EVERYTHING["doctor"], rights=rights)
    with pytest.raises(PreconditionMissing):
        await site.interactions.update(doctor, "Observation", "o", mine)
