"""Counts of what happened on each day: over ranges of an index, never over whole collections."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hayat_fhir.store.database import Collection, Database
from hayat_fhir.store.faults import answered

_PATIENCE_MS = 10_000
"""Milliseconds that one count may take in MongoDB."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many of a ``kind`` there were on a day (``2026-11-23``, in UTC)."""

    day: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Holdings:
    """How much is stored: images in all, and the bytes of those that arrived since some moment."""

    instances: int
    recent_bytes: int


class Statistics:
    """Counts what is since a moment."""

    def __init__(self, database: Database) -> None:
        self._arrivals = database.collection("arrivals")
        self._outbox = database.collection("outbox")
        self._consultations = database.collection("consultations")
        self._instances = database.collection("instances")

    async def studies(self, since: datetime) -> list[Count]:
        """Studies by the day of their first image and by modality; one of two modalities counts for both.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._counted(self._arrivals, "first", "$modalities", since, unwind="modalities")

    async def shares(self, since: datetime) -> list[Count]:
        """Shares by the day they were asked for and by what has become of them.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._counted(self._outbox, "created", "$status", since)

    async def received(self, since: datetime) -> list[Count]:
        """Studies that partners sent, by the day.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._counted(self._arrivals, "first", {"$literal": "received"}, since, {"sender": {"$ne": ""}})

    async def consultations(self, since: datetime) -> list[Count]:
        """Consultations by the day of the call and by how they ended.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._counted(self._consultations, "created", "$state", since)

    async def holdings(self, since: datetime) -> Holdings:
        """What is stored.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        stages: list[dict[str, Any]] = [
            {"$match": {"first": {"$gte": since}}},
            {"$group": {"_id": None, "bytes": {"$sum": "$bytes"}}},
        ]
        with answered():
            instances = await self._instances.estimated_document_count()
            found = await (await self._arrivals.aggregate(stages, maxTimeMS=_PATIENCE_MS)).to_list(1)
        return Holdings(instances, int(found[0]["bytes"]) if found else 0)

    async def _counted(
        self,
        rows: Collection,
        at: str,
        kind: str | dict[str, Any],
        since: datetime,
        further: dict[str, Any] | None = None,
        unwind: str | None = None,
    ) -> list[Count]:
        day = {"$dateToString": {"date": f"${at}", "format": "%Y-%m-%d"}}
        stages: list[dict[str, Any]] = [
            {"$match": {at: {"$gte": since}, **(further or {})}},
            *([{"$unwind": f"${unwind}"}] if unwind else []),
            {"$group": {"_id": {"day": day, "kind": kind}, "count": {"$sum": 1}}},
            {"$sort": {"_id": 1}},
        ]
        with answered():
            return [_count(row) async for row in await rows.aggregate(stages, maxTimeMS=_PATIENCE_MS)]


def _count(row: dict[str, Any]) -> Count:
    return Count(str(row["_id"]["day"]), str(row["_id"]["kind"]), int(row["count"]))
