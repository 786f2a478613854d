"""Every disclosure, change and refusal leaves an AuditEvent that is durable before the answer leaves.

The event follows IHE Basic Audit Log Patterns, https://profiles.ihe.net/ITI/BALP/.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from hayat_fhir.errors import Category, Refusal
from hayat_fhir.search.indexing import Indexer
from hayat_fhir.security.audit import audit_event
from hayat_fhir.security.callers import Caller
from hayat_fhir.store.audit_events import AuditLog
from hayat_fhir.store.records import Change, Stored

_SERVER_FAULTS = frozenset({Category.UNAVAILABLE})


@dataclass(slots=True)
class Asked:
    """What has become of a request so far: who asks, once that is known, and whether an AuditEvent tells of it."""

    caller: Caller | None = None
    recorded: bool = False


ASKED: ContextVar[Asked | None] = ContextVar("asked", default=None)
"""Set by the door that takes a request, so that it knows in the end what nobody has recorded."""


@dataclass(slots=True)
class Access:
    """What one access has touched so far: references of resources, and of the patients they are about."""

    entities: list[str] = field(default_factory=list)
    patients: set[str] = field(default_factory=set)
    query: str | None = None
    reason: str | None = None
    purpose: str | None = None

    def touched(self, *stored: Stored) -> None:
        """Add versions that were disclosed or written, and the patients in whose compartments they are."""
        for version in stored:
            self.entities.append(version.reference)
            self.patients.update(version.compartments)


class Auditing:
    """Writes one AuditEvent for each access."""

    def __init__(self, log: AuditLog, indexer: Indexer, site: str) -> None:
        self._log = log
        self._indexer = indexer
        self._site = site

    @asynccontextmanager
    async def access(
        self, caller: Caller, interaction: str, *entities: str, query: str | None = None
    ) -> AsyncIterator[Access]:
        """Audit what happens inside: success when it ends, the refusal when it raises one.

        Raises:
            Unavailable: The event could not be made durable; then the answer must not leave either.
        """
        access = Access(list(entities), set(), query)
        try:
            yield access
        except Refusal as refusal:
            outcome = "8" if refusal.category in _SERVER_FAULTS else "4"
            await self.record(caller, interaction, outcome, access.entities, (), query)
            raise
        await self.record(
            caller,
            interaction,
            "0",
            access.entities,
            access.patients,
            access.query,
            access.reason,
            access.purpose,
        )

    async def record(
        self,
        caller: Caller,
        interaction: str,
        outcome: str,
        entities: Iterable[str] = (),
        patients: Iterable[str] = (),
        query: str | None = None,
        reason: str | None = None,
        purpose: str | None = None,
        description: str | None = None,
    ) -> None:
        """Write one event and wait until it is durable; ``reason`` is why, as the caller says, ``purpose`` its code.

        Raises:
            Unavailable: It could not be made durable.
        """
        event = audit_event(
            interaction=interaction,
            caller=caller,
            outcome=outcome,
            entities=tuple(dict.fromkeys(entities)),
            patients=tuple(sorted(patient for patient in patients if patient.startswith("Patient/"))),
            query=query,
            recorded=datetime.now(UTC),
            site=self._site,
            reason=reason,
            purpose=purpose,
            description=description,
        )
        id = str(uuid4())
        compartments = tuple(self._indexer.compartments(event, id))
        if len(compartments) > 1:
            compartments = ()  # one patient must not read of another in what is about both
        await self._log.append(Change("AuditEvent", id, 0, event, self._indexer.index(event, id), compartments))
        asked = ASKED.get()
        if asked is not None:
            asked.recorded = True
