"""The DICOM JSON of images' headers, and where their frames lie, kept once extracted: received bytes never change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pymongo import ReplaceOne

from hayat_fhir.store.database import Database
from hayat_fhir.store.faults import answered

_BATCH = 1000
_LARGEST = 15 * 2**20
"""Bytes of one document."""


class ImageMetadata:
    """One document for each image: ``{_id: SOP Instance UID, sha256, json, layout}``, both as bytes of JSON."""

    def __init__(self, database: Database) -> None:
        self._rows = database.collection("image_metadata")

    async def get(self, digests: Mapping[str, str]) -> dict[str, bytes]:
        """What is kept of these images, whose data sets have these SHA-256, by UID.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._kept(digests, "json")

    async def layouts(self, digests: Mapping[str, str]) -> dict[str, bytes]:
        """Where the frames of these images lie, as JSON, by UID; as ``get``.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._kept(digests, "layout")

    async def put(self, extracted: Sequence[tuple[str, str, bytes, bytes]]) -> None:
        """Keep what was extracted from images: UID, SHA-256 of the data set, JSON and layout; not what is too large.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        writes = [
            ReplaceOne({"_id": uid}, {"_id": uid, "sha256": digest, "json": json, "layout": layout}, upsert=True)
            for uid, digest, json, layout in extracted
            if len(json) + len(layout) <= _LARGEST
        ]
        if writes:
            with answered():
                await self._rows.bulk_write(writes, ordered=False)

    async def _kept(self, digests: Mapping[str, str], what: str) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        uids = list(digests)
        for start in range(0, len(uids), _BATCH):
            with answered():
                criteria = {"_id": {"$in": uids[start : start + _BATCH]}}
                async for row in self._rows.find(criteria, {"sha256": True, what: True}):
                    if row["sha256"] == digests[row["_id"]] and what in row:
                        found[row["_id"]] = bytes(row[what])
        return found
