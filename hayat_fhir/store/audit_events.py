"""The audit log: AuditEvents, durable before the answer leaves, written together.

While one group is on its way to the disk, the next one gathers; all callers of a group are released at once.
The documents are those of any other resource, so that AuditEvent can be searched like any other type.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pymongo.errors import BulkWriteError, PyMongoError

from hayat_fhir.errors import InvalidRequest, Refusal, TooLarge, Unavailable
from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import Document, now, to_document
from hayat_fhir.store.faults import refusal_for
from hayat_fhir.store.records import Change

_DUPLICATE_KEY = 11000
_MOST_AT_ONCE = 1000

_Entry = tuple[Document, asyncio.Future[None]]


class AuditLog:
    """Appends AuditEvents; nothing here changes or deletes one. Belongs to one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: list[_Entry] = []
        self._writing: asyncio.Task[None] | None = None

    async def append(self, change: Change) -> None:
        """Return once the event is durable.

        Raises:
            Unavailable: It could not be made durable; then what it is about must not be disclosed.
            InvalidRequest: A value cannot be stored.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((to_document(change, now()), written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await written

    async def drain(self) -> None:
        """Return once everything appended so far is written or refused: before the connections are closed."""
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
        refusal: Refusal | None = Unavailable("the audit log has been interrupted")
        try:
            refusal = await self._insert([document for document, _ in group])
            if isinstance(refusal, InvalidRequest | TooLarge) and len(group) > 1:
                for entry in group:
                    await self._write_group([entry])
        finally:
            for _, written in group:
                if not written.done():
                    if refusal is None:
                        written.set_result(None)
                    else:
                        written.set_exception(refusal)

    async def _insert(self, documents: list[Document]) -> Refusal | None:
        try:
            collection = await self._database.prepared("AuditEvent")
            await collection.insert_many(documents, ordered=False)
        except Refusal as refusal:
            return refusal
        except BulkWriteError as error:
            faults = (error.details or {}).get("writeErrors") or [{"code": 0}]
            if all(fault["code"] == _DUPLICATE_KEY for fault in faults):
                return None
            return Unavailable("the audit log cannot be written")
        except (PyMongoError, ValueError, OverflowError) as error:
            return refusal_for(error) or Unavailable("the audit log cannot be written")
        return None
