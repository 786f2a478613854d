"""Counts by day, over ranges of indexes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hayat_fhir.store.arrivals import Arrival, Arrivals
from hayat_fhir.store.database import Database
from hayat_fhir.store.statistics import Count, Statistics

_NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
_STUDY = Arrival("1.2", _NOON, _NOON, "i", "Patient/p", "o", ("CT", "SR"), 3, 700)


async def test_studies_count_on_the_day_of_their_first_image(database: Database) -> None:
    """By modality; a study that grows is counted once; what came before the range is not."""
    arrivals, statistics = Arrivals(database), Statistics(database)
    await arrivals.put(_STUDY)
    await arrivals.put(replace(_STUDY, last=_NOON + timedelta(days=1), instances=5, bytes=900))
    await arrivals.put(replace(_STUDY, study="1.3", sender="", modalities=("CT",)))
    await arrivals.put(replace(_STUDY, study="1.4", first=_NOON - timedelta(days=9)))
    since = _NOON - timedelta(days=2)
    assert await statistics.studies(since) == [Count("2026-11-20", "CT", 2), Count("2026-11-20", "SR", 1)]
    assert await statistics.received(since) == [Count("2026-11-20", "received", 1)]
    assert (await statistics.holdings(since)).recent_bytes == 1600
    assert (await statistics.holdings(_NOON + timedelta(days=1))).recent_bytes == 0


async def test_the_latest_arrivals_come_first(database: Database) -> None:
    """By their last image, as many as are asked for."""
    arrivals = Arrivals(database)
    for number in range(3):
        await arrivals.put(replace(_STUDY, study=f"1.{number}", last=_NOON + timedelta(hours=number)))
    assert [one.study for one in await arrivals.latest(2)] == ["1.2", "1.1"]
    await arrivals.put(replace(_STUDY, study="1.0", last=_NOON + timedelta(hours=5), instances=9))
    assert (await arrivals.latest(1))[0].instances == 9


async def test_counting_reads_the_index_only_where_it_must(database: Database) -> None:
    """The range of days is looked up in an index: no collection is read from end to end."""
    arrivals = Arrivals(database)
    for number in range(50):
        await arrivals.put(replace(_STUDY, study=f"1.{number}", first=_NOON - timedelta(days=number)))
    explained = await database.collection("arrivals").find({"first": {"$gte": _NOON - timedelta(days=4)}}).explain()
    assert explained["executionStats"]["totalDocsExamined"] == 5
