"""Who is connected right now: one row for each socket and peer that others may see, and a lease for each process.

A process that dies without a word loses its lease, and any other removes its rows. Times are the database's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from pymongo import ReplaceOne

from hayat_fhir.store.database import Database
from hayat_fhir.store.faults import answered

ROWS = "presence"
LEASES = "presence_processes"
LEASE_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Connected:
    """One live connection of an account, held by ``process``.

    ``kind``: ``socket`` (Socket.IO) or ``peer`` (PeerJS). ``reference``: ``Practitioner/..`` or ``Patient/..``.
    ``online``: a doctor has switched on here. ``consultation``: the one whose room it is in. ``peer``: the peer id that
    it told the others of the room.
    """

    id: str
    kind: str
    process: str
    account: str
    reference: str
    name: str
    role: str
    online: bool = False
    consultation: str | None = None
    peer: str | None = None


class PresenceRows:
    """The rows and leases."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.collection(ROWS)
        self._leases = database.collection(LEASES)

    async def put(self, *connected: Connected) -> None:
        """Store connections, each as it is now.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        rows = await self._database.prepared(ROWS)
        if connected:
            with answered():
                await rows.bulk_write([ReplaceOne({"_id": one.id}, _row(one), upsert=True) for one in connected])

    async def remove(self, process: str, ids: Iterable[str]) -> None:
        """Forget connections of a process; not those that have come to another one since, under the same id.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            await self._rows.delete_many({"_id": {"$in": list(ids)}, "process": process})

    async def all(self) -> list[Connected]:
        """All of them.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            return [connected(row) for row in await self._rows.find().to_list(None)]

    async def renew(self, process: str) -> bool:
        """Hold the lease of a process for another ``LEASE_SECONDS``; False where it had run out, or is the first.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        until = {"$add": ["$$NOW", LEASE_SECONDS * 1000]}
        with answered():
            done = await self._leases.update_one({"_id": process}, [{"$set": {"until": until}}], upsert=True)
        return bool(done.matched_count)

    async def release(self, process: str) -> None:
        """Remove a process with its rows.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            await self._rows.delete_many({"process": process})
            await self._leases.delete_one({"_id": process})

    async def sweep(self) -> None:
        """Remove the rows of processes whose lease has run out.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            dead = {"$expr": {"$lt": ["$until", "$$NOW"]}}
            await self._leases.delete_many(dead)
            alive = [row["_id"] for row in await self._leases.find({}, {"_id": True}).to_list(None)]
            await self._rows.delete_many({"process": {"$nin": alive}})


def connected(row: dict[str, Any]) -> Connected:
    """The connection of a row."""
    return Connected(id=row["_id"], **{name: value for name, value in row.items() if name != "_id"})


def _row(one: Connected) -> dict[str, Any]:
    row = asdict(one)
    return {"_id": row.pop("id"), **row}
