"""What rejection notes have withdrawn, also of what has not come yet.

``rejections``: ``{_id: {uid, peer}, code, note: UID of the note, at}``: of each instance and sender the first note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import UpdateOne

from hayat_fhir.store.database import Database
from hayat_fhir.store.faults import answered

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Rejection:
    """One instance that a note rejects. ``peer`` sent the note, ``at`` is when it came."""

    uid: str
    code: str
    note: str
    peer: str
    at: datetime


class Rejections:
    """The notes' references, by what they refer to."""

    def __init__(self, database: Database) -> None:
        self._rows = database.collection("rejections")

    async def add(self, rejections: Sequence[Rejection]) -> None:
        """Remember them for good; a note that comes again changes nothing.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        for start in range(0, len(rejections), _BATCH):
            writes = [
                UpdateOne(
                    {"_id": {"uid": one.uid, "peer": one.peer}},
                    {"$setOnInsert": {"code": one.code, "note": one.note, "at": one.at}},
                    upsert=True,
                )
                for one in rejections[start : start + _BATCH]
            ]
            with answered():
                await self._rows.bulk_write(writes, ordered=False)

    async def of(self, instances: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Rejection]:
        """The rejections of these instances, each a UID and the peer it came from: another's note is none.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        found: dict[tuple[str, str], Rejection] = {}
        for start in range(0, len(instances), _BATCH):
            keys: list[dict[str, Any]] = [{"uid": uid, "peer": peer} for uid, peer in instances[start : start + _BATCH]]
            with answered():
                async for row in self._rows.find({"_id": {"$in": keys}}):
                    key = (str(row["_id"]["uid"]), str(row["_id"]["peer"]))
                    found[key] = Rejection(key[0], row["code"], row["note"], key[1], row["at"])
        return found

    async def forget(self, rejection: Rejection) -> None:
        """It holds no longer.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            await self._rows.delete_one({"_id": {"uid": rejection.uid, "peer": rejection.peer}})
