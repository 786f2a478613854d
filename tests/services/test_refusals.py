"""What is turned away at a door stands in the audit trail, and nobody can fill the store by being turned away."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from hayat_fhir.app import Site
from hayat_fhir.http_process import web_application
from hayat_fhir.security.callers import Caller, Role, stranger
from hayat_fhir.services.refusals import Refusals

_REFUSED = "urn:hayat:audit|refused"
_LOGIN = "http://dicom.nema.org/resources/ontology/DCM|110122"


async def _events(site: Site, *criteria: tuple[str, str], subtype: str = _REFUSED) -> list[dict[str, Any]]:
    """The AuditEvents that meet the criteria, once there is one."""
    async with asyncio.timeout(30):
        while True:
            pairs = [("subtype", subtype), *criteria, ("_count", "1000")]
            found = await site.searching.search(Caller(Role.SITE, "test"), "AuditEvent", pairs)
            if found.matches:
                return [stored.resource or {} for stored in found.matches]
            await asyncio.sleep(0.05)


def _client(site: Site, address: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(web_application(site), client=(address, 4711))
    return httpx.AsyncClient(transport=transport, base_url=site.settings.site_url)


@pytest.mark.parametrize(
    ("number", "method", "path", "status", "route"),
    [
        (1, "GET", "/fhir/Patient/Canary", 401, "/fhir/{type}/{id}"),
        (2, "GET", "/fhir/Canary/Canary/Canary", 401, "/fhir/*"),
        (3, "GET", "/api/v1/medicalRecord/Canary", 401, "/api"),
        (4, "GET", "/api/v1/Canary", 404, "/api"),
        (5, "GET", "/dicomweb/studies/1.2.3", 401, "/dicomweb"),
        (6, "GET", "/realtime/consultations", 401, "/realtime"),
        (7, "GET", "/Canary", 404, "other"),
        (8, "CANARY", "/fhir/Patient", 401, "/fhir/{type}"),
        (9, "GET", "/oauth/token", 405, "/oauth/token"),
    ],
)
async def test_a_stranger_is_on_record(
    site: Site, number: int, method: str, path: str, status: int, route: str
) -> None:
    """From where, when and what was refused, in the site's own words: nothing that was sent, and no role."""
    address = f"192.0.2.{number}"
    async with _client(site, address) as client:
        answer = await client.request(method, path, headers={"authorization": "Bearer canary"})
        assert answer.status_code == status
    (event,) = await _events(site, ("address:exact", address))
    assert event["outcome"] == "4"
    assert event["outcomeDesc"].startswith(f"{status}, ")
    assert event["outcomeDesc"].endswith(f" {route}")
    assert event["agent"][0]["who"] == {"identifier": {"value": "unknown"}}
    assert "role" not in event["agent"][0]
    assert "canary" not in str(event).casefold()


async def test_a_malformed_host_is_on_record(site: Site) -> None:
    """It is refused before any door is asked."""
    async with _client(site, "192.0.2.20") as client:
        assert (await client.get("/fhir/metadata", headers={"host": "evil/.."})).status_code == 400
    assert await _events(site, ("address:exact", "192.0.2.20"))


async def test_a_client_that_is_not_known_is_on_record(site: Site) -> None:
    """An assertion of nobody's is a failed sign-in, however often it is tried."""
    async with _client(site, "192.0.2.21") as client:
        for _ in range(20):
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": "a.b.c",
            }
            assert (await client.post("/oauth/token", data=form)).status_code == 401
    (event,) = await _events(site, ("address:exact", "192.0.2.21"), subtype=_LOGIN)
    assert event["outcome"] == "4"


async def test_what_a_service_has_recorded_is_recorded_once(site: Site) -> None:
    """A known caller is named, for what no service was asked; what one has refused has its event already."""
    account = await site.registration.account(Role.DOCTOR, "d@site.example", "Doctor", "violet-marmot-47-lantern")
    headers = {"authorization": f"Bearer {site.authorization.token_for_account(account)}"}
    async with _client(site, "192.0.2.30") as client:
        assert (await client.get("/fhir/Patient/nobody", headers=headers)).status_code == 404
        assert (await client.get("/fhir/Patient", headers=headers)).status_code == 200
        assert (await client.get("/fhir/nothing/at/all", headers=headers)).status_code == 404
    (event,) = await _events(site, ("address:exact", "192.0.2.30"))
    assert event["agent"][0]["who"] == {"reference": account.reference}
    assert event["outcomeDesc"] == "404, GET /fhir/*"


async def test_a_flood_is_counted_and_bounded(site: Site) -> None:
    """Ten thousand refusals to one are a few events, that add up; a thousand strangers are not a thousand events."""
    refusals = Refusals(site.auditing, window=0.2)
    for _ in range(100):
        for _ in range(100):
            refusals.note(stranger("198.51.100.1"), what="401, GET /flood")
        await asyncio.sleep(0.005)
    await refusals.close()
    events = await _events(site, ("address:exact", "198.51.100.1"))
    assert len(events) <= 20
    assert sum(_counted(event) for event in events) == 10_000

    refusals = Refusals(site.auditing)
    for number in range(1000):
        refusals.note(stranger(f"198.51.{number // 250}.{number % 250}"), what="401, GET /crowd")
    for number in range(1000):
        refusals.note(stranger(f"2001:db8::{number:x}"), what="401, GET /crowd")
    await refusals.close()
    found = [event for event in await _events(site) if "/crowd" in event["outcomeDesc"]]
    assert len(found) <= 66
    assert sum(_counted(event) for event in found) == 2000


def _counted(event: dict[str, Any]) -> int:
    first, times, _ = event["outcomeDesc"].partition(" times, ")
    return int(first) if times else 1
