"""Figures of several processes add up, and counters outlive the processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pymongo.database import Database as SyncDatabase

from hayat_fhir.store.database import Database, connect_sync
from hayat_fhir.store.deliveries import Delivered, Deliveries, State
from hayat_fhir.store.figures import Figures, SiteFigures


@pytest.fixture
def rows(mongodb_url: str, database_name: str) -> Iterator[SyncDatabase[dict[str, object]]]:
    """The same database, for threads."""
    made = connect_sync(mongodb_url, database_name)
    with made.client:
        yield made


async def test_counters_add_up_and_stay(database: Database, rows: SyncDatabase[dict[str, object]]) -> None:
    """What two processes count is one figure for each label, also when they are gone."""
    for number in (1, 2):
        figures = Figures()
        figures.count("images", result="stored")
        figures.count("images", number, result="refused")
        figures.publish(rows)
        figures.publish(rows)
        figures.withdraw(rows)
    found = {(one.name, one.labels): one.value for one in await SiteFigures(database).read() if one.kind == "counter"}
    assert found == {("images", (("result", "stored"),)): 2, ("images", (("result", "refused"),)): 3}


async def test_gauges_are_of_those_that_live(database: Database, rows: SyncDatabase[dict[str, object]]) -> None:
    """Those of several processes are added up, shared ones are not; a process that ends takes its own along."""
    both = [Figures({"free": lambda: 7.0}) for _ in range(2)]
    for figures in both:
        figures.show("associations", lambda: 3.0)
        figures.publish(rows)
    both[0].withdraw(rows)
    first = {one.name: one.value for one in await SiteFigures(database).read()}
    both[1].withdraw(rows)
    assert (first["associations"], first["free"], first["hayat_dicom_processes"]) == (3.0, 7.0, 1.0)
    assert "associations" not in {one.name for one in await SiteFigures(database).read()}


async def test_jobs_are_counted_by_kind_and_state(database: Database) -> None:
    """What is done is not among them."""
    rows = database.collection("outbox")
    states = ("waiting", "waiting", "running")
    await rows.insert_many(
        {"kind": "share", "key": str(number), "status": status, "unfinished": True}
        for number, status in enumerate(states)
    )
    await rows.insert_one({"kind": "share", "key": "9", "status": "done"})
    found = {one.labels: one.value for one in await SiteFigures(database).read() if one.name == "hayat_outbox_jobs"}
    of = (("kind", "share"), ("status", "waiting")), (("kind", "share"), ("status", "running"))
    assert found == {of[0]: 2, of[1]: 1}


async def test_deliveries_are_counted(database: Database) -> None:
    """Each image once for each state that it reaches."""
    deliveries = Deliveries(database)
    sent = [Delivered(str(number), "1.2", "", State.SENT) for number in range(3)]
    await deliveries.record("archive", sent)
    await deliveries.record("archive", [replace(sent[0], state=State.VERIFIED)])
    found = {one.labels: one.value for one in await SiteFigures(database).read() if one.kind == "counter"}
    assert found == {(("state", "sent"),): 3, (("state", "verified"),): 1}
