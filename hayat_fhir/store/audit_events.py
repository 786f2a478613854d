"""The audit log: AuditEvents, durable before the answer leaves, committed in groups.

The documents are those of any other resource, so that AuditEvent can be searched like any other type.
"""

from __future__ import annotations

from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import now, to_document
from hayat_fhir.store.grouping import GroupedInserts
from hayat_fhir.store.records import Change


class AuditLog:
    """Appends AuditEvents; nothing here changes or deletes one. Belongs to one event loop."""

    def __init__(self, database: Database) -> None:
        self._inserts = GroupedInserts(database, "AuditEvent")

    async def append(self, change: Change) -> None:
        """Return once the event is durable; an event of this id that is there already is the same one.

        Raises:
            Unavailable: It could not be made durable; then what it is about must not be disclosed.
            InvalidRequest: A value cannot be stored.
        """
        await self._inserts.insert(to_document(change, now()))

    async def drain(self) -> None:
        """Return once everything appended so far is written or refused: before the connections are closed."""
        await self._inserts.drain()
