"""A whole site behind a real socket, with people who have registered through the legacy routes."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
import uvicorn
from pydantic import SecretStr

from hayat_fhir.app import Site, open_site
from hayat_fhir.http_process import web_application
from hayat_fhir.security.callers import Role
from hayat_fhir.services.partner_details import PartnerDetails
from hayat_fhir.settings import Settings

ORIGIN = "http://localhost:3000"
PASSWORD = "violet-marmot-47-lantern"


@dataclass(frozen=True, slots=True)
class RunningSite:
    """A site that answers at ``url``; ``run`` has a coroutine run on its event loop."""

    url: str
    opened: Site
    run: Callable[[Any], Any]
    staff_email: str
    partner_token: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has signed in: their client at ``/api/v1``, the same at ``/fhir``, and their legacy id."""

    http: httpx.Client
    fhir: httpx.Client
    id: str
    email: str


@pytest.fixture(scope="module")
def site(mongodb_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """The running site, on an event loop of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    settings = Settings(
        site_name="Test Hospital",
        mongodb_url=SecretStr(mongodb_url),
        http_port=listening.getsockname()[1],
        data_dir=tmp_path_factory.mktemp("site"),
        cors_origins=(ORIGIN,),
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
    loop = asyncio.get_running_loop()
    try:
        async with open_site(settings, f"hayat_test_{uuid4().hex}") as opened:
            config = uvicorn.Config(web_application(opened), log_config=None, access_log=False, server_header=False)
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            email = "first@site.example"
            await opened.registration.account(Role.STAFF, email, "First staff", PASSWORD)
            partner = await opened.registration.partner(PartnerDetails("Partner Hospital"))
            running.set_result(
                RunningSite(
                    opened.settings.site_url,
                    opened,
                    lambda waiting: asyncio.run_coroutine_threadsafe(_awaited(waiting), loop).result(30),
                    email,
                    lambda: opened.authorization.token_for_partner(partner, frozenset({"system/*.cruds"})),
                )
            )
            await asyncio.to_thread(stop.wait)
            server.should_exit = True
            await serving
            await opened.database.drop()
    except BaseException as error:
        if running.done():
            raise
        running.set_exception(error)


async def _awaited(waiting: Awaitable[Any]) -> Any:
    return await waiting


@pytest.fixture(scope="module")
def anonymous(site: RunningSite) -> Iterator[httpx.Client]:
    """Nobody, at ``/api/v1``."""
    with httpx.Client(base_url=f"{site.url}/api/v1", timeout=120, trust_env=False) as client:
        yield client


def signed_in(site: RunningSite, anonymous: httpx.Client, role: str, email: str, password: str = PASSWORD) -> Person:
    """Sign in as the frontend does."""
    answer = anonymous.post(f"/{role}/login", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    return with_token(site, answer.json()["token"], email)


def with_token(site: RunningSite, token: str, email: str) -> Person:
    """Whoever holds this token."""
    http = httpx.Client(base_url=f"{site.url}/api/v1", headers={"x-acess-token": token}, timeout=120, trust_env=False)
    fhir = httpx.Client(
        base_url=f"{site.url}/fhir", headers={"authorization": f"Bearer {token}"}, timeout=120, trust_env=False
    )
    return Person(http, fhir, http.get("/auth/").json()["id"], email)


def patient_document(**changes: object) -> dict[str, Any]:
    """A patient's registration."""
    return {
        "name": "Amina Example",
        "email": f"{uuid4().hex}@patient.example",
        "password": PASSWORD,
        "phone": "+20 100 000 0000",
        "gender": "Female",
        "birthdate": "1990-04-30",
        "IDcard": int(uuid4().int % 10**14),
        "currentAddress": "1 Example Street",
        "relative": {"name": "Omar Example", "phoneNumber": "+20 100 000 0001", "relativeType": "brother"},
        "allergy": "penicillin",
        "bloodType": "AB",
        **changes,
    }


def doctor_document(specialization: str, **changes: object) -> dict[str, Any]:
    """A doctor, as staff add one."""
    return {
        "name": "Dr Example",
        "email": f"{uuid4().hex}@doctor.example",
        "password": PASSWORD,
        "phone": "+20 100 000 0002",
        "gender": "Male",
        "specialization": specialization,
        "specializationDetail": "Chest imaging",
        "background": "Trained in Cairo",
        "hospital": "Test Hospital",
        **changes,
    }


def staff_document(**changes: object) -> dict[str, Any]:
    """A member of staff, as staff add one."""
    return {
        "name": "Clerk Example",
        "email": f"{uuid4().hex}@staff.example",
        "password": PASSWORD,
        "phone": "+20 100 000 0003",
        "gender": "Female",
        "position": "clerk",
        "salary": 12000,
        **changes,
    }


def record_document(doctor: str, patient: str, **changes: object) -> dict[str, Any]:
    """A medical record, as a doctor writes one."""
    return {
        "doctor": doctor,
        "patient": patient,
        "history": "Cough for two weeks",
        "peDiagnosis": "Pneumonia of the left lower lobe",
        "illness": "Pneumonia",
        "treatment": "Amoxicillin for seven days",
        **changes,
    }


@pytest.fixture(scope="module")
def staff(site: RunningSite, anonymous: httpx.Client) -> Iterator[Person]:
    """The first member of the staff."""
    person = signed_in(site, anonymous, "staff", site.staff_email)
    yield person
    person.http.close()
    person.fhir.close()


@pytest.fixture(scope="module")
def specialization(staff: Person) -> str:
    """The id of a specialization."""
    answer = staff.http.post("/specialization/", json={"specialization": "Radiology", "detail": "Images of the body"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["_id"])


def _doctor(site: RunningSite, anonymous: httpx.Client, staff: Person, specialization: str) -> Iterator[Person]:
    document = doctor_document(specialization)
    answer = staff.http.post("/doctor/", json=document)
    assert answer.status_code == 201, answer.text
    person = signed_in(site, anonymous, "doctor", document["email"])
    yield person
    person.http.close()
    person.fhir.close()


@pytest.fixture(scope="module")
def doctor(site: RunningSite, anonymous: httpx.Client, staff: Person, specialization: str) -> Iterator[Person]:
    """A doctor."""
    yield from _doctor(site, anonymous, staff, specialization)


@pytest.fixture(scope="module")
def colleague(site: RunningSite, anonymous: httpx.Client, staff: Person, specialization: str) -> Iterator[Person]:
    """Another doctor."""
    yield from _doctor(site, anonymous, staff, specialization)


def _patient(site: RunningSite, anonymous: httpx.Client) -> Iterator[Person]:
    document = patient_document()
    answer = anonymous.post("/patient/register", json=document)
    assert answer.status_code == 201, answer.text
    person = signed_in(site, anonymous, "patient", document["email"])
    yield person
    person.http.close()
    person.fhir.close()


@pytest.fixture(scope="module")
def patient(site: RunningSite, anonymous: httpx.Client) -> Iterator[Person]:
    """A patient who has registered."""
    yield from _patient(site, anonymous)


@pytest.fixture(scope="module")
def other(site: RunningSite, anonymous: httpx.Client) -> Iterator[Person]:
    """Another patient."""
    yield from _patient(site, anonymous)
