"""Limits on the principal date beside whatever else is asked: no match is lost, nothing else is found."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hayat_fhir.search.conditions import AllOf, AnyKey, AnyOf, Bounds, Condition, Not, SortKey, Text
from hayat_fhir.search.date import FIRST
from hayat_fhir.search.entries import IndexEntries, Range
from hayat_fhir.security.callers import UNRESTRICTED, Restriction
from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import BRIEF, NARROW
from hayat_fhir.store.paging import Scan, segments
from hayat_fhir.store.records import Change
from hayat_fhir.store.resources import Resources
from tests.search.evaluator import holds

MakeChange = Callable[..., Change]
DAY = 86_400_000
DAYS = 2000
FAR_FUTURE = 4_102_444_800_000
LENGTHS = (0, DAY - 1, BRIEF, BRIEF + 1, 10 * DAY, 31 * DAY, NARROW, NARROW + 1, 400 * DAY, FAR_FUTURE)
SORTS = ((), (SortKey("date", principal=True),), (SortKey("_id"),))


def _entries(dice: random.Random) -> IndexEntries:
    """One to three dates, now and then one that is open at the beginning; some keys, a number, a text."""
    ranges = tuple(
        Range("date", low, low + dice.choice(LENGTHS))
        for low in sorted(dice.randrange(0, DAYS) * DAY for _ in range(dice.choice([1, 1, 1, 1, 2, 3])))
    )
    if dice.random() < 0.1:
        ranges = (Range("date", FIRST, ranges[0].low), *ranges[1:])
    date = min(r.high if r.low == FIRST else r.low for r in ranges)
    number = dice.randrange(3)
    return IndexEntries(
        keys=tuple(k for k in (1, 2, 3) if dice.random() < 0.5),
        strings=(dice.choice(["name|a", "name|b"]),),
        ranges=(*ranges, Range("n", number, number)),
        date=int(date),
    )


def _limits(dice: random.Random) -> tuple[Condition, ...]:
    """What the prefixes of one or two date parameters say."""
    a = dice.randrange(0, DAYS) * DAY
    b = a + dice.choice([0, 1, 10, 30, 500]) * DAY
    return dice.choice(
        [
            (Bounds("date", low_min=a, high_max=b + DAY - 1),),
            (Bounds("date", low_max=b, high_min=a),),
            (Bounds("date", high_min=a), Bounds("date", low_max=b)),
            (Bounds("date", high_min=b + 40 * DAY), Bounds("date", low_max=a)),
            (Bounds("date", high_min=a, high_min_open=True), Bounds("date", high_max=b, high_max_open=True)),
            (Bounds("date"), Not(Bounds("date", low_min=a, high_max=b))),
            (Bounds("date", high_min=a),),
            (Bounds("date", low_max=b),),
            (Bounds("date", low_min=a),),
        ]
    )


def _besides(dice: random.Random) -> Condition:
    """What else a search may ask: codes, ``:not``, ``:missing``, composites, other parameters, one or another."""
    one, other = (AnyKey((k,)) for k in dice.sample([1, 2, 3], 2))
    number = Bounds("n", low_min=1, high_max=1)
    return dice.choice(
        [
            one,
            AnyKey((1, 2)),
            Not(one),
            Not(AnyKey((1, 2))),
            number,
            Not(number),
            Text("name", "a"),
            AllOf((one, other)),
            AllOf((one, Not(other))),
            AllOf((Not(one), Not(other))),
            AllOf((one, number)),
            AnyOf((one, number)),
            AnyOf((Not(one), other)),
            AnyOf((AllOf((one, number)), AllOf((other, Text("name", "b"))))),
        ]
    )


async def _found(resources: Resources, condition: Condition, sort: Sequence[SortKey], limit: int) -> list[str]:
    """The ids of all pages together."""
    found: list[str] = []
    after: list[Any] | None = None
    while True:
        page = await resources.find("Observation", condition, UNRESTRICTED, sort, limit, after)
        assert len(page.matches) <= limit
        found += [stored.id for stored in page.matches]
        if page.next is None:
            return found
        after = page.next


def _in_order(changes: Sequence[Change], sort: Sequence[SortKey]) -> list[str]:
    by_date = sorted(changes, key=lambda c: (c.entries.date or 0, c.id), reverse=not sort)
    return [c.id for c in (sorted(changes, key=lambda c: c.id) if sort and not sort[0].principal else by_date)]


@pytest.mark.parametrize("seed", range(3))
async def test_dates_beside_anything_else(resources: Resources, change: MakeChange, seed: int) -> None:
    """Instants, months, years, open periods, several dates, under one limit or two: pages and total are exact."""
    dice = random.Random(seed)
    changes = [change(f"{n:03}", entries=_entries(dice)) for n in range(300)]
    await resources.commit([*changes, change("none")])
    for _ in range(100):
        parts = [*_limits(dice), *(_besides(dice) for _ in range(dice.choice([0, 1, 1, 2])))]
        dice.shuffle(parts)
        condition = AllOf(tuple(parts))
        wanted = [c for c in changes if holds(condition, c.entries)]
        sort = dice.choice(SORTS)
        assert await _found(resources, condition, sort, dice.choice([7, 50])) == _in_order(wanted, sort), condition
        assert await resources.count("Observation", condition, UNRESTRICTED) == len(wanted), condition


@pytest.mark.parametrize("restriction", [Restriction(everything=True), Restriction(compartments=frozenset({"P"}))])
@pytest.mark.parametrize(
    "besides", [AnyKey((1,)), AllOf((AnyKey((1,)), AnyKey((2,)))), Not(AnyKey((3,)))], ids=["key", "keys", "not"]
)
async def test_no_more_is_read_than_the_page(
    resources: Resources, database: Database, change: MakeChange, restriction: Restriction, besides: Condition
) -> None:
    """Between two dates an index leads to the matches, however many long periods begin before and after."""
    lengths = (0, 0, 0, 10 * DAY, 400 * DAY)
    await resources.commit(
        [
            change(
                f"{n:04}",
                entries=IndexEntries((1, 2), ranges=(Range("date", n * DAY, n * DAY + length),), date=n * DAY),
                compartments=("P",),
            )
            for n in range(1000)
            for length in [lengths[n % len(lengths)]]
        ]
    )
    condition = AllOf((besides, Bounds("date", high_min=500 * DAY), Bounds("date", low_max=560 * DAY)))
    for part in segments(Scan("index.date", True), condition, restriction, None, "date"):
        cursor = database.collection("Observation").find(part).sort([("index.date", -1), ("_id", -1)]).limit(21)
        plan = await cursor.explain()
        assert "COLLSCAN" not in str(plan["queryPlanner"]["winningPlan"])
        assert plan["executionStats"]["totalDocsExamined"] <= 100
