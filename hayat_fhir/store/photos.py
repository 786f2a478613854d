"""Pictures of doctors, by the digest of their bytes: what a name stands for never changes."""

from __future__ import annotations

from hashlib import sha256

from hayat_fhir.store.database import Database
from hayat_fhir.store.faults import answered


class Photos:
    """One row per picture."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, image: bytes) -> str:
        """Store a picture; its name.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        name = sha256(image).hexdigest()
        rows = await self._database.prepared("photos")
        with answered():
            await rows.update_one({"_id": name}, {"$setOnInsert": {"image": image}}, upsert=True)
        return name

    async def get(self, name: str) -> bytes | None:
        """The picture of this name, or None.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            row = await self._database.collection("photos").find_one({"_id": name})
        return None if row is None else bytes(row["image"])
