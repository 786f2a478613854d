"""A site that adds nothing but upgrades finds what it held before: the worker indexes it again by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from structlog.testing import capture_logs

from hayat_fhir.app import Site, open_site
from hayat_fhir.errors import Refusal
from hayat_fhir.fhir.json import parse
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.settings import Settings
from hayat_fhir.store.figures import SiteFigures
from hayat_fhir.store.mongod import EmbeddedMongod

_CALLER = Caller(Role.SITE, "test")
_EXAMPLES = Path(__file__).parents[1] / "fhir" / "examples"
_KILLS = 3
_WORKER = """
import asyncio, sys
from pathlib import Path
from pydantic import SecretStr
from hayat_fhir.app import open_site
from hayat_fhir.settings import Settings

async def run(url, name, folder):
    settings = Settings(mongodb_url=SecretStr(url), data_dir=Path(folder), base_url="http://127.0.0.1:1")
    async with open_site(settings, name) as site:
        await site.reindexing.run(asyncio.Event())

asyncio.run(run(*sys.argv[1:]))
"""


@asynccontextmanager
async def reindexing(site: Site) -> AsyncIterator[None]:
    """The part of the worker that renews the index, as long as the block lasts."""
    stop = asyncio.Event()
    running = asyncio.create_task(site.reindexing.run(stop))
    yield
    stop.set()
    await running


async def outdated(site: Site) -> float:
    """What the site's figures say."""
    figures = await SiteFigures(site.database).read()
    return next(figure.value for figure in figures if figure.name == "hayat_search_outdated_documents")


async def until_renewed(site: Site, left: int = 0) -> None:
    """Wait until no more than so many are outdated."""
    async with asyncio.timeout(60):
        while True:
            if await outdated(site) <= left:
                return
            await asyncio.sleep(0.02)


async def found(site: Site, type: str, *pairs: tuple[str, str]) -> list[str]:
    """The ids of what a search finds."""
    return [stored.id for stored in (await site.searching.search(_CALLER, type, list(pairs))).matches]


async def counted(site: Site) -> int | None:
    """How many Observations a search by their code finds."""
    asked = [("code", "8867-4"), ("_summary", "count")]
    return (await site.searching.search(_CALLER, "Observation", asked)).total


def observation(**values: Any) -> dict[str, Any]:
    """An Observation of several days."""
    period = {"start": "2026-03-01", "end": "2026-03-06"}
    code = {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}
    return {"resourceType": "Observation", "status": "final", "code": code, "effectivePeriod": period, **values}


async def test_what_an_earlier_version_has_indexed_is_found(site: Site) -> None:
    """Entries of before a rule, entries that are gone, and no entries at all; and the log and figures tell."""
    ids = [(await site.interactions.create(_CALLER, "Observation", observation())).stored.id for _ in range(3)]
    rows = site.database.collection("Observation")
    damages: list[dict[str, Any]] = [{"index.wide": ""}, {"index.keys": ""}, {"index": ""}]
    for id, damage in zip(ids, damages, strict=True):
        await rows.update_one({"_id": id}, {"$unset": {**damage, "generation": ""}})
    before = await rows.find({}, {"index": False, "generation": False}).sort("_id", 1).to_list(None)
    by_date, by_code = ("date", "ge2026-03-05"), ("code", "http://loinc.org|8867-4")
    assert ids[0] not in await found(site, "Observation", by_date)
    assert await found(site, "Observation", by_code) == [ids[0]]
    assert await outdated(site) == 3

    with capture_logs() as log:
        async with reindexing(site), asyncio.timeout(60):
            while not any(line["event"] == "search index renewed" for line in log):  # noqa: ASYNC110 - a list
                await asyncio.sleep(0.02)

    assert await outdated(site) == 0
    assert sorted(await found(site, "Observation", by_date)) == sorted(ids)
    assert sorted(await found(site, "Observation", by_code)) == sorted(ids)
    assert await rows.find({}, {"index": False, "generation": False}).sort("_id", 1).to_list(None) == before
    assert {(await site.interactions.read(_CALLER, "Observation", id)).version for id in ids} == {1}
    told = {line["event"]: line for line in log if "index" in line["event"]}
    assert told["search index outdated"]["documents"] == 3
    assert (told["search index renewed"]["documents"], told["search index renewed"]["refused"]) == (3, 0)


async def test_what_is_stored_is_indexed_as_when_it_came(site: Site) -> None:
    """The standard's examples have the same entries afterwards: what the server adds to a resource makes no others."""
    for path in sorted(_EXAMPLES.glob("*.json")):
        resource = parse(path.read_bytes())
        try:
            await site.interactions.update(_CALLER, resource["resourceType"], resource["id"], resource)
        except Refusal:
            assert resource["resourceType"] in {"AuditEvent", "Bundle", "Subscription"}
    names = [name for name in await site.database.collection_names() if name[:1].isupper() and "_" not in name]
    before = {name: await site.database.collection(name).find({}).sort("_id", 1).to_list(None) for name in names}
    assert len(names) > 30
    for name in names:
        await site.database.collection(name).update_many({}, {"$set": {"generation": 0}})
    refused = [id async for _, batch in site.reindexing.reindex(names) for id in batch.refused]
    assert refused == []
    for name in names:
        assert await site.database.collection(name).find({}).sort("_id", 1).to_list(None) == before[name]


async def store_outdated(site: Site, count: int) -> None:
    """So many copies of one Observation, without entries."""
    stored = (await site.interactions.create(_CALLER, "Observation", observation())).stored
    rows = site.database.collection("Observation")
    [row] = await rows.find({"_id": stored.id}).to_list(1)
    await rows.delete_one({"_id": stored.id})
    outdated_rows = [{**row, "_id": f"{number:05}", "generation": 0, "index": {"date": 0}} for number in range(count)]
    await rows.insert_many(outdated_rows)


async def test_kill_in_the_middle(site: Site, mongodb_url: str, database_name: str, tmp_path: Path) -> None:
    """Each process that is killed leaves what it has done, and the next one goes on from there to the end."""
    count = 4000
    await store_outdated(site, count)
    command = [sys.executable, "-c", _WORKER, mongodb_url, database_name, str(tmp_path)]
    left = count
    for _ in range(_KILLS):
        worker = await asyncio.to_thread(subprocess.Popen, command)
        try:
            await until_renewed(site, left - 1)
        finally:
            worker.kill()
            worker.wait()
        left = int(await outdated(site))
        assert 0 < left < count
    async with reindexing(site):
        await until_renewed(site)
    assert await counted(site) == count


async def test_mongod_dies_in_the_middle(tmp_path: Path) -> None:
    """The worker lives, and goes on when it is back."""
    mongod = EmbeddedMongod(tmp_path)
    url = await asyncio.to_thread(mongod.start)
    settings = Settings(mongodb_url=SecretStr(url), data_dir=tmp_path / "site", base_url="http://127.0.0.1:1")
    try:
        async with open_site(settings) as site:
            await store_outdated(site, 4000)
            async with reindexing(site):
                await until_renewed(site, 3900)
                assert mongod.pid is not None
                os.kill(mongod.pid, signal.SIGKILL)
                while mongod.alive:  # noqa: ASYNC110 - a process
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(mongod.start)
                assert await outdated(site) > 0
                await until_renewed(site)
            assert await counted(site) == 4000
    finally:
        mongod.stop()
