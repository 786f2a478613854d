"""Claims: names under which all who race for the same thing agree on one id."""

from __future__ import annotations

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import now
from hayat_fhir.store.faults import answered


class Claims:
    """One row per claim, ``{_id: key, id, at}``; the unique ``_id`` decides every race."""

    def __init__(self, database: Database) -> None:
        self._rows = database.collection("claims")

    async def reserve(self, key: str, candidate: str) -> str:
        """The id under this key: ``candidate`` if nobody was first.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            while True:
                try:
                    await self._rows.insert_one({"_id": key, "id": candidate, "at": now()})
                except DuplicateKeyError:
                    row = await self._rows.find_one({"_id": key})
                    if row is not None:
                        return str(row["id"])
                else:
                    return candidate

    async def replace(self, key: str, old: str, new: str) -> str:
        """Put ``new`` in the place of ``old``; returns the id that now holds, which may be another racer's.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            row = await self._rows.find_one_and_update(
                {"_id": key, "id": old}, {"$set": {"id": new, "at": now()}}, return_document=ReturnDocument.AFTER
            )
        return await self.reserve(key, new) if row is None else str(row["id"])
