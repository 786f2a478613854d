"""The outbox: no job is lost, and none is done by two at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from hayat_fhir.store.database import Database
from hayat_fhir.store.outbox import Outbox


async def test_a_job_from_start_to_end(database: Database) -> None:
    """Enqueued, leased, retried and done, with its state visible at each step."""
    outbox = Outbox(database)
    assert await outbox.lease() is None
    job = await outbox.enqueue("share", "p/q", {"patient": "p"})
    assert (job.status, job.attempts, job.payload) == ("waiting", 0, {"patient": "p"})
    held = await outbox.lease()
    assert held is not None
    assert (held.id, held.status, held.attempts) == (job.id, "running", 1)
    assert await outbox.lease() is None
    assert await outbox.retry(held, datetime.now(UTC) + timedelta(hours=1), "partner is down")
    assert await outbox.lease() is None
    waiting = await outbox.get(job.id)
    assert waiting is not None
    assert (waiting.status, waiting.error) == ("waiting", "partner is down")
    assert (await outbox.enqueue("share", "p/q", {})).id == job.id
    held = await outbox.lease(kind="share")
    assert held is not None
    assert held.attempts == 1, "who asks again begins anew"
    assert await outbox.done(held, {"images": 3})
    finished = await outbox.get(job.id)
    assert finished is not None
    assert (finished.status, finished.error, finished.result) == ("done", None, {"images": 3})
    assert not await outbox.fail(held, "too late")
    other = await outbox.enqueue("share", "p/q", {})
    assert other.id != job.id
    assert [j.id for j in await outbox.list()] == [other.id, job.id]
    assert [j.id for j in await outbox.list(status="done")] == [job.id]
    assert await outbox.get("missing") is None


async def test_a_lease_runs_out(database: Database) -> None:
    """The job of a worker that died falls due again, and the dead worker's late words do not count."""
    outbox = Outbox(database)
    await outbox.enqueue("share", "k", {})
    dead = await outbox.lease(timedelta(milliseconds=50))
    assert dead is not None
    await asyncio.sleep(0.1)
    alive = await outbox.lease()
    assert alive is not None
    assert (alive.id, alive.attempts) == (dead.id, 2)
    assert not await outbox.heartbeat(dead)
    assert not await outbox.done(dead)
    assert not await outbox.retry(dead, datetime.now(UTC), "late")
    assert await outbox.heartbeat(alive)
    assert await outbox.fail(alive, "refused")
    failed = await outbox.get(alive.id)
    assert failed is not None
    assert (failed.status, failed.error) == ("failed", "refused")
    assert await outbox.lease() is None


async def test_holding_outlasts_the_lease(database: Database) -> None:
    """While a worker holds a job, it does not fall due however long the work takes."""
    outbox = Outbox(database)
    await outbox.enqueue("share", "k", {})
    lease = timedelta(seconds=2)
    job = await outbox.lease(lease)
    assert job is not None
    async with outbox.holding(job, lease):
        for _ in range(6):
            await asyncio.sleep(0.5)
            assert await outbox.lease() is None
    assert await outbox.done(job)


async def test_asked_for_again_while_running(database: Database) -> None:
    """What was enqueued once more while the job ran makes it run once more."""
    outbox = Outbox(database)
    await outbox.enqueue("share", "k", {})
    first = await outbox.lease()
    assert first is not None
    assert (await outbox.enqueue("share", "k", {})).id == first.id
    assert await outbox.done(first)
    second = await outbox.lease()
    assert second is not None
    assert second.id == first.id
    assert await outbox.done(second)
    assert await outbox.lease() is None


async def test_asked_for_again_while_an_attempt_fails(database: Database) -> None:
    """It is tried again at once, and not after the long pause of many failures."""
    outbox = Outbox(database)
    await outbox.enqueue("share", "k", {})
    first = await outbox.lease()
    assert first is not None
    await outbox.enqueue("share", "k", {})
    assert await outbox.retry(first, datetime.now(UTC) + timedelta(hours=1), "partner is down")
    second = await outbox.lease()
    assert second is not None
    assert (second.id, second.attempts) == (first.id, 1)
    assert await outbox.retry(second, datetime.now(UTC) + timedelta(hours=1), "partner is down")
    assert await outbox.lease() is None


async def test_many_workers_and_askers(database: Database) -> None:
    """Twenty enqueue the same job at once: one job; twenty workers lease at once: each job has one holder."""
    outbox = Outbox(database)
    jobs = await asyncio.gather(*(outbox.enqueue("share", "same", {}) for _ in range(20)))
    assert len({job.id for job in jobs}) == 1
    await asyncio.gather(*(outbox.enqueue("share", str(n), {}) for n in range(9)))
    leased = await asyncio.gather(*(outbox.lease() for _ in range(20)))
    held = [job.id for job in leased if job is not None]
    assert len(held) == len(set(held)) == 10
