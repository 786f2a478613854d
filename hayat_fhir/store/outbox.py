"""The outbox: work that must happen, whatever dies in between.

A job is leased to one worker at a time. A worker that dies lets its lease run out, and the job falls due
again: what a job does must bear being done twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from hayat_fhir.errors import Conflict, Unavailable
from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import now
from hayat_fhir.store.faults import answered

LEASE = timedelta(seconds=30)

Status = Literal["waiting", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Job:
    """One job. ``attempts`` counts the leases; ``due`` is when it falls due, or while running, when its lease ends.

    ``error`` is what the last attempt failed with; ``result`` what the job has come to.
    """

    id: str
    kind: str
    key: str
    payload: dict[str, Any]
    status: Status
    attempts: int
    created: datetime
    updated: datetime
    due: datetime
    error: str | None = None
    result: dict[str, Any] | None = None
    lease: str | None = None


class Outbox:
    """Durable jobs; at most one unfinished job for each kind and key."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.collection("outbox")

    async def enqueue(self, kind: str, key: str, payload: Mapping[str, Any]) -> Job:
        """Store a job that is due at once, or find the unfinished one with this key.

        One that waits falls due at once; one that is running will run once more. Its attempts are counted from
        anew: who asks again has a reason to, and need not wait as long as it has failed before.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        rows = await self._database.prepared("outbox")
        moment = now()
        unfinished = {"kind": kind, "key": key, "unfinished": True}
        first = {"_id": str(uuid4()), "payload": dict(payload), "attempts": 0, "created": moment}
        with answered():
            while True:
                found = await self._ask_again(unfinished)
                if found is not None:
                    return _job(found)
                row = {**first, **unfinished, "status": "waiting", "due": moment, "updated": moment}
                try:
                    await rows.insert_one(row)
                except DuplicateKeyError:
                    continue
                return _job(row)

    async def _ask_again(self, unfinished: dict[str, Any]) -> dict[str, Any] | None:
        """Have the unfinished job run soon, or once more; None if there is none."""
        moment = now()
        found: dict[str, Any] | None = await self._rows.find_one_and_update(
            {**unfinished, "status": "waiting"},
            {"$min": {"due": moment}, "$set": {"updated": moment, "attempts": 0}},
            return_document=ReturnDocument.AFTER,
        )
        if found is None:
            found = await self._rows.find_one_and_update(
                {**unfinished, "status": "running"},
                {"$set": {"again": True}},
                return_document=ReturnDocument.AFTER,
            )
        return found

    async def lease(self, lease: timedelta = LEASE, kind: str | None = None) -> Job | None:
        """The job that has been due longest, now held by the caller for the time of the lease; None if none is due.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        moment = now()
        due = {"unfinished": True, "due": {"$lte": moment}, **({"kind": kind} if kind else {})}
        held = {"status": "running", "lease": str(uuid4()), "due": moment + lease, "updated": moment}
        with answered():
            row = await self._rows.find_one_and_update(
                due,
                {"$set": held, "$inc": {"attempts": 1}},
                sort=[("due", 1)],
                return_document=ReturnDocument.AFTER,
            )
        return None if row is None else _job(row)

    async def heartbeat(self, job: Job, lease: timedelta = LEASE) -> bool:
        """Hold the job for the time of another lease; whether it was still held.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._settle(job, {"due": now() + lease})

    @asynccontextmanager
    async def holding(self, job: Job, lease: timedelta = LEASE) -> AsyncIterator[None]:
        """Keep the job held while the body runs, however long it takes."""

        async def beat() -> None:
            while True:
                await asyncio.sleep(lease.total_seconds() / 3)
                try:
                    if not await self.heartbeat(job, lease):
                        return
                except Unavailable:
                    continue

        beating = asyncio.create_task(beat())
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.wait([beating])

    async def done(self, job: Job, result: Mapping[str, Any] | None = None) -> bool:
        """The job is done, unless it was asked for again meanwhile; False if it was not held any more.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        values = {"result": dict(result or {}), "error": None}
        if await self._settle(job, {**values, "status": "done"}, {"again": {"$ne": True}}, finish=True):
            return True
        return await self._settle(job, {**values, "status": "waiting", "due": now(), "again": False})

    async def retry(self, job: Job, at: datetime, error: str) -> bool:
        """The attempt failed: try again at this time, or now if it was asked for meanwhile.

        False if the job was not held any more.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        values = {"status": "waiting", "error": error, "again": False}
        if await self._settle(job, {**values, "due": at}, {"again": {"$ne": True}}):
            return True
        return await self._settle(job, {**values, "due": now(), "attempts": 0})

    async def fail(self, job: Job, error: str) -> bool:
        """The job failed for good; False if it was not held any more.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._settle(job, {"status": "failed", "error": error}, finish=True)

    async def resume(self, id: str) -> Job | None:
        """Have a job run at once that waits, failed or was cancelled; its attempts are counted from anew.

        None if there is no such job, or it is running or done.

        Raises:
            Conflict: The same is in the outbox already, asked for later.
            Unavailable: MongoDB does not answer.
        """
        moment = now()
        values = {"status": "waiting", "due": moment, "updated": moment, "attempts": 0, "unfinished": True}
        with answered():
            try:
                row = await self._rows.find_one_and_update(
                    {"_id": id, "status": {"$in": ["waiting", "failed", "cancelled"]}},
                    {"$set": values},
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError as error:
                raise Conflict("the same is in the outbox already", code="duplicate") from error
        return None if row is None else _job(row)

    async def cancel(self, id: str) -> Job | None:
        """End an unfinished job; a worker that is at it finds it is not held any more.

        None if there is no such job, or it has come to its end.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            row = await self._rows.find_one_and_update(
                {"_id": id, "unfinished": True},
                {"$set": {"status": "cancelled", "updated": now()}, "$unset": {"unfinished": True, "again": True}},
                return_document=ReturnDocument.AFTER,
            )
        return None if row is None else _job(row)

    async def get(self, id: str) -> Job | None:
        """The job with this id, or None.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            row = await self._rows.find_one({"_id": id})
        return None if row is None else _job(row)

    async def list(
        self, status: Status | None = None, kind: str | None = None, limit: int = 100, before: datetime | None = None
    ) -> list[Job]:
        """The latest jobs, newest first; those made before this moment.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        wanted = (("status", status), ("kind", kind), ("created", before and {"$lt": before}))
        criteria = {name: value for name, value in wanted if value is not None}
        with answered():
            rows = await self._rows.find(criteria).sort("created", -1).limit(limit).to_list(limit)
        return [_job(row) for row in rows]

    async def _settle(
        self, job: Job, values: dict[str, Any], further: dict[str, Any] | None = None, *, finish: bool = False
    ) -> bool:
        change: dict[str, Any] = {"$set": {"updated": now(), **values}}
        if finish:
            change["$unset"] = {"unfinished": True}
        with answered():
            held = {"_id": job.id, "lease": job.lease, "status": "running", **(further or {})}
            return bool((await self._rows.update_one(held, change)).matched_count)


def _job(row: Mapping[str, Any]) -> Job:
    return Job(
        row["_id"],
        row["kind"],
        row["key"],
        row["payload"],
        row["status"],
        row["attempts"],
        row["created"],
        row["updated"],
        row["due"],
        row.get("error"),
        row.get("result"),
        row.get("lease"),
    )
