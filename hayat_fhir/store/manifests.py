"""Manifests whose signature was found to be good, at a time when the signer's key was known.

``manifests``: ``{_id: SHA-256 of signature and manifest, signer, at}``. Keys are replaced; what was good stays good.
"""

from __future__ import annotations

from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import now
from hayat_fhir.store.faults import answered


class Manifests:
    """One row for each manifest that was checked and good."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.collection("manifests")

    async def is_good(self, digest: str, signer: str) -> bool:
        """Whether this one was found good, as this signer's.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            return await self._rows.find_one({"_id": digest, "signer": signer}) is not None

    async def add(self, digest: str, signer: str) -> None:
        """This one is good.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        rows = await self._database.prepared("manifests")
        with answered():
            await rows.update_one({"_id": digest}, {"$setOnInsert": {"signer": signer, "at": now()}}, upsert=True)
