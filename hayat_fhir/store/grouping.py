"""Group commit: single inserts that arrive together reach the disk together.

While one group is on its way to the journal, the next one gathers; all callers of a group are released at
once. A lone insert waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bson.errors import BSONError
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError

from hayat_fhir.errors import Refusal, Unavailable
from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import Document
from hayat_fhir.store.faults import refusal_for

_DUPLICATE_KEY = 11000
_MOST_AT_ONCE = 1000

_Entry = tuple[Document, asyncio.Future[bool]]


class GroupedInserts:
    """Inserts into one collection. Belongs to one event loop."""

    def __init__(self, database: Database, collection: str) -> None:
        self._database = database
        self._collection = collection
        self._pending: list[_Entry] = []
        self._writing: asyncio.Task[None] | None = None

    async def insert(self, document: Document) -> bool:
        """Return once the document is durable: True; or False where one with its ``_id`` exists.

        Raises:
            Unavailable: MongoDB does not answer; whether the document is there is not known.
            InvalidRequest: A value cannot be stored.
            TooLarge: The document is larger than 16 MB.
        """
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._pending.append((document, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return await written

    async def drain(self) -> None:
        """Return once every insert asked for so far is done or refused: before the connections are closed."""
        while self._writing is not None:
            await asyncio.wait([self._writing])

    async def _write(self) -> None:
        try:
            while self._pending:
                group = self._pending[:_MOST_AT_ONCE]
                del self._pending[:_MOST_AT_ONCE]
                await self._write_group(group)
        finally:
            self._writing = None

    async def _write_group(self, group: Sequence[_Entry]) -> None:
        outcomes: Sequence[bool | Refusal] = [Unavailable("the write has been interrupted")] * len(group)
        try:
            outcomes = await self._insert([document for document, _ in group])
            if len(group) > 1 and isinstance(outcomes[0], Refusal) and not isinstance(outcomes[0], Unavailable):
                for entry in group:
                    await self._write_group([entry])
        finally:
            for (_, written), outcome in zip(group, outcomes, strict=True):
                if written.done():
                    continue
                if isinstance(outcome, Refusal):
                    written.set_exception(outcome)
                else:
                    written.set_result(outcome)

    async def _insert(self, documents: list[Document]) -> Sequence[bool | Refusal]:
        """What became of each document; where none could be sent, the same refusal for all."""
        try:
            collection = await self._database.prepared(self._collection)
            if len(documents) == 1:
                await collection.insert_one(documents[0])
            else:
                await collection.insert_many(documents, ordered=False)
        except Refusal as refusal:
            return [refusal] * len(documents)
        except DuplicateKeyError:
            return [False]
        except BulkWriteError as error:
            return _outcomes(error, len(documents))
        except (PyMongoError, BSONError, ValueError, ArithmeticError) as error:
            return [refusal_for(error) or Unavailable("the database cannot do this now")] * len(documents)
        return [True] * len(documents)


def _outcomes(error: BulkWriteError, number: int) -> Sequence[bool | Refusal]:
    details = error.details or {}
    unavailable = Unavailable("the database cannot do this now")
    if details.get("writeConcernErrors") or not details.get("writeErrors"):
        return [unavailable] * number
    outcomes: list[bool | Refusal] = [True] * number
    for fault in details["writeErrors"]:
        outcomes[fault["index"]] = False if fault["code"] == _DUPLICATE_KEY else unavailable
    return outcomes
