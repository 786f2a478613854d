"""Counters of attempts in windows of time, shared by all processes of a site.

They do not wait for the journal: what a crash may lose is a fraction of a second of counting, and whoever reads at
the same time would wait for every attempt's flush.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from pymongo import ReturnDocument
from pymongo.write_concern import WriteConcern

from hayat_fhir.errors import Unavailable
from hayat_fhir.store.database import Collection, Database
from hayat_fhir.store.faults import answered

_UNFLUSHED = WriteConcern(1, j=False)


class Throttles:
    """One row per subject and window; MongoDB removes it when the window is over. No subject stands in it in clear."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, kind: str, subject: str, window: int, now: float) -> int:
        """Count one attempt; how many there are of this subject in this window of ``window`` seconds.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        rows = await self._rows()
        number = int(now // window)
        expires = datetime.fromtimestamp((number + 1) * window, UTC) + timedelta(seconds=window)
        with answered():
            row = await rows.find_one_and_update(
                {"_id": _name(kind, subject, number)},
                {"$inc": {"attempts": 1}, "$setOnInsert": {"expires": expires}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        if row is None:
            raise Unavailable("an attempt was not counted")
        return int(row["attempts"])

    async def forget(self, kind: str, subject: str, window: int, now: float) -> None:
        """Begin to count this subject anew.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        rows = await self._rows()
        with answered():
            await rows.delete_one({"_id": _name(kind, subject, int(now // window))})

    async def remember(self, kind: str, subject: str, days: int) -> None:
        """Remember a subject for some days.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        rows = await self._rows()
        expires = datetime.now(UTC) + timedelta(days=days)
        with answered():
            await rows.update_one({"_id": _name(kind, subject, 0)}, {"$set": {"expires": expires}}, upsert=True)

    async def remembers(self, kind: str, subject: str) -> bool:
        """Whether a subject is remembered.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            return await self._database.collection("throttles").find_one({"_id": _name(kind, subject, 0)}) is not None

    async def _rows(self) -> Collection:
        return (await self._database.prepared("throttles")).with_options(write_concern=_UNFLUSHED)


def _name(kind: str, subject: str, window: int) -> str:
    return sha256(f"{kind}\x1f{subject}\x1f{window}".encode()).hexdigest()
