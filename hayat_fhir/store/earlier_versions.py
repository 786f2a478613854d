"""Restricted is a record as a whole: the label of one version withholds the versions before it as well.

The mark on an earlier version is set in the transaction that stores the label, and stays for good, also where a later
version bears no label: a version that somebody wanted withheld does not open by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from bson.min_key import MinKey
from pymongo import UpdateMany
from pymongo.asynchronous.client_session import AsyncClientSession

from hayat_fhir.errors import Unavailable
from hayat_fhir.store.database import Database
from hayat_fhir.store.faults import answered
from hayat_fhir.store.indexes import HISTORY, of_resources

_AT_ONCE = 1000
_AWAY = 5.0
"""Seconds before it goes on where MongoDB did not answer."""


async def withhold(
    database: Database, type: str, versions: Mapping[str, int], session: AsyncClientSession | None = None
) -> None:
    """Mark as restricted what stands in the history of these resources (ids) below these versions."""
    updates = [
        UpdateMany(
            {"_id": {"$gte": {"id": id, "v": MinKey()}, "$lt": {"id": id, "v": version}}, "restricted": False},
            {"$set": {"restricted": True}},
        )
        for id, version in sorted(versions.items())
    ]
    if updates:
        await database.collection(type + HISTORY).bulk_write(updates, ordered=False, session=session)


class EarlierVersions:
    """Brings the histories of restricted records up to date that software of before this rule has written."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, stop: asyncio.Event) -> None:
        """Do so once, as soon as MongoDB lets it, unless ``stop`` is set before."""
        while not stop.is_set():
            try:
                await self.catch_up()
            except Unavailable:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _AWAY)
            else:
                return

    async def catch_up(self) -> None:
        """Mark what is not marked yet; again and at any time without effect.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        names = await self._database.collection_names()
        for type in sorted(name for name in names if of_resources(name) and name + HISTORY in names):
            cursor = self._database.collection(type).find({"restricted": True}, {"version": True})
            with answered():
                while found := await cursor.to_list(_AT_ONCE):
                    await withhold(self._database, type, {one["_id"]: one["version"] for one in found})
