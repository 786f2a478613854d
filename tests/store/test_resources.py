"""Versions: written by compare-and-set, read within a restriction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from hayat_fhir.errors import InvalidRequest, TooLarge
from hayat_fhir.search.conditions import EVERYTHING, AnyKey
from hayat_fhir.search.entries import IndexEntries, key
from hayat_fhir.security.callers import UNRESTRICTED, Restriction
from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import WITHOUT_INDEX, to_history
from hayat_fhir.store.earlier_versions import EarlierVersions
from hayat_fhir.store.records import Change
from hayat_fhir.store.resources import Resources, VersionConflict

MakeChange = Callable[..., Change]


async def test_create_update_delete_and_create_again(resources: Resources, change: MakeChange) -> None:
    """Version numbers go on through update, deletion and re-creation; each version stays readable."""
    (first,) = await resources.commit([change()])
    assert first.version == 1
    assert first.resource is not None
    assert first.resource["meta"]["versionId"] == "1"
    assert list(first.resource)[:3] == ["resourceType", "id", "meta"]
    (second,) = await resources.commit([change(expected=1, resource={"status": "amended"})])
    (gone,) = await resources.commit([change(expected=2, resource=None)])
    assert gone.deleted
    assert (await resources.read("Observation", "a", UNRESTRICTED)) == gone
    (again,) = await resources.commit([change(expected=3)])
    assert again.version == 4
    versions = await resources.history("Observation", "a", UNRESTRICTED, limit=10)
    assert versions == [again, gone, second, first]
    assert [v.updated for v in versions] == sorted((v.updated for v in versions), reverse=True)
    for version in versions:
        assert await resources.vread("Observation", "a", version.version, UNRESTRICTED) == version
    assert await resources.vread("Observation", "a", 5, UNRESTRICTED) is None


async def test_a_label_withholds_what_was_before(resources: Resources, change: MakeChange, database: Database) -> None:
    """Also versions that software of before that rule has left open, once the worker has run; and nothing else."""
    everybody = Restriction(everything=True)
    for id in ("a", "b"):
        for version in range(3):
            await resources.commit([change(id, expected=version)])
    await resources.commit([change("a", expected=3, restricted=True)])
    assert await resources.history("Observation", "a", everybody, limit=10) == []
    assert len(await resources.history("Observation", "a", UNRESTRICTED, limit=10)) == 4
    assert len(await resources.history("Observation", "b", everybody, limit=10)) == 3

    await resources.commit([change("a", expected=4)])
    assert [one.version for one in await resources.history("Observation", "a", everybody, limit=10)] == [5]

    await database.collection("Observation_history").update_many({}, {"$set": {"restricted": False}})
    await database.collection("Observation").update_one({"_id": "b"}, {"$set": {"restricted": True}})
    await EarlierVersions(database).catch_up()
    assert await resources.history("Observation", "b", everybody, limit=10) == []
    assert len(await resources.history("Observation", "a", everybody, limit=10)) == 5


async def test_a_label_that_is_not_stored_withholds_nothing(resources: Resources, change: MakeChange) -> None:
    """A change that comes too late leaves the earlier versions as they are."""
    for version in range(3):
        await resources.commit([change(expected=version)])
    with pytest.raises(VersionConflict):
        await resources.commit([change(expected=2, restricted=True), change("b")])
    assert len(await resources.history("Observation", "a", Restriction(everything=True), limit=10)) == 3


async def test_history_is_paged_by_version(resources: Resources, change: MakeChange) -> None:
    """``limit`` and ``before`` go through the versions without gaps; other ids do not appear."""
    for version in range(7):
        await resources.commit([change(expected=version)])
        await resources.commit([change("b", expected=version)])
    seen: list[int] = []
    before = None
    while page := await resources.history("Observation", "a", UNRESTRICTED, limit=3, before=before):
        seen += [stored.version for stored in page]
        before = seen[-1]
    assert seen == [7, 6, 5, 4, 3, 2, 1]


async def test_decimals_keep_their_digits(resources: Resources, change: MakeChange) -> None:
    """Numbers come back from read, vread, history and find as they went in."""
    value = {"value": Decimal("1.00"), "list": [Decimal("0.10000000000000000001"), 3, Decimal("1.20E+3")]}
    await resources.commit([change(resource={"valueQuantity": value})])
    await resources.commit([change(expected=1, resource={"valueQuantity": value, "status": "final"})])
    page = await resources.find("Observation", EVERYTHING, UNRESTRICTED)
    versions = await resources.history("Observation", "a", UNRESTRICTED, limit=5)
    for stored in [*page.matches, *versions]:
        assert stored.resource is not None
        assert repr(stored.resource["valueQuantity"]) == repr(value)


async def test_a_wrong_version_is_a_conflict(resources: Resources, change: MakeChange) -> None:
    """Creating what exists, and updating what is at another version or missing, are conflicts."""
    await resources.commit([change()])
    for wrong in (change(), change(expected=2), change("missing", expected=1)):
        with pytest.raises(VersionConflict) as caught:
            await resources.commit([wrong])
        assert caught.value.index == 0
    assert len(await resources.history("Observation", "a", UNRESTRICTED, limit=10)) == 1
    assert await resources.read("Observation", "missing", UNRESTRICTED) is None


async def test_fifty_writers_one_winner(resources: Resources, change: MakeChange) -> None:
    """Of 50 parallel updates of one version exactly one succeeds, again and again, without gaps."""
    await resources.commit([change()])
    for version in range(1, 4):
        writers = [resources.commit([change(expected=version, resource={"note": str(writer)})]) for writer in range(50)]
        outcomes = await asyncio.gather(*writers, return_exceptions=True)
        assert sum(isinstance(outcome, VersionConflict) for outcome in outcomes) == 49
    versions = await resources.history("Observation", "a", UNRESTRICTED, limit=10)
    assert [v.version for v in versions] == [4, 3, 2, 1]


@pytest.mark.parametrize("size", [1, 2])
async def test_hundred_creators_one_winner(resources: Resources, change: MakeChange, size: int) -> None:
    """Of 100 parallel commits of one id, alone or in transactions, exactly one wins and the others hear so."""
    commits = [
        resources.commit([change("same"), *(change(f"other-{n}-{m}") for m in range(1, size))]) for n in range(100)
    ]
    outcomes = await asyncio.gather(*commits, return_exceptions=True)
    winners = [outcome for outcome in outcomes if isinstance(outcome, list)]
    assert len(winners) == 1
    assert all(isinstance(outcome, list | VersionConflict) for outcome in outcomes)
    assert await resources.count("Observation", EVERYTHING, UNRESTRICTED) == size


async def test_a_crash_between_history_and_replacement(
    resources: Resources, database: Database, change: MakeChange
) -> None:
    """A history row written by an update that never finished shows nothing twice, and the update can be repeated."""
    (first,) = await resources.commit([change()])
    document = await database.collection("Observation").find_one({"_id": "a"}, WITHOUT_INDEX)
    assert document is not None
    await database.collection("Observation_history").insert_one(to_history(document))
    assert await resources.history("Observation", "a", UNRESTRICTED, limit=5) == [first]
    assert await resources.vread("Observation", "a", 1, UNRESTRICTED) == first
    (second,) = await resources.commit([change(expected=1)])
    assert await resources.history("Observation", "a", UNRESTRICTED, limit=5) == [second, first]
    document["version"] = 2
    await database.collection("Observation_history").insert_one(to_history(document))
    third, _ = await resources.commit([change(expected=2), change("b")])
    assert [v.version for v in await resources.history("Observation", "a", UNRESTRICTED, limit=5)] == [3, 2, 1]
    assert third.version == 3


async def test_the_clock_does_not_run_backwards(resources: Resources, database: Database, change: MakeChange) -> None:
    """After the clock has been set back, a new version is not older than the one before it."""
    (first,) = await resources.commit([change()])
    ahead = first.updated + timedelta(hours=1)
    await database.collection("Observation").update_one({"_id": "a"}, {"$set": {"updated": ahead}})
    (second,) = await resources.commit([change(expected=1)])
    assert second.updated == ahead
    third, _ = await resources.commit([change(expected=2), change("b")])
    assert third.updated >= ahead


async def test_a_transaction_is_all_or_nothing(resources: Resources, change: MakeChange) -> None:
    """Creates, an update and a deletion of several types take effect together, or the offending one is named."""
    await resources.commit([change("a"), change("b")])
    good = [change("a", 1), change("b", 1, resource=None), change("c"), change("p", type="Patient")]
    bad = {
        1: [good[0], change("b", 7), *good[2:]],
        2: [good[0], good[3], change("b")],
    }
    for index, changes in bad.items():
        with pytest.raises(VersionConflict) as caught:
            await resources.commit(changes)
        assert caught.value.index == index
        assert await resources.read("Patient", "p", UNRESTRICTED) is None
        unchanged = await resources.read("Observation", "a", UNRESTRICTED)
        assert unchanged is not None
        assert unchanged.version == 1
    stored = await resources.commit(good)
    assert [(s.reference, s.version, s.deleted) for s in stored] == [
        ("Observation/a", 2, False),
        ("Observation/b", 2, True),
        ("Observation/c", 1, False),
        ("Patient/p", 1, False),
    ]


async def test_a_large_transaction(resources: Resources, change: MakeChange) -> None:
    """A Bundle of 3,177 entries over many types is one commit, in which each result has its change's place."""
    types = ["Observation", "Condition", "Encounter", "Procedure", "Claim"]
    text = "x" * 1500
    changes = [
        change(
            f"{number:05}",
            type=types[number % 5],
            resource={"text": text},
            entries=IndexEntries(keys=tuple(key(str(number), str(n)) for n in range(12)), date=number),
        )
        for number in range(3177)
    ]
    stored = await resources.commit(changes)
    assert [s.reference for s in stored] == [f"{c.type}/{c.id}" for c in changes]
    assert await resources.count("Claim", EVERYTHING, UNRESTRICTED) == 635
    again = [change(c.id, 1, type=c.type, resource={"text": text}) for c in changes]
    assert {s.version for s in await resources.commit(again)} == {2}
    assert len(await resources.history("Claim", "00004", UNRESTRICTED, limit=5)) == 2


async def test_transactions_that_meet(resources: Resources, change: MakeChange) -> None:
    """Transactions that update the same resources in any order neither hang nor mix."""
    ids = [f"{n}" for n in range(5)]
    await resources.commit([change(id) for id in ids])
    commits = [
        resources.commit([change(id, 1, resource={"by": n}) for id in (ids if n % 2 else reversed(ids))])
        for n in range(20)
    ]
    outcomes = await asyncio.gather(*commits, return_exceptions=True)
    assert sum(isinstance(outcome, list) for outcome in outcomes) == 1
    assert [o for o in outcomes if not isinstance(o, list | VersionConflict)] == []
    page = await resources.find("Observation", EVERYTHING, UNRESTRICTED)
    assert len({(stored.resource or {})["by"] for stored in page.matches}) == 1
    assert {stored.version for stored in page.matches} == {2}


async def test_what_cannot_be_stored(resources: Resources, change: MakeChange) -> None:
    """Too large and out of range are refused, alone and in a transaction, and leave nothing."""
    for changes in ([change()], [change(), change("b")]):
        large = [change(resource={"text": "x" * (17 * 2**20)}), *changes[1:]]
        with pytest.raises(TooLarge):
            await resources.commit(large)
        with pytest.raises(InvalidRequest):
            await resources.commit([change(resource={"value": 2**64}), *changes[1:]])
    assert await resources.count("Observation", EVERYTHING, UNRESTRICTED) == 0


MINE = Restriction(compartments=frozenset({"Patient/1"}))
PARTNER = Restriction(compartments=frozenset({"Patient/3"}), sources=frozenset({"partner"}))
DOCTOR = Restriction(everything=True)
NOBODY = Restriction()


async def _seen(resources: Resources, restriction: Restriction, ids: str) -> str:
    """The ids that are seen, which every way of reading must agree on."""
    read = {id for id in ids if await resources.read("Observation", id, restriction) is not None}
    vread = {id for id in ids if await resources.vread("Observation", id, 1, restriction) is not None}
    history = {id for id in ids if await resources.history("Observation", id, restriction, limit=5)}
    found = {s.id for s in (await resources.find("Observation", EVERYTHING, restriction)).matches}
    keyed = {s.id for s in (await resources.find("Observation", AnyKey((7, 8)), restriction)).matches}
    many = await resources.read_many([f"Observation/{id}" for id in ids], lambda _: restriction)
    assert read == vread == history == found == keyed == {stored.id for stored in many}
    assert await resources.count("Observation", EVERYTHING, restriction) == len(read)
    assert await resources.count("Observation", AnyKey((7, 8)), restriction) == len(read)
    return "".join(sorted(read))


async def test_restrictions(resources: Resources, change: MakeChange) -> None:
    """Read, vread, history, find, count and read_many all see exactly what the restriction admits."""
    entries = IndexEntries(keys=(7, 8, 9), date=1)
    await resources.commit(
        [
            change("a", entries=entries, compartments=("Patient/1",)),
            change("b", entries=entries, compartments=("Patient/2",)),
            change("c", entries=entries, compartments=("Patient/2", "Patient/3")),
            change("d", entries=entries, compartments=("Patient/2",), source="partner"),
            change("e", entries=entries),
            change("f", entries=entries, compartments=("Patient/1", "Patient/3"), restricted=True),
        ]
    )
    assert await _seen(resources, UNRESTRICTED, "abcdef") == "abcdef"
    assert await _seen(resources, DOCTOR, "abcdef") == "abcde"
    assert await _seen(resources, MINE, "abcdef") == "a"
    assert await _seen(resources, PARTNER, "abcdef") == "cd"
    assert await _seen(resources, NOBODY, "abcdef") == ""
    break_glass = Restriction(compartments=MINE.compartments, restricted=True)
    assert await _seen(resources, break_glass, "abcdef") == "af"


async def test_deleted_resources_stay_within_their_compartments(resources: Resources, change: MakeChange) -> None:
    """A deletion is seen by whom the resource was seen, is missing for all others, and is never found or counted."""
    mine = {"compartments": ("Patient/1",)}
    await resources.commit([change(entries=IndexEntries(keys=(7,)), **mine)])
    (gone,) = await resources.commit([change(expected=1, resource=None, **mine)])
    other = Restriction(compartments=frozenset({"Patient/2"}))
    assert await resources.read("Observation", "a", MINE) == gone
    assert await resources.read("Observation", "a", other) is None
    assert await resources.history("Observation", "a", other, limit=5) == []
    assert (await resources.find("Observation", EVERYTHING, UNRESTRICTED)).matches == []
    assert await resources.count("Observation", EVERYTHING, UNRESTRICTED) == 0
    assert await resources.read_many(["Observation/a"], lambda _: UNRESTRICTED) == []
    assert await resources.read_many(["Observation/a"], lambda _: UNRESTRICTED, deleted=True) == [gone]


async def test_each_version_is_judged_by_its_own_compartments(resources: Resources, change: MakeChange) -> None:
    """A resource that moved from one patient to another shows each of them only their own versions."""
    await resources.commit([change(compartments=("Patient/1",), restricted=True)])
    await resources.commit([change(expected=1, compartments=("Patient/1",))])
    await resources.commit([change(expected=2, compartments=("Patient/2",))])
    await resources.commit([change(expected=3, compartments=("Patient/1",))])
    versions = await resources.history("Observation", "a", MINE, limit=5)
    assert [stored.version for stored in versions] == [4, 2]
    assert await resources.vread("Observation", "a", 1, MINE) is None
    assert await resources.vread("Observation", "a", 3, MINE) is None
    assert await resources.vread("Observation", "a", 2, MINE) is not None


async def test_read_many_keeps_order_and_types(resources: Resources, change: MakeChange) -> None:
    """The answer has the order of the question, once each, and leaves out types that may not be seen."""
    await resources.commit([change("a"), change("b"), change("p", type="Patient"), change("s", type="Slot")])
    asked = ["Patient/p", "Observation/b", "Observation/a", "Patient/p", "Slot/s", "Slot/missing", "Group/g"]
    found = await resources.read_many(asked, lambda type: None if type == "Slot" else UNRESTRICTED)
    assert [stored.reference for stored in found] == ["Patient/p", "Observation/b", "Observation/a"]
