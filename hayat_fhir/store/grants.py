"""Grants: the patients whose records a partner may see because they were shared with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import now
from hayat_fhir.store.faults import answered


class Grants:
    """One row per partner and patient."""

    def __init__(self, database: Database) -> None:
        self._rows = database.collection("grants")
        self._consents = database.collection("Consent")

    async def patients(self, partner: str) -> frozenset[str]:
        """The ids of the patients shared with this partner.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            # All ids of one partner stand together in the index on ``_id``, which alone is read.
            low, high = {"partner": partner, "patient": ""}, {"partner": partner, "patient": chr(0x10FFFF)}
            cursor = self._rows.find({"_id": {"$gte": low, "$lte": high}}, {"_id": True})
            return frozenset([row["_id"]["patient"] for row in await cursor.to_list(None)])

    async def has(self, partner: str, patient: str) -> bool:
        """Whether a patient is shared with a partner.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            return await self._rows.find_one(_row(partner, patient), {"_id": True}) is not None

    async def latest_consent(self) -> tuple[Any, ...] | None:
        """Id, version and time of the Consent that was written last.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            row = await self._consents.find_one(
                {}, {"version": True, "updated": True}, sort=[("updated", -1), ("_id", -1)]
            )
        return None if row is None else (row["_id"], row["version"], row["updated"])

    async def add(self, partner: str, patient: str) -> bool:
        """Share a patient with a partner; whether that is new.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            done = await self._rows.update_one(_row(partner, patient), {"$setOnInsert": {"at": now()}}, upsert=True)
        return done.upserted_id is not None

    async def remove(self, partner: str, patients: Iterable[str]) -> None:
        """Stop sharing these patients with a partner.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            ids = [_row(partner, patient)["_id"] for patient in patients]
            await self._rows.delete_many({"_id": {"$in": ids}})


def _row(partner: str, patient: str) -> dict[str, dict[str, str]]:
    return {"_id": {"partner": partner, "patient": patient}}
