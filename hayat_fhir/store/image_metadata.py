"""The DICOM JSON of images' headers, kept once it has been extracted: received bytes never change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pymongo import ReplaceOne

from hayat_fhir.store.database import Database
from hayat_fhir.store.faults import answered

_BATCH = 1000


class ImageMetadata:
    """One document for each image: ``{_id: SOP Instance UID, sha256, json}``."""

    def __init__(self, database: Database) -> None:
        self._rows = database.collection("image_metadata")

    async def get(self, digests: Mapping[str, str]) -> dict[str, bytes]:
        """What is kept of these images, whose data sets have these SHA-256, by UID.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        found: dict[str, bytes] = {}
        uids = list(digests)
        for start in range(0, len(uids), _BATCH):
            with answered():
                async for row in self._rows.find({"_id": {"$in": uids[start : start + _BATCH]}}):
                    if row["sha256"] == digests[row["_id"]]:
                        found[row["_id"]] = bytes(row["json"])
        return found

    async def put(self, extracted: Sequence[tuple[str, str, bytes]]) -> None:
        """Keep the JSON of images: UID, SHA-256 of the data set, and the JSON.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        writes = [
            ReplaceOne({"_id": uid}, {"_id": uid, "sha256": digest, "json": json}, upsert=True)
            for uid, digest, json in extracted
        ]
        with answered():
            await self._rows.bulk_write(writes, ordered=False)
