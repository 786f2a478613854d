"""Kill -9 of mongod under load: nothing that was acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from hayat_fhir.errors import Unavailable
from hayat_fhir.search.entries import IndexEntries
from hayat_fhir.security.callers import UNRESTRICTED
from hayat_fhir.store.audit_events import AuditLog
from hayat_fhir.store.database import Database, connect
from hayat_fhir.store.mongod import EmbeddedMongod
from hayat_fhir.store.records import Change
from hayat_fhir.store.resources import Resources, VersionConflict

MakeChange = Callable[..., Change]
WRITERS = 16
CRASHES = 3


@pytest.fixture
def mongod(tmp_path: Path) -> EmbeddedMongod:
    """An embedded mongod of the test's own, not yet started."""
    return EmbeddedMongod(tmp_path)


@pytest.fixture
async def crashing(mongod: EmbeddedMongod) -> AsyncIterator[Database]:
    """A database on a mongod that the test may kill."""
    database = connect(await asyncio.to_thread(mongod.start))
    yield database
    await database.close()
    mongod.stop()


class _Ledger:
    """What has been acknowledged: the last version of each resource, and each transaction and audit event."""

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}
        self.bundles: dict[str, bool] = {}
        self.events: list[str] = []
        self.unknown = 0


async def _write_register(resources: Resources, ledger: _Ledger, change: MakeChange, id: str) -> None:
    """Create a resource and update it, going on from what the database says after an unknown outcome."""
    version = ledger.versions.get(id, 0)
    try:
        (stored,) = await resources.commit([change(id, version, resource={"n": version})])
        ledger.versions[id] = stored.version
    except VersionConflict:
        current = await resources.read("Observation", id, UNRESTRICTED)
        assert current is not None
        assert current.version == version + 1, "only a write of unknown outcome can have got there"
        ledger.versions[id] = current.version


async def _write_bundle(resources: Resources, ledger: _Ledger, change: MakeChange, name: str) -> None:
    ledger.bundles[name] = False
    await resources.commit([change(f"{name}-{n}", type="Condition") for n in range(5)])
    ledger.bundles[name] = True


async def _write_event(log: AuditLog, ledger: _Ledger, change: MakeChange, name: str) -> None:
    await log.append(change(name, type="AuditEvent", entries=IndexEntries(keys=(1,))))
    ledger.events.append(name)


async def _load(database: Database, ledger: _Ledger, change: MakeChange, writer: int, stop: asyncio.Event) -> None:
    resources, log = Resources(database), AuditLog(database)
    for turn in range(100_000):
        if stop.is_set():
            return
        try:
            await _write_register(resources, ledger, change, f"{writer}")
            await _write_event(log, ledger, change, f"{writer}-{turn}")
            if turn % 3 == 0:
                await _write_bundle(resources, ledger, change, f"{writer}-{turn}")
        except Unavailable:
            ledger.unknown += 1


async def _kill(mongod: EmbeddedMongod) -> None:
    assert mongod.pid is not None
    os.kill(mongod.pid, signal.SIGKILL)
    for _ in range(500):
        if not mongod.alive:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("mongod does not die")


async def test_nothing_acknowledged_is_lost(mongod: EmbeddedMongod, crashing: Database, change: MakeChange) -> None:
    """Registers, transactions and audit events survive repeated kill -9 of mongod; versions have no gaps."""
    ledger, stop = _Ledger(), asyncio.Event()
    writers = [asyncio.create_task(_load(crashing, ledger, change, n, stop)) for n in range(WRITERS)]
    for _ in range(CRASHES):
        await asyncio.sleep(random.uniform(0.8, 1.3))
        await _kill(mongod)
        await asyncio.to_thread(mongod.start)
    await asyncio.sleep(1)
    await _kill(mongod)
    stop.set()
    mongod_started = asyncio.to_thread(mongod.start)
    await asyncio.gather(mongod_started, *writers)
    resources = Resources(crashing)
    assert sum(ledger.versions.values()) > 100
    for id, version in ledger.versions.items():
        versions = await resources.history("Observation", id, UNRESTRICTED, limit=100_000)
        numbers = [stored.version for stored in versions]
        assert numbers == list(range(numbers[0], 0, -1))
        assert numbers[0] in (version, version + 1)
        assert [(stored.resource or {})["n"] for stored in versions] == [number - 1 for number in numbers]
    for name, acknowledged in ledger.bundles.items():
        found = await crashing.collection("Condition").count_documents({"_id": {"$regex": f"^{name}-"}})
        assert found == 5 if acknowledged else found in (0, 5)
    stored_events = set(await crashing.collection("AuditEvent").distinct("_id"))
    assert stored_events.issuperset(ledger.events)
