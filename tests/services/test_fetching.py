"""A doctor asks the other hospital for what is new: three sites, each behind a socket of its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx
import pytest
import uvicorn
from pydantic import SecretStr

from hayat_fhir.app import Site, open_site
from hayat_fhir.http_process import web_application
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.services.partner_details import PartnerDetails
from hayat_fhir.settings import Settings
from hayat_fhir.store.partners import Partner

WORKER = Caller(Role.SITE, "test")
NATIONAL = {"system": "urn:national", "value": "12345678901|$,\\"}


@dataclass(slots=True)
class Hospital:
    """A site that answers, its worker, a doctor of it, and the others as it knows them."""

    site: Site
    doctor: httpx.AsyncClient
    server: uvicorn.Server
    partners: dict[str, Partner]

    def partner(self, other: Hospital) -> str:
        """The id of another hospital here."""
        return self.partners[other.site.settings.site_name].id

    async def post(self, resource: dict[str, Any]) -> str:
        """Write a resource as the site; its id."""
        return (await self.site.interactions.create(WORKER, resource["resourceType"], resource)).stored.id

    async def found(self, type: str, *pairs: tuple[str, str]) -> list[dict[str, Any]]:
        """What is stored here of a type."""
        found = await self.site.searching.search(WORKER, type, list(pairs))
        return [stored.resource or {} for stored in found.matches]

    async def ask(self, patient: str, other: Hospital) -> httpx.Response:
        """The doctor asks another hospital for what is new."""
        return await self.doctor.post(f"/Patient/{patient}/$fetch?partner={self.partner(other)}")


@asynccontextmanager
async def _hospital(name: str, mongodb_url: str, database: str, folder: Path) -> AsyncIterator[Hospital]:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    settings = Settings(
        site_name=name,
        mongodb_url=SecretStr(mongodb_url),
        http_port=port,
        data_dir=folder,
        base_url=f"http://127.0.0.1:{port}",
    )
    async with open_site(settings, database) as site:
        config = uvicorn.Config(web_application(site), log_config=None, access_log=False, server_header=False)
        server, stop = uvicorn.Server(config), asyncio.Event()
        running = [
            asyncio.create_task(server.serve(sockets=[listening])),
            asyncio.create_task(site.exchange.run(stop)),
        ]
        account = await site.registration.account(Role.DOCTOR, "d@site.example", "Doctor", token_urlsafe(24))
        headers = {"Authorization": f"Bearer {site.authorization.token_for_account(account)}"}
        async with httpx.AsyncClient(
            base_url=settings.fhir_url, headers=headers, timeout=60, trust_env=False
        ) as client:
            yield Hospital(site, client, server, {})
        stop.set()
        server.should_exit = True
        await asyncio.gather(*running)
        await site.database.drop()


@pytest.fixture
async def hospitals(mongodb_url: str, database_name: str, tmp_path: Path) -> AsyncIterator[list[Hospital]]:
    """Three hospitals that know each other."""
    async with AsyncExitStack() as stack:
        made = [
            await stack.enter_async_context(
                _hospital(f"Hospital {name}", mongodb_url, f"{database_name}_{name}", tmp_path / name)
            )
            for name in "ABC"
        ]
        for one in made:
            for other in made:
                if other is not one:
                    settings = other.site.settings
                    jwks_url = f"{settings.site_url}/.well-known/jwks.json"
                    details = PartnerDetails(settings.site_name, fhir_url=settings.fhir_url, jwks_url=jwks_url)
                    one.partners[settings.site_name] = await one.site.registration.partner(details)
        yield made


def _patient(*identifiers: dict[str, str]) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        **({"identifier": [*identifiers]} if identifiers else {}),
        "name": [{"family": "Demo"}],
    }


def _report(patient: str, text: str) -> dict[str, Any]:
    subject = {"reference": f"Patient/{patient}"}
    code = {"text": "CT"}
    return {"resourceType": "DiagnosticReport", "status": "final", "code": code, "subject": subject, "conclusion": text}


def _consent(patient: str, partner: str, decision: str) -> dict[str, Any]:
    actor = {"role": {"text": "recipient"}, "reference": {"reference": f"Organization/{partner}"}}
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"code": "patient-privacy"}]},
        "category": [{"text": "sharing"}],
        "policyRule": {"text": "opt in"},
        "patient": {"reference": f"Patient/{patient}"},
        "provision": {"type": decision, "actor": [actor]},
    }


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(120):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.1)


async def _conclusions(hospital: Hospital) -> set[str]:
    return {one["conclusion"] for one in await hospital.found("DiagnosticReport")}


async def test_what_is_new_is_asked_for_and_arrives_with_its_source(hospitals: list[Hospital]) -> None:
    """What A has written since it shared is sent to B when B's doctor asks, and to nobody else."""
    a, b, c = hospitals
    at_a = await a.post(_patient(NATIONAL))
    await a.post(_report(at_a, "first"))
    for one in (b, c):
        await one.post(_patient(NATIONAL))
    [at_b], [at_c] = [[found["id"] for found in await one.found("Patient")] for one in (b, c)]
    early = await b.ask(at_b, a)
    assert (early.status_code, early.json()["issue"][0]["code"]) == (404, "not-found"), early.text

    share = await a.doctor.post(f"/Patient/{at_a}/$share?with={a.partner(b)}")
    assert share.status_code == 202, share.text
    await _until(lambda: _has(b, {"first"}))
    await a.post(_report(at_a, "second"))
    asked = early
    async with asyncio.timeout(120):
        while asked.status_code == 404:  # for two seconds A takes a partner for who it was when it asked before
            await asyncio.sleep(0.2)
            asked = await b.ask(at_b, a)
    assert asked.status_code == 202, asked.text
    organization = {"reference": f"Organization/{b.partner(a)}", "display": "Hospital A"}
    assert asked.json()["parameter"] == [{"name": "asked", "valueReference": organization}]
    await _until(lambda: _has(b, {"first", "second"}))
    origins = (await b.doctor.get(f"/Patient/{at_b}/$origins")).json()["parameter"]
    told = [{part["name"]: part for part in one["part"]} for one in origins]
    assert [one["organization"]["valueReference"]["display"] for one in told] == ["Hospital A"] * 2
    assert all(one["verified"]["valueBoolean"] for one in told)
    for one, entity in ((a, f"Patient/{at_a}"), (b, f"Patient/{at_b}")):
        subtype = "share" if one is a else "fetch"
        assert await one.found("AuditEvent", ("entity", entity), ("subtype", subtype), ("outcome", "0"))

    refused = await c.ask(at_c, a)
    assert refused.status_code == 404, refused.text
    assert await c.found("DiagnosticReport") == []


async def _has(hospital: Hospital, conclusions: set[str]) -> bool:
    return await _conclusions(hospital) == conclusions


async def test_a_partner_asks_for_itself_and_for_what_was_shared(hospitals: list[Hospital]) -> None:
    """Not for another partner, not what was not shared or is consented to only, not another's job; scopes count."""
    a, b, c = hospitals
    shared, consented, foreign = [await a.post(_patient()) for _ in range(3)]
    job = await a.site.exchange.share(WORKER, shared, a.partner(b))
    other = await a.site.exchange.share(WORKER, shared, a.partner(c))
    await a.post(_consent(consented, a.partner(b), "permit"))
    async with _as_partner(a, b, "system/*.cruds") as partner:
        assert (await partner.get(f"/Patient/{consented}")).status_code == 200
        assert (await partner.post(f"/Patient/{consented}/$share")).status_code == 404
        assert (await partner.post(f"/Patient/{foreign}/$share")).status_code == 404
        path = f"/Patient/{shared}/$share"
        assert (await partner.post(f"{path}?with={a.partner(c)}")).status_code == 403
        assert (await partner.post(f"{path}?with={a.partner(b)}")).status_code == 202
        again = await partner.post(path)
        assert again.status_code == 202
        assert again.json()["owner"] == {"reference": f"Organization/{a.partner(b)}"}
        assert (await partner.get(again.headers["content-location"])).status_code == 200
        assert (await partner.get(f"{path}?job={job.id}")).status_code == 200
        assert (await partner.get(f"{path}?job={other.id}")).status_code == 404
        await a.post(_consent(shared, a.partner(b), "deny"))
        assert (await partner.post(path)).status_code in {403, 404}
    async with _as_partner(a, c, "system/Observation.rs") as narrow:
        assert (await narrow.post(f"/Patient/{shared}/$share")).status_code == 403


def _as_partner(at: Hospital, partner: Hospital, scope: str) -> httpx.AsyncClient:
    registered = at.partners[partner.site.settings.site_name]
    token = at.site.authorization.token_for_partner(registered, frozenset({scope}))
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(base_url=at.site.settings.fhir_url, headers=headers, timeout=60, trust_env=False)


async def test_what_cannot_be_asked_says_why(hospitals: list[Hospital]) -> None:
    """A partner that is down, without a FHIR server or unknown; a patient that is not there, or does not consent."""
    a, b, _ = hospitals
    patient = await b.post(_patient(NATIONAL))
    b.partners["down"] = await b.site.registration.partner(PartnerDetails("Down", fhir_url="http://127.0.0.1:9/fhir"))
    b.partners["pacs"] = await b.site.registration.partner(
        PartnerDetails("PACS", ae_title="PACS", host="127.0.0.1", port=9)
    )
    for name, status, text in (
        ("down", 503, "the partner cannot be reached"),
        ("pacs", 422, "the partner has no FHIR server to ask"),
    ):
        answer = await b.doctor.post(f"/Patient/{patient}/$fetch?partner={b.partners[name].id}")
        assert (answer.status_code, text in answer.text) == (status, True), answer.text
    for path, status in (
        (f"/Patient/{patient}/$fetch?partner=nobody", 404),
        (f"/Patient/{patient}/$fetch", 400),
        (f"/Patient/nobody/$fetch?partner={b.partner(a)}", 404),
    ):
        assert (await b.doctor.post(path)).status_code == status, path
    await b.post(_consent(patient, b.partners["down"].id, "deny"))
    answer = await b.doctor.post(f"/Patient/{patient}/$fetch?partner={b.partners['down'].id}")
    assert (answer.status_code, "consent" in answer.text) == (403, True), answer.text
