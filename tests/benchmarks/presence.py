"""200 doctors online and 1,000 patients watching: how soon all know of a change, and what that costs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import psutil
from websockets.asyncio.client import ClientConnection, connect

from hayat_fhir.demonstration_site import Site
from hayat_fhir.security.keys import SiteKeys
from hayat_fhir.security.tokens import issue_access
from hayat_fhir.store.database import connect_sync
from tests.benchmarks.figures import BenchmarkFailed, Finding, Target, spread
from tests.benchmarks.processes import cpu_seconds
from tests.benchmarks.run import Run
from tests.benchmarks.site import data_dir, mongodb_url, processes, running

_DOCTORS, _PATIENTS = 200, 1000
_CHANGES = 10
_EVERY = 1.0
_AT_ONCE = 50
_PATIENCE = 60.0
_SOON = Target(500, "ours", at_least=False)
_CHEAP = Target(30, "ours", at_least=False)
_REVOKED = Target(5000, "ours", at_least=False)


def measure(run: Run) -> Iterator[Finding]:
    """The time from a doctor's click until the last watcher knows, and the API's share of a core meanwhile.

    Raises:
        BenchmarkFailed: A watcher was not told.
    """
    with run.step("presence: starting"), running(run.folder("presence"), roles=()) as site:
        tokens = people(site, _DOCTORS, _PATIENTS)
        api = [process for process in processes(site).own if "api" in process.cmdline()]
        for event, what in (("watch-presence", "what has changed"), ("get-online-doctor", "the whole list")):
            times, shares = asyncio.run(_rounds(run, site.http_port, tokens, event, api))
            note = f"{_DOCTORS} doctors online, {_PATIENTS:,} patients, a change every second"
            yield Finding("presence", f"until all are told {what}", "ms", spread(times), target=_SOON, note=note)
            yield Finding("presence", f"API process, telling {what}", "% of a core", spread(shares), target=_CHEAP)
        ends = [asyncio.run(_ended(site, tokens["patient"][number], number)) for number in range(run.rounds)]
        yield Finding("presence", "until a disabled account's socket is closed", "ms", spread(ends), target=_REVOKED)


def people(site: Site, doctors: int, patients: int) -> dict[str, list[str]]:
    """Accounts without a password, and tokens of theirs, by role."""
    keys = SiteKeys.load_or_create(data_dir(site) / "secrets")
    rows = connect_sync(mongodb_url(site))["accounts"]
    tokens: dict[str, list[str]] = {}
    for role, number, type in (("doctor", doctors, "Practitioner"), ("patient", patients, "Patient")):
        ids = [f"bench-{role}-{n}" for n in range(number)]
        rows.insert_many(
            {
                "_id": id,
                "role": role,
                "email": f"{id}@site.example",
                "name": id,
                "password_hash": "",
                "reference": f"{type}/{id}",
                "disabled": False,
                "epoch": 0,
            }
            for id in ids
        )
        issuer = f"http://127.0.0.1:{site.http_port}"
        tokens[role] = [
            issue_access(keys, issuer=issuer, subject=id, role=role, scopes=["user/*.rs"], ttl=3600) for id in ids
        ]
    return tokens


@dataclass(slots=True)
class _Client:
    """One Socket.IO connection, spoken by hand: a library's own costs would count as ours."""

    socket: ClientConnection
    told: dict[str, float] = field(default_factory=dict)
    """When it was told last of each event."""

    async def listen(self) -> None:
        """Take what comes, and answer pings."""
        async for packet in self.socket:
            if packet == "2":
                await self.socket.send("3")
            elif isinstance(packet, str) and packet.startswith("42"):
                self.told[packet[4 : packet.index('"', 4)]] = time.perf_counter()

    async def emit(self, event: str) -> None:
        """Send an event without payload."""
        await self.socket.send(f"42{json.dumps([event])}")


async def _rounds(
    run: Run, port: int, tokens: dict[str, list[str]], watch: str, api: list[psutil.Process]
) -> tuple[list[float], list[float]]:
    heard = {"watch-presence": "presence", "get-online-doctor": "updateDoctorList"}[watch]
    async with AsyncExitStack() as stack:
        doctors = await _connected(stack, port, tokens["doctor"])
        patients = await _connected(stack, port, tokens["patient"])
        for doctor in doctors:
            await doctor.emit("online-user")
        for patient in patients:
            await patient.emit(watch)
        await asyncio.sleep(3)
        times: list[float] = []
        shares: list[float] = []
        for number in range(run.rounds):
            before, begun = cpu_seconds(api), time.perf_counter()
            slowest: list[float] = []
            for change in range(_CHANGES):
                doctor = doctors[(number * _CHANGES + change) // 2 % len(doctors)]
                at = time.perf_counter()
                await doctor.emit("offline-user" if change % 2 == 0 else "online-user")
                await asyncio.sleep(at + _EVERY - time.perf_counter())
                late = [patient for patient in patients if patient.told.get(heard, 0.0) < at]
                if late:
                    raise BenchmarkFailed(f"{len(late)} watchers were not told within {_EVERY:g} s")
                slowest.append((max(patient.told[heard] for patient in patients) - at) * 1000)
            times.append(max(slowest))
            shares.append((cpu_seconds(api) - before) / (time.perf_counter() - begun) * 100)
    return times, shares


async def _ended(site: Site, token: str, number: int) -> float:
    """Milliseconds from the moment an account is disabled until its socket is closed."""
    async with AsyncExitStack() as stack:
        (client,) = await _connected(stack, site.http_port, [token])
        await asyncio.sleep(3)  # the token has been looked at a while ago, as that of most sockets
        begun = time.perf_counter()
        rows = connect_sync(mongodb_url(site))["accounts"]
        rows.update_one({"_id": f"bench-patient-{number}"}, {"$set": {"disabled": True}, "$inc": {"epoch": 1}})
        async with asyncio.timeout(_PATIENCE):
            await client.socket.wait_closed()
        return (time.perf_counter() - begun) * 1000


async def _connected(stack: AsyncExitStack, port: int, tokens: list[str]) -> list[_Client]:
    """A connection for each token, with its listener: pings are answered while others still connect."""
    listeners: list[asyncio.Task[None]] = []
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(token: str) -> _Client:
        async with gate, asyncio.timeout(_PATIENCE):
            url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
            socket = await stack.enter_async_context(
                connect(url, proxy=None, compression=None, ping_interval=None, open_timeout=_PATIENCE)
            )
            await socket.recv()
            await socket.send(f"40{json.dumps({'token': token})}")
            if not str(answer := await socket.recv()).startswith("40"):
                raise BenchmarkFailed(f"a socket was refused: {answer!r}")
            client = _Client(socket)
            listeners.append(asyncio.create_task(client.listen()))
            return client

    clients = await asyncio.gather(*(one(token) for token in tokens))

    async def stop() -> None:
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)

    stack.push_async_callback(stop)
    return list(clients)
