"""The audit log: written together, durable for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

import pytest

from hayat_fhir.errors import InvalidRequest, Unavailable
from hayat_fhir.search.conditions import EVERYTHING, AnyKey
from hayat_fhir.search.entries import IndexEntries
from hayat_fhir.security.callers import UNRESTRICTED
from hayat_fhir.store.audit_events import AuditLog
from hayat_fhir.store.database import Database, connect
from hayat_fhir.store.records import Change
from hayat_fhir.store.resources import Resources

MakeChange = Callable[..., Change]


async def test_events_are_there_when_append_returns(
    database: Database, resources: Resources, change: MakeChange
) -> None:
    """Each of many parallel appends has its event found as soon as it returns."""
    log = AuditLog(database)

    async def append(n: int) -> None:
        event = change(f"{n}", type="AuditEvent", entries=IndexEntries(keys=(n,), date=n), compartments=("Patient/1",))
        await log.append(event)
        page = await resources.find("AuditEvent", AnyKey((n,)), UNRESTRICTED)
        assert [stored.id for stored in page.matches] == [f"{n}"]

    await asyncio.gather(*(append(n) for n in range(200)))
    assert await resources.count("AuditEvent", EVERYTHING, UNRESTRICTED) == 200


async def test_one_bad_event_harms_no_other(database: Database, change: MakeChange) -> None:
    """An event that cannot be stored fails for its own caller only."""
    log = AuditLog(database)
    good = [log.append(change(f"{n}", type="AuditEvent")) for n in range(10)]
    values = ["\ud800", 2**70, Decimal("1." + "1" * 40), object()]
    bad = [log.append(change(f"bad-{n}", type="AuditEvent", resource={"x": x})) for n, x in enumerate(values)]
    outcomes = await asyncio.gather(*good[:5], *bad, *good[5:], return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [InvalidRequest] * len(bad)
    assert await database.collection("AuditEvent").count_documents({}) == 10


async def test_a_cancelled_caller_harms_no_other(database: Database, change: MakeChange) -> None:
    """Who goes away while waiting leaves the others' events alone, and drain waits for all of them."""
    log = AuditLog(database)
    tasks = [asyncio.create_task(log.append(change(f"{n}", type="AuditEvent"))) for n in range(10)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    await log.drain()
    await asyncio.gather(*(task for task in tasks if task is not tasks[3]))
    assert await database.collection("AuditEvent").count_documents({}) == 10


async def test_without_database_every_caller_hears_so(change: MakeChange) -> None:
    """Where the events cannot be made durable, each append is refused, and the next one tries again."""
    database = connect("mongodb://127.0.0.1:1/?replicaSet=hayat", timeout=0.3)
    log = AuditLog(database)
    for _ in range(2):
        appends = [log.append(change(f"{n}", type="AuditEvent")) for n in range(5)]
        outcomes = await asyncio.gather(*appends, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {Unavailable}
    with pytest.raises(Unavailable):
        await log.append(change("x", type="AuditEvent"))
    await database.close()
