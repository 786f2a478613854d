"""A site of two API processes' worth of applications on one database, and the clients that browsers would be."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from uuid import uuid4

import httpx
import pytest
import socketio
import uvicorn
from pydantic import SecretStr

from hayat_fhir.app import Site, open_site
from hayat_fhir.http_process import web_application
from hayat_fhir.security.callers import Role
from hayat_fhir.settings import Settings

PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account: ``id`` is that of the Practitioner or Patient."""

    email: str
    role: str
    id: str
    account: str
    token: str
    url: str = ""

    def at(self, url: str) -> httpx.AsyncClient:
        """The person's client at this URL."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.AsyncClient(base_url=url, headers=headers, timeout=120, trust_env=False)


class Served:
    """The running site: ``urls`` are of its two processes, which share nothing but the database."""

    def __init__(self, loop: asyncio.AbstractEventLoop, urls: list[str], sites: list[Site]) -> None:
        self.loop = loop
        self.urls = urls
        self.site = sites[0]

    @property
    def url(self) -> str:
        """The first process's URL."""
        return self.urls[0]

    async def person(self, role: str) -> Person:
        """A new person."""
        return await self.run(self.made(role))

    async def run(self, work: Any) -> Any:
        """Await something on the site's own event loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_awaited(work), self.loop))

    async def made(self, role: str) -> Person:
        """The same, for whoever runs on the site's own event loop."""
        email = f"{role}-{uuid4().hex}@site.example"
        account = await self.site.registration.account(Role(role), email, f"Test {role}", token_urlsafe(24))
        id = (account.reference or "").rpartition("/")[2]
        return Person(email, role, id, account.id, self.site.authorization.token_for_account(account), self.url)


async def _awaited(work: Any) -> Any:
    return await work


@pytest.fixture(scope="session")
def served(mongodb_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The running site."""
    with serving(mongodb_url, tmp_path_factory.mktemp("realtime")) as running:
        yield running


@contextmanager
def serving(mongodb_url: str, data_dir: Path, **more: Any) -> Iterator[Served]:
    """A running site with further settings."""
    running: Future[Served] = Future()
    stop = threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(_run(mongodb_url, data_dir, more, running, stop)), name="realtime site", daemon=True
    )
    thread.start()
    try:
        yield running.result(60)
    finally:
        stop.set()
        thread.join(30)


async def _run(
    mongodb_url: str, data_dir: Path, more: dict[str, Any], running: Future[Served], stop: threading.Event
) -> None:
    database = f"hayat_test_{uuid4().hex}"
    try:
        async with AsyncExitStack() as stack:
            sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
            urls = [f"http://127.0.0.1:{one.getsockname()[1]}" for one in sockets]
            settings = Settings(
                mongodb_url=SecretStr(mongodb_url),
                data_dir=data_dir,
                base_url=urls[0],
                **({"media_processes": 4} | more),
            )
            sites = [await stack.enter_async_context(open_site(settings, database)) for _ in sockets]
            servers = [_server(site) for site in sites]
            serving = [
                asyncio.create_task(server.serve(sockets=[one])) for server, one in zip(servers, sockets, strict=True)
            ]
            await until(lambda: all(server.started for server in servers))
            running.set_result(Served(asyncio.get_running_loop(), urls, sites))
            await asyncio.to_thread(stop.wait)
            for server in servers:
                server.should_exit = True
            await asyncio.gather(*serving)
            await sites[0].database.drop()
    except BaseException as error:
        if running.done():
            raise
        running.set_exception(error)


def _server(site: Site) -> uvicorn.Server:
    config = uvicorn.Config(
        web_application(site),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        ws_per_message_deflate=False,
    )
    return uvicorn.Server(config)


@dataclass(slots=True)
class Browser:
    """A Socket.IO client that keeps what it is told."""

    client: socketio.AsyncClient
    events: list[tuple[str, list[Any]]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def sid(self) -> str:
        """The id of its socket."""
        return str(self.client.get_sid("/"))

    async def emit(self, event: str, *payload: object) -> None:
        """Send without waiting for an acknowledgement."""
        await self.client.emit(event, payload)

    async def call(self, event: str, *payload: object) -> dict[str, Any]:
        """Send, and wait for the acknowledgement."""
        answer: dict[str, Any] = await self.client.call(event, payload, timeout=PATIENCE)
        return answer

    async def told(self, event: str, when: Callable[..., bool] = lambda *_: True) -> list[Any]:
        """The payload of the first such event, once it is there."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for name, payload in self.events:
                    if name == event and when(*payload):
                        return payload
                self.arrived.clear()
                await self.arrived.wait()

    def forget(self) -> None:
        """Keep nothing of what has come so far."""
        self.events.clear()


Connect = Callable[..., Awaitable[Browser]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connects a person, or whoever has a token, to a process of the site."""
    browsers: list[Browser] = []

    async def connected(
        person: Person | str | None, url: str | None = None, transports: tuple[str, ...] = ("websocket",), **more: Any
    ) -> Browser:
        browser = Browser(socketio.AsyncClient(reconnection=False, logger=False))
        browsers.append(browser)

        async def heard(event: str, *payload: Any) -> None:
            browser.events.append((event, list(payload)))
            browser.arrived.set()

        browser.client.on("*", heard)
        token = person.token if isinstance(person, Person) else person
        where = url or (person.url if isinstance(person, Person) else "")
        auth = {"token": token} if token is not None else None
        await browser.client.connect(where, auth=auth, transports=list(transports), wait_timeout=PATIENCE, **more)
        return browser

    yield connected
    for browser in browsers:
        await browser.client.disconnect()
        await browser.client.shutdown()
        if browser.client.eio.http is not None:
            await browser.client.eio.http.close()


async def until(condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """The condition's value, once it is true."""
    async with asyncio.timeout(patience):
        while True:
            value = condition()
            if asyncio.iscoroutine(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(0.05)
