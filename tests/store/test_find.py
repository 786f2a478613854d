"""Conditions, orders and pages, against the same thing computed in Python."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.search.conditions import (
    EVERYTHING,
    NOTHING,
    AllOf,
    AnyKey,
    AnyOf,
    Bounds,
    Condition,
    Ids,
    InCompartment,
    Not,
    SortKey,
    Text,
    Updated,
)
from hayat_fhir.search.entries import IndexEntries, Range
from hayat_fhir.security.callers import UNRESTRICTED, Restriction
from hayat_fhir.store.database import Database
from hayat_fhir.store.paging import Scan, counted, segments
from hayat_fhir.store.records import Change, Stored
from hayat_fhir.store.resources import Resources

MakeChange = Callable[..., Change]


async def _ids(resources: Resources, condition: Condition) -> str:
    found = {s.id for s in (await resources.find("Observation", condition, UNRESTRICTED)).matches}
    assert await resources.count("Observation", condition, UNRESTRICTED) == len(found)
    return "".join(sorted(found))


async def test_conditions(resources: Resources, change: MakeChange) -> None:
    """Each kind of condition finds what it says, alone, combined and negated; deletions are in none."""
    await resources.commit(
        [
            change("a", entries=IndexEntries(keys=(1, 2), strings=("name|smith",)), compartments=("Patient/1",)),
            change("b", entries=IndexEntries(keys=(2, 3), strings=("name|smithers", "city|smi"))),
            change("c", entries=IndexEntries(keys=(3,), strings=("name|blacksmith.", "name|jo\nsmith"))),
            change("d", entries=IndexEntries(ranges=(Range("n", 1, 2), Range("n", 8, 9), Range("m", 5, 5)))),
            change("e", entries=IndexEntries(keys=(1, 2, 3))),
        ]
    )
    await resources.commit([change("e", 1, resource=None)])
    now = int(datetime.now(UTC).timestamp() * 1000)
    expected: list[tuple[Condition, str]] = [
        (EVERYTHING, "abcd"),
        (NOTHING, ""),
        (AnyKey(()), ""),
        (AnyKey((2,)), "ab"),
        (AnyKey((1, 3)), "abc"),
        (AllOf((AnyKey((2,)), AnyKey((3,)))), "b"),
        (AllOf((AnyKey((2,)), NOTHING)), ""),
        (AnyOf((AnyKey((1,)), Ids(("d",)))), "ad"),
        (AnyOf((AnyKey((1,)), EVERYTHING)), "abcd"),
        (Not(AnyKey((2,))), "cd"),
        (Not(NOTHING), "abcd"),
        (Not(EVERYTHING), ""),
        (Not(AllOf((AnyKey((2,)), AnyKey((3,))))), "acd"),
        (Ids(("a", "e", "x")), "a"),
        (Ids(()), ""),
        (Text("name", "smith"), "ab"),
        (Text("name", "smith", "exact"), "a"),
        (Text("name", "smith", "contains"), "abc"),
        (Text("name", "smith.", "contains"), "c"),
        (Text("name", "blacksmith|", "contains"), ""),
        (Text("city", "smi"), "b"),
        (Bounds("n", low_min=1, high_max=2), "d"),
        (Bounds("n", low_min=2, high_max=8.5), ""),
        (Bounds("n", low_max=8, high_min=8.5), "d"),
        (Bounds("n", low_min=1, low_min_open=True, low_max=7), ""),
        (Bounds("n", high_min=9, high_min_open=True), ""),
        (Bounds("m", low_max=5, high_min=5), "d"),
        (Bounds("m"), "d"),
        (InCompartment("Patient/1"), "a"),
        (Updated(), "abcd"),
        (Updated(low=now + 60_000), ""),
        (Updated(low=now - 60_000, high=now + 60_000), "abcd"),
        (Updated(low=-(10**18), high=10**18), "abcd"),
    ]
    for condition, ids in expected:
        assert await _ids(resources, condition) == ids, condition


async def _all_pages(
    resources: Resources, condition: Condition, sort: Sequence[SortKey], limit: int
) -> AsyncIterator[Stored]:
    after: list[Any] | None = None
    while True:
        page = await resources.find("Observation", condition, UNRESTRICTED, sort, limit, after)
        assert len(page.matches) <= limit
        for stored in page.matches:
            yield stored
        if page.next is None:
            return
        after = page.next


def _sort_value(change: Change, key: SortKey) -> Any:
    if key.parameter == "_id":
        return change.id
    if key.principal:
        return change.entries.date
    value = change.entries.order.get(key.parameter)
    return value[-1 if key.descending else 0] if isinstance(value, list) else value


def _in_order(changes: Sequence[Change], sort: Sequence[SortKey]) -> list[str]:
    """Stable sorts from the last rule to the first: missing values last in either direction."""
    ordered = list(changes)
    default = [SortKey("date", descending=True, principal=True), SortKey("_id", descending=True)]
    alone = len(sort) == 1 and sort[0].principal
    keys = [*sort, SortKey("_id", descending=alone and sort[0].descending)] if sort else default
    for key in reversed(keys):
        missing = [c for c in ordered if _sort_value(c, key) is None]
        given_ = [c for c in ordered if _sort_value(c, key) is not None]
        ordered = sorted(given_, key=lambda c, k=key: _sort_value(c, k), reverse=key.descending) + missing  # type: ignore[misc]
    return [change.id for change in ordered]


_ORDER = st.one_of(st.integers(-3, 3), st.lists(st.integers(-3, 3), min_size=2, max_size=2).map(sorted))
_ENTRIES = st.builds(
    lambda date, p, q: IndexEntries(
        keys=(1,), date=date, order={k: v for k, v in (("p", p), ("q-r", q)) if v is not None}
    ),
    st.none() | st.integers(-2, 2),
    st.none() | _ORDER,
    st.none() | st.text(alphabet="a$.", max_size=2),
)
_KEYS = st.builds(
    lambda parameter, descending: SortKey(parameter, descending, principal=parameter == "date"),
    st.sampled_from(["p", "q-r", "date", "_id"]),
    st.booleans(),
)
_SORTS = st.lists(_KEYS, max_size=3, unique_by=lambda key: key.parameter)


async def test_paging_in_any_order(database: Database, change: MakeChange) -> None:
    """Whatever the sort rules, the page size and the missing values: all pages together are the sorted whole."""
    loop = asyncio.get_running_loop()
    resources = Resources(database, {"Observation": "date"})

    async def check(entries: list[IndexEntries], sort: list[SortKey], limit: int) -> None:
        changes = [change(f"{n:02}", entries=entry) for n, entry in enumerate(entries)]
        await database.collection("Observation").delete_many({})
        if changes:
            await resources.commit(changes)
        for condition in (EVERYTHING, AnyKey((1,))):
            seen = [stored.id async for stored in _all_pages(resources, condition, sort, limit)]
            assert seen == _in_order(changes, sort)

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(_ENTRIES, max_size=9), st.lists(_KEYS, max_size=3, unique_by=lambda k: k.parameter), st.integers(1, 4)
    )
    def examples(entries: list[IndexEntries], sort: list[SortKey], limit: int) -> None:
        asyncio.run_coroutine_threadsafe(check(entries, sort, limit), loop).result(60)

    await asyncio.to_thread(examples)


@pytest.mark.parametrize(
    "sort", [(), (SortKey("_id"),), (SortKey("p", descending=True),)], ids=["newest", "id", "computed"]
)
async def test_paging_while_others_write(resources: Resources, change: MakeChange, sort: tuple[SortKey, ...]) -> None:
    """Resources that stay where they are appear once each although others come, go and change meanwhile."""
    still = [
        change(f"still-{n:03}", entries=IndexEntries(keys=(1,), date=n // 3, order={"p": n // 3})) for n in range(90)
    ]
    await resources.commit(still)
    done = asyncio.Event()

    async def disturb() -> None:
        for n in range(10_000):
            if done.is_set():
                return
            entries = IndexEntries(keys=(1,), date=n % 30, order={"p": n % 30})
            new = change(f"new-{n:05}", entries=entries)
            await resources.commit([new])
            if n % 2:
                await resources.commit([replace(new, expected=1, resource=None, entries=IndexEntries())])

    disturber = asyncio.create_task(disturb())
    for _ in range(3):
        seen = [s.id async for s in _all_pages(resources, AnyKey((1,)), sort, 4) if s.id.startswith("still")]
        assert sorted(seen) == [c.id for c in still]
    done.set()
    await disturber


async def test_a_page_is_bounded_by_bytes(resources: Resources, change: MakeChange) -> None:
    """Large resources come in pages with fewer matches than asked for, none lost."""
    for n in range(6):
        await resources.commit([change(f"{n}", resource={"text": "x" * (9 * 2**20)})])
    page = await resources.find("Observation", EVERYTHING, UNRESTRICTED, (), 100)
    assert len(page.matches) < 6
    assert page.next is not None
    seen = [stored.id async for stored in _all_pages(resources, EVERYTHING, (), 100)]
    assert seen == ["5", "4", "3", "2", "1", "0"]
    computed = [stored.id async for stored in _all_pages(resources, EVERYTHING, (SortKey("p"),), 100)]
    assert computed == ["0", "1", "2", "3", "4", "5"]


async def test_a_foreign_position_is_refused(resources: Resources) -> None:
    """A position of another order is the caller's mistake."""
    for sort, after in (((), ["x"]), ((), ["x", "y"]), ((SortKey("_id"),), [1]), ((SortKey("p"),), [1])):
        with pytest.raises(InvalidRequest):
            await resources.find("Observation", EVERYTHING, UNRESTRICTED, sort, 5, after)


_RESTRICTIONS = {
    "everything": Restriction(everything=True),
    "patient": Restriction(compartments=frozenset({"Patient/1"})),
}


@pytest.mark.parametrize("restriction", list(_RESTRICTIONS))
@pytest.mark.parametrize("keys", [0, 1, 2, 3])
async def test_pages_are_read_from_an_index(
    resources: Resources, database: Database, change: MakeChange, restriction: str, keys: int
) -> None:
    """The default order needs no sort in memory: with and without keys, first page and later ones."""
    await resources.commit(
        [
            change(f"{n:04}", entries=IndexEntries(keys=(1, 2, 3, n), date=n), compartments=("Patient/1",))
            for n in range(300)
        ]
    )
    condition = AllOf(tuple(AnyKey((k,)) for k in range(1, keys + 1)))
    for after in (None, [150, "0150"]):
        for part in segments(Scan("index.date", True), condition, _RESTRICTIONS[restriction], after, "date"):
            cursor = database.collection("Observation").find(part).sort([("index.date", -1), ("_id", -1)]).limit(20)
            plan = await cursor.explain()
            stages = str(plan["queryPlanner"]["winningPlan"])
            assert "'SORT'" not in stages
            assert "COLLSCAN" not in stages
            assert plan["executionStats"]["totalDocsExamined"] <= 21
    assert counted(condition, Restriction(), "date") == []
