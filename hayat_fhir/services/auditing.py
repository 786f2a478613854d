"""Every disclosure, change and refusal leaves an AuditEvent that is durable before the answer leaves.

The event follows IHE Basic Audit Log Patterns, https://profiles.ihe.net/ITI/BALP/. One about several patients is in
no patient's compartment, for it names the others: each of them is told by an event of their own. Where somebody goes
through lists of patients, or has one renewed over and over, that one is written once a minute for each patient: it says
who has looked, and what was asked stands in the others. So is that of a state that clients ask for until it changes.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from hayat_fhir.errors import Category, Refusal
from hayat_fhir.search.indexing import Indexer
from hayat_fhir.security.audit import audit_events
from hayat_fhir.security.callers import Caller
from hayat_fhir.store.audit_events import AuditLog
from hayat_fhir.store.records import Change, Resource, Stored

_SERVER_FAULTS = frozenset({Category.UNAVAILABLE})
_LISTS = frozenset({"search-type", "history-type", "history-system", "query", "operation-outbox", "operation-arrivals"})
"""Interactions whose answers are lists of whatever is there, of many patients, and that clients renew by themselves."""
_WINDOW = 60.0
_REMEMBERED = 2**16
_BREATH = 16
"""Events made before the event loop gets a turn."""


@dataclass(slots=True)
class Asked:
    """What has become of a request so far: who asks, once that is known, and whether an AuditEvent tells of it."""

    caller: Caller | None = None
    recorded: bool = False


ASKED: ContextVar[Asked | None] = ContextVar("asked", default=None)
"""Set by the door that takes a request, so that it knows in the end what nobody has recorded."""


@dataclass(slots=True)
class Access:
    """What one access has touched so far: references of resources, and of the patients they are about.

    ``description`` says of its success what the interaction's name does not.
    """

    entities: list[str] = field(default_factory=list)
    patients: set[str] = field(default_factory=set)
    query: str | None = None
    reason: str | None = None
    purpose: str | None = None
    description: str | None = None

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
        self._told: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    @asynccontextmanager
    async def access(
        self, caller: Caller, interaction: str, *entities: str, query: str | None = None, renewed: bool = False
    ) -> AsyncIterator[Access]:
        """Audit what happens inside: success when it ends, the refusal when it raises one.

        ``renewed``: clients ask for the same every second, while they wait; once a minute is told of its success.

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
        if renewed and not self._to_tell(caller, interaction, entities):
            return
        await self.record(
            caller,
            interaction,
            "0",
            access.entities,
            access.patients,
            access.query,
            access.reason,
            access.purpose,
            access.description,
        )
        if renewed:
            self._remember(caller, interaction, entities)

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
        """Write the event, and wait until it is durable; ``reason`` is why, as the caller says, ``purpose`` its code.

        Where several patients are concerned, each is told besides.

        Raises:
            Unavailable: It could not be made durable.
        """
        concerned = tuple(sorted({patient for patient in patients if patient.startswith("Patient/")}))
        told: Sequence[str] = concerned if len(concerned) > 1 else ()
        if interaction in _LISTS:
            told = self._to_tell(caller, interaction, told)
        events = audit_events(
            interaction=interaction,
            caller=caller,
            outcome=outcome,
            entities=tuple(dict.fromkeys(entities)),
            patients=concerned,
            told=told,
            query=query,
            recorded=datetime.now(UTC),
            site=self._site,
            reason=reason,
            purpose=purpose,
            description=description,
        )
        if told:
            await self._append_all(events)
            if interaction in _LISTS:
                self._remember(caller, interaction, told)
        else:
            await self._log.append(self._change(events[0]))
        asked = ASKED.get()
        if asked is not None:
            asked.recorded = True

    def _change(self, event: Resource) -> Change:
        id = str(uuid4())
        compartments = tuple(self._indexer.compartments(event, id))
        if len(compartments) > 1:
            compartments = ()  # one patient must not read of another in what is about both
        return Change("AuditEvent", id, 0, event, self._indexer.index(event, id), compartments)

    async def _append_all(self, events: Sequence[Resource]) -> None:
        changes = []
        for number, event in enumerate(events):
            if number % _BREATH == 0:
                await asyncio.sleep(0)
            changes.append(self._change(event))
        await asyncio.gather(*map(self._log.append, changes))

    def _to_tell(self, caller: Caller, interaction: str, entities: Sequence[str]) -> Sequence[str]:
        """Of which of these no event has told within the last minute; in an emergency all are told of."""
        if caller.emergency:
            return entities
        since = time.monotonic() - _WINDOW
        return [one for one in entities if self._told.get((caller.subject, interaction, one), since) <= since]

    def _remember(self, caller: Caller, interaction: str, entities: Sequence[str]) -> None:
        now = time.monotonic()
        for entity in entities:
            key = (caller.subject, interaction, entity)
            self._told[key] = now
            self._told.move_to_end(key)
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
