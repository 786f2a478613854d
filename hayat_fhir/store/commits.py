"""How versions are written.

One change needs no transaction of MongoDB. A new resource is one insert. Otherwise the old version goes into
the history, then the current document is replaced on condition that it still has the expected version. A crash
between the two leaves a row that says what the current document says, and that readers skip. Several changes
put all old versions into the history first, and replace and insert in one transaction. So does a change that is
restricted, for it withholds the earlier versions too.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pymongo
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import ReplaceOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.read_concern import ReadConcern

from hayat_fhir.errors import Conflict, Unavailable
from hayat_fhir.store.database import WRITE_CONCERN, Collection, Database
from hayat_fhir.store.documents import (
    WITHOUT_INDEX,
    Document,
    from_document,
    later_of,
    now,
    to_document,
    to_history,
)
from hayat_fhir.store.earlier_versions import withhold
from hayat_fhir.store.faults import answered
from hayat_fhir.store.grouping import GroupedInserts
from hayat_fhir.store.indexes import HISTORY
from hayat_fhir.store.records import Change, Stored

_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument, tz_aware=True)
_DUPLICATE_KEY = 11000
_ATTEMPTS = 12
_LONGEST_PAUSE = 0.5
_TRANSACTION_PATIENCE = 50.0
"""Seconds: MongoDB ends a transaction after 60."""
_AT_ONCE = 1000


class VersionConflict(Conflict):
    """A resource is not at the version that the change expects; ``index`` is the change's place in the commit."""

    def __init__(self, index: int) -> None:
        super().__init__("the resource has been changed or created by another request")
        self.index = index


class Commits:
    """Writes new versions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._grouped: dict[str, GroupedInserts] = {}

    def _inserts(self, type: str) -> GroupedInserts:
        found = self._grouped.get(type)
        if found is None:
            found = self._grouped[type] = GroupedInserts(self._database, type)
        return found

    async def commit(self, changes: Sequence[Change]) -> list[Stored]:
        """Make all changes, or none; see ``Resources.commit``."""
        if not changes:
            return []
        with answered():
            if len(changes) == 1 and not (changes[0].restricted and changes[0].expected):
                return [await self._commit_one(changes[0])]
            return await self._commit_all(changes)

    async def _commit_one(self, change: Change) -> Stored:
        if change.expected == 0:
            document = to_document(change, now())
            if not await self._inserts(change.type).insert(document):
                raise VersionConflict(0)
            return from_document(change.type, document)
        collection = await self._database.prepared(change.type)
        current = await collection.with_options(codec_options=_RAW).find_one(
            {"_id": change.id, "version": change.expected}, WITHOUT_INDEX
        )
        if current is None:
            raise VersionConflict(0)
        await self._inserts(change.type + HISTORY).insert(to_history(current))
        document = to_document(change, later_of(now(), current["updated"]))
        done = await collection.replace_one({"_id": change.id, "version": change.expected}, document)
        if done.matched_count == 0:
            raise VersionConflict(0)
        return from_document(change.type, document)

    async def _commit_all(self, changes: Sequence[Change]) -> list[Stored]:
        """The order of the writes follows from type and id, so that two commits meet in the same order."""
        order = sorted(range(len(changes)), key=lambda place: (changes[place].type, changes[place].id))
        moment = now()
        for type in {change.type for change in changes}:
            await self._database.prepared(type)
        for type in {change.type for change in changes if change.expected}:
            moment = max(moment, await self._keep_old(type, changes))
        documents = {place: to_document(changes[place], moment) for place in order}
        await self._transact(changes, documents)
        return [from_document(change.type, documents[place]) for place, change in enumerate(changes)]

    async def _keep_old(self, type: str, changes: Sequence[Change]) -> datetime:
        """Put the versions about to be replaced into the history; returns the latest of their times."""
        places = {c.id: place for place, c in enumerate(changes) if c.type == type and c.expected}
        raw = self._database.collection(type).with_options(codec_options=_RAW)
        history = await self._database.prepared(type + HISTORY)
        ids = sorted(places)
        latest: list[datetime] = []
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            current = await raw.find({"_id": {"$in": some}}, WITHOUT_INDEX).to_list(None)
            versions = {document["_id"]: document["version"] for document in current}
            for id in some:
                if versions.get(id) != changes[places[id]].expected:
                    raise VersionConflict(places[id])
            await _keep(history, current)
            latest += [document["updated"] for document in current]
        return max(latest)

    async def _transact(self, changes: Sequence[Change], documents: Mapping[int, Document]) -> None:
        deadline = time.monotonic() + _TRANSACTION_PATIENCE
        for attempt in range(_ATTEMPTS):
            try:
                with pymongo.timeout(max(deadline - time.monotonic(), 0.001)):
                    async with self._database.client.start_session() as session:
                        await self._attempt(session, changes, documents)
                        return
            except PyMongoError as error:
                if not error.has_error_label("TransientTransactionError"):
                    raise
                if attempt == _ATTEMPTS - 1 or time.monotonic() > deadline:
                    raise Unavailable("others keep writing to the same resources") from error
            await asyncio.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.005 * 2**attempt)))  # noqa: S311 - spreads load

    async def _attempt(
        self, session: AsyncClientSession, changes: Sequence[Change], documents: Mapping[int, Document]
    ) -> None:
        await session.start_transaction(read_concern=ReadConcern("snapshot"), write_concern=WRITE_CONCERN)
        try:
            for type in sorted({change.type for change in changes}):
                collection = self._database.collection(type)
                places = [place for place in documents if changes[place].type == type]
                await _insert(session, collection, [p for p in places if not changes[p].expected], documents)
                await _replace(session, collection, [p for p in places if changes[p].expected], changes, documents)
                labelled = [changes[p] for p in places if changes[p].expected and changes[p].restricted]
                below = {change.id: change.expected + 1 for change in labelled}
                await withhold(self._database, type, below, session)
        except BaseException:
            await session.abort_transaction()
            raise
        await _commit(session)


async def _keep(history: Collection, current: Sequence[Mapping[str, Any]]) -> None:
    """Write history rows; one that is there already says the same."""
    try:
        await history.insert_many([to_history(document) for document in current], ordered=False)
    except BulkWriteError as error:
        if any(fault["code"] != _DUPLICATE_KEY for fault in (error.details or {}).get("writeErrors", [{"code": 0}])):
            raise


async def _insert(
    session: AsyncClientSession,
    collection: Collection,
    places: Sequence[int],
    documents: Mapping[int, Document],
) -> None:
    if not places:
        return
    try:
        await collection.insert_many([documents[place] for place in places], session=session)
    except BulkWriteError as error:
        faults = (error.details or {}).get("writeErrors", [])
        if faults and faults[0]["code"] == _DUPLICATE_KEY:
            raise VersionConflict(places[faults[0]["index"]]) from error
        raise


async def _replace(
    session: AsyncClientSession,
    collection: Collection,
    places: Sequence[int],
    changes: Sequence[Change],
    documents: Mapping[int, Document],
) -> None:
    if not places:
        return
    requests = [
        ReplaceOne({"_id": changes[place].id, "version": changes[place].expected}, documents[place]) for place in places
    ]
    done = await collection.bulk_write(requests, session=session)
    if done.matched_count == len(places):
        return
    ids = [changes[place].id for place in places]
    current = await collection.find({"_id": {"$in": ids}}, {"version": 1}).to_list(None)
    versions = {document["_id"]: document["version"] for document in current}
    raise VersionConflict(next((p for p in places if versions.get(changes[p].id) != changes[p].expected), places[0]))


async def _commit(session: AsyncClientSession) -> None:
    """Commit; where the answer got lost, ask again for the same commit, never for the writes."""
    for attempt in range(_ATTEMPTS):
        try:
            await session.commit_transaction()
        except PyMongoError as error:
            if not error.has_error_label("UnknownTransactionCommitResult") or attempt == _ATTEMPTS - 1:
                raise
            await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE))  # noqa: S311 - spreads load
        else:
            return
