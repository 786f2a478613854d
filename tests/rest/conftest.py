"""A whole site behind a real socket for the tests of its door: one for the session, with people and a partner."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from secrets import token_urlsafe
from uuid import uuid4

import httpx
import pytest
import uvicorn
from joserfc.jwk import ECKey
from pydantic import SecretStr

from hayat_fhir.app import Site, open_site
from hayat_fhir.http_process import web_application
from hayat_fhir.security.callers import Role
from hayat_fhir.services.partner_details import PartnerDetails
from hayat_fhir.settings import Settings
from hayat_fhir.store.accounts import Account

SECOND_URL = "http://second.example"
"""Where the second partner says it is."""


@dataclass(frozen=True, slots=True)
class PartnerKeys:
    """A registered partner's client id and private key."""

    client_id: str
    kid: str
    key: ECKey


@dataclass(frozen=True, slots=True)
class RunningSite:
    """A site that answers at ``url``; ``token`` makes a fresh one by name; ``partner`` is the partner's id.

    There are two, ``partner`` and ``second``, whose names may be followed by a scope.
    """

    url: str
    token: Callable[[str], str]
    patients: dict[str, str]
    partner: str
    partner_keys: PartnerKeys


@dataclass(frozen=True, slots=True)
class PatientClient:
    """A patient's own client, and the id of their Patient."""

    http: httpx.AsyncClient
    id: str


@pytest.fixture(scope="session")
def site(mongodb_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """The running site, on an event loop of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    settings = Settings(
        site_name="Test Hospital",
        mongodb_url=SecretStr(mongodb_url),
        http_port=listening.getsockname()[1],
        data_dir=tmp_path_factory.mktemp("site"),
    )
    running: Future[RunningSite] = Future()
    stop = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_run(settings, listening, running, stop)), daemon=True)
    thread.start()
    yield running.result(60)
    stop.set()
    thread.join()


async def _run(
    settings: Settings, listening: socket.socket, running: Future[RunningSite], stop: threading.Event
) -> None:
    try:
        async with open_site(settings, f"hayat_test_{uuid4().hex}") as opened:
            config = uvicorn.Config(web_application(opened), log_config=None, access_log=False, server_header=False)
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            running.set_result(await _people(opened))
            await asyncio.to_thread(stop.wait)
            server.should_exit = True
            await serving
            await opened.database.drop()
    except BaseException as error:
        if running.done():
            raise
        running.set_exception(error)


async def _people(opened: Site) -> RunningSite:
    accounts: dict[str, Account] = {}
    for name, role in (("staff", Role.STAFF), ("doctor", Role.DOCTOR), ("one", Role.PATIENT), ("other", Role.PATIENT)):
        email = f"{name}@site.example"
        accounts[name] = await opened.registration.account(role, email, f"Test {name}", token_urlsafe(24))
    key = ECKey.generate_key("P-384", auto_kid=True)
    public = {**key.as_dict(private=False), "use": "sig", "alg": "ES384"}
    partner = await opened.registration.partner(PartnerDetails("Partner Hospital", jwks={"keys": [public]}))

    second = await opened.registration.partner(PartnerDetails("Second Hospital", fhir_url=f"{SECOND_URL}/fhir"))
    partners = {"partner": partner, "second": second}

    def token(name: str) -> str:
        name, _, scope = name.partition(" ")
        if name in partners:
            return opened.authorization.token_for_partner(partners[name], frozenset({scope or "system/*.cruds"}))
        return opened.authorization.token_for_account(accounts[name])

    patients = {name: (account.reference or "").rpartition("/")[2] for name, account in accounts.items()}
    keys = PartnerKeys(partner.client_id, str(key.kid), key)
    return RunningSite(opened.settings.site_url, token, patients, partner.id, keys)


@pytest.fixture(scope="session")
def site_url(site: RunningSite) -> str:
    """The site's URL."""
    return site.url


@pytest.fixture(scope="session")
def base_url(site: RunningSite) -> str:
    """The FHIR base."""
    return f"{site.url}/fhir"


@pytest.fixture(scope="session")
def raw(site: RunningSite) -> httpx.URL:
    """Host and port, for tests that write bytes."""
    return httpx.URL(site.url)


@pytest.fixture(scope="session")
def partner_keys(site: RunningSite) -> PartnerKeys:
    """What the registered partner signs with."""
    return site.partner_keys


@pytest.fixture
def unique() -> str:
    """An id that no other test uses."""
    return uuid4().hex


@pytest.fixture
async def anonymous(site: RunningSite) -> AsyncIterator[httpx.AsyncClient]:
    """Nobody, at the site's root."""
    async with httpx.AsyncClient(base_url=site.url, timeout=120, trust_env=False) as client:
        yield client


@pytest.fixture
async def staff(site: RunningSite) -> AsyncIterator[httpx.AsyncClient]:
    """A member of the staff, at the FHIR base."""
    async with _client(site, "staff") as client:
        yield client


@pytest.fixture
async def doctor(site: RunningSite) -> AsyncIterator[httpx.AsyncClient]:
    """A doctor, at the FHIR base."""
    async with _client(site, "doctor") as client:
        yield client


@pytest.fixture
async def partner(site: RunningSite) -> AsyncIterator[httpx.AsyncClient]:
    """The partner hospital, at the FHIR base."""
    async with _client(site, "partner") as client:
        yield client


@pytest.fixture
async def second(site: RunningSite) -> AsyncIterator[httpx.AsyncClient]:
    """Another partner hospital, at the FHIR base."""
    async with _client(site, "second") as client:
        yield client


@pytest.fixture
async def one(site: RunningSite) -> AsyncIterator[PatientClient]:
    """A patient."""
    async with _client(site, "one") as client:
        yield PatientClient(client, site.patients["one"])


@pytest.fixture
async def other(site: RunningSite) -> AsyncIterator[PatientClient]:
    """Another patient."""
    async with _client(site, "other") as client:
        yield PatientClient(client, site.patients["other"])


def _client(site: RunningSite, name: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"{site.url}/fhir",
        headers={"Authorization": f"Bearer {site.token(name)}"},
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=100),
        timeout=30,
        trust_env=False,
    )
