"""What earlier rules have indexed is indexed again: its ``index`` is replaced, and nothing else of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from hayat_fhir.search.conditions import AnyKey, Condition
from hayat_fhir.search.entries import GENERATION, IndexEntries, key
from hayat_fhir.security.callers import UNRESTRICTED
from hayat_fhir.store.database import Database
from hayat_fhir.store.index_renewal import IndexRenewal, Renewed
from hayat_fhir.store.records import Change, Resource
from hayat_fhir.store.resources import Resources

MakeChange = Callable[..., Change]
_COLLECTIONS = ("Observation", "Observation_history")
_OLD, _NEW = AnyKey((key("old"),)), AnyKey((key("new"),))


def by_present_rules(resource: Resource, id: str) -> IndexEntries:
    """What the tests take for the present rules; a ``status`` of ``bad`` cannot be indexed."""
    if resource["status"] == "bad":
        raise ValueError(id)
    return IndexEntries(keys=(key("new"), key("status", resource["status"])), date=7)


async def store(resources: Resources, database: Database, changes: list[Change], generation: int | None) -> None:
    """Store resources as an earlier version has; None is a version that knew of no generations."""
    await resources.commit(changes)
    outdated = {"$unset": {"generation": ""}} if generation is None else {"$set": {"generation": generation}}
    ids = {"$in": [change.id for change in changes]}
    await database.collection("Observation").update_many({"_id": ids}, outdated)


async def renewed(database: Database, *, everything: bool = False) -> Renewed:
    """All batches of one pass over the Observations."""
    done, refused = 0, ()
    async for batch in IndexRenewal(database).renew("Observation", by_present_rules, everything=everything):
        done, refused = done + batch.done, refused + batch.refused
    return Renewed(done, refused)


async def found(resources: Resources, condition: Condition) -> list[str]:
    """The ids of what a search finds."""
    page = await resources.find("Observation", condition, UNRESTRICTED, limit=1000)
    return sorted(stored.id for stored in page.matches)


async def everything_else(database: Database) -> list[dict[str, Any]]:
    """All that is stored of Observations, but for what a renewal may change."""
    hidden = {"index": False, "generation": False}
    rows = [await database.collection(name).find({}, hidden).sort("_id", 1).to_list(None) for name in _COLLECTIONS]
    return [document for several in rows for document in several]


async def test_only_the_index_is_replaced(resources: Resources, database: Database, change: MakeChange) -> None:
    """Of no generation or an earlier one, deleted or alive: found afterwards, without a new version of it."""
    old = IndexEntries(keys=(key("old"),))
    await store(resources, database, [change("none", entries=old)], None)
    await store(resources, database, [change("zero", entries=old, source="partner", restricted=True)], GENERATION - 1)
    await store(resources, database, [change("gone", entries=old)], None)
    await resources.commit([change("gone", expected=1, resource=None)])
    await database.collection("Observation").update_one({"_id": "gone"}, {"$unset": {"generation": ""}})
    await resources.commit([change("present", entries=old)])
    before = await everything_else(database)
    assert await IndexRenewal(database).due() == {"Observation": 3}

    assert await renewed(database) == Renewed(3)

    assert await found(resources, _NEW) == ["none", "zero"]
    assert await found(resources, _OLD) == ["present"]
    assert await everything_else(database) == before
    assert await IndexRenewal(database).due() == {"Observation": 0}
    assert await renewed(database) == Renewed(0)


async def test_everything_mends_damage(resources: Resources, database: Database, change: MakeChange) -> None:
    """Also what claims to be of the present generation, where it is not as the rules say; the rest is not written."""
    right = by_present_rules({"status": "final"}, "")
    await resources.commit([change("right", entries=right), change("damaged", entries=right)])
    rows = database.collection("Observation")
    await rows.update_one({"_id": "damaged"}, {"$set": {"index.keys": [], "index.date": 1}})
    assert await found(resources, _NEW) == ["right"]
    assert await renewed(database) == Renewed(0)
    assert await renewed(database, everything=True) == Renewed(2)
    assert await found(resources, _NEW) == ["damaged", "right"]
    first, second = await rows.find({}, {"index": True, "_id": False}).to_list(None)
    assert first == second


async def test_later_rules_are_left_alone(resources: Resources, database: Database, change: MakeChange) -> None:
    """In a rolling upgrade the worker of the earlier version does not undo what the later one has done."""
    await store(resources, database, [change(entries=IndexEntries(keys=(key("old"),)))], GENERATION + 1)
    assert await renewed(database, everything=True) == Renewed(0)
    assert await found(resources, _OLD) == ["a"]


async def test_what_others_write_meanwhile_stays(resources: Resources, database: Database, change: MakeChange) -> None:
    """Updates and deletions come while two passes read and write: none is lost, and all is indexed in the end."""
    ids = [f"{number:04}" for number in range(600)]
    await store(resources, database, [change(id) for id in ids], None)
    amended, deleted = ids[::4], ids[1::4]

    async def write() -> None:
        entries = by_present_rules({"status": "amended"}, "")
        for update, deletion in zip(amended, deleted, strict=True):
            await asyncio.gather(
                resources.commit([change(update, 1, resource={"status": "amended"}, entries=entries)]),
                resources.commit([change(deletion, 1, resource=None)]),
            )

    await asyncio.gather(write(), renewed(database), renewed(database, everything=True))
    await renewed(database)
    assert await found(resources, AnyKey((key("status", "amended"),))) == amended
    assert await found(resources, AnyKey((key("status", "final"),))) == sorted(ids[2::4] + ids[3::4])
    assert await IndexRenewal(database).due() == {"Observation": 0}
    for id in ids:
        stored = await resources.read("Observation", id, UNRESTRICTED)
        assert stored is not None
        assert (stored.version, stored.deleted) == (2 if id in amended or id in deleted else 1, id in deleted)


async def test_another_goes_on_where_one_has_ended(
    resources: Resources, database: Database, change: MakeChange
) -> None:
    """A pass that ends after a batch leaves the rest to the next one, and no batch is done twice."""
    await store(resources, database, [change(f"{number:04}") for number in range(450)], None)
    async with aclosing(IndexRenewal(database).renew("Observation", by_present_rules)) as batches:
        first = await anext(batches)
    left = await IndexRenewal(database).due()
    assert 0 < first.done < 450
    assert left == {"Observation": 450 - first.done}
    assert await renewed(database) == Renewed(450 - first.done)


async def test_what_cannot_be_indexed_holds_nothing_up(
    resources: Resources, database: Database, change: MakeChange
) -> None:
    """It is named, stays as it is, and stays due; so does what the new entries would make too large."""
    large = change("large", resource={"status": "x" * 200, "text": "x" * (16 * 2**20 - 600)})
    await store(resources, database, [change("bad", resource={"status": "bad"})], None)
    await store(resources, database, [large], None)
    await store(resources, database, [change("good")], None)
    many = IndexEntries(keys=tuple(range(2**40, 2**40 + 100)))

    def make(resource: Resource, id: str) -> IndexEntries:
        return many if id == "large" else by_present_rules(resource, id)

    batches = [batch async for batch in IndexRenewal(database).renew("Observation", make)]
    assert sum(batch.done for batch in batches) == 1
    assert sorted(id for batch in batches for id in batch.refused) == ["bad", "large"]
    assert await found(resources, _NEW) == ["good"]
    assert await IndexRenewal(database).due() == {"Observation": 2}
