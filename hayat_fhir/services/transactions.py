"""The transaction interaction: all entries of a Bundle take effect, or none.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, Protocol

from hayat_fhir.errors import Conflict, InvalidRequest, NotFound, PreconditionFailed, Refusal, TooLarge
from hayat_fhir.fhir.bundle_requests import Entry
from hayat_fhir.fhir.references import parse, rewrite
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.identity import linked
from hayat_fhir.security.policy import Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.conditional import Conditional
from hayat_fhir.services.contribution import provenance
from hayat_fhir.services.drafting import Drafting, new_id
from hayat_fhir.services.interactions import Written
from hayat_fhir.services.safeguards import Safeguards
from hayat_fhir.services.transaction_plan import Plan, Planning, naming
from hayat_fhir.store.records import Change, Resource, Stored
from hayat_fhir.store.resources import Resources, VersionConflict

_ATTEMPTS = 8
_MOST_ENTRIES = 5000
_PROVENANCE = -1
_BREATH = 8
"""Entries drafted before the event loop gets a turn."""


class Models(Protocol):
    """Runs the models over many resources beside this process."""

    def ready(self, types: Sequence[str]) -> bool:
        """Whether resources of these types, one name for each, are best checked here."""

    def begin(self, resources: Mapping[int, Resource]) -> asyncio.Task[frozenset[int]]:
        """Begin to check resources whose structure is right; the task gives the numbers of those that are not."""


class Transactions:
    """Processes the writing entries of a transaction Bundle as one atomic commit."""

    def __init__(
        self,
        resources: Resources,
        policy: Policy,
        drafting: Drafting,
        conditional: Conditional,
        auditing: Auditing,
        models: Models,
        safeguards: Safeguards,
        base_url: str,
    ) -> None:
        self._resources = resources
        self._policy = policy
        self._drafting = drafting
        self._planning = Planning(resources, conditional)
        self._auditing = auditing
        self._models = models
        self._base_url = base_url
        self._safeguards = safeguards

    async def commit(self, caller: Caller, entries: Sequence[Entry]) -> dict[int, Written]:
        """Store all POST, PUT and DELETE entries; the answer is keyed by the entry's index.

        Raises:
            TooLarge: More entries than one transaction of MongoDB takes in its time.
            Refusal: The first entry that cannot be stored, named by its index; then nothing has been stored.
        """
        if len(entries) > _MOST_ENTRIES:
            raise TooLarge(f"more than {_MOST_ENTRIES} entries", code="too-costly", expression=["Bundle.entry"])
        _refuse_duplicates(entries)
        async with (
            self._auditing.access(caller, "transaction") as access,
            self._validating(entries) as validating,
        ):
            for _ in range(_ATTEMPTS):
                plan = await self._planning.plan(caller, entries)
                await self._check_old(caller, entries, plan)
                changes, unchanged = await self._draft(caller, entries, plan, validating)
                await self._safeguards.recipients.check(caller, changes.values())
                try:
                    stored = await self._resources.commit(list(changes.values())) if changes else []
                except VersionConflict:
                    continue
                access.touched(*stored, *unchanged.values())
                return _written(dict(zip(changes, stored, strict=True)), unchanged, plan)
            raise Conflict("others kept changing the same resources")

    async def _check_old(self, caller: Caller, entries: Sequence[Entry], plan: Plan) -> None:
        """Return if nothing elsewhere keeps the caller from writing over what is there."""
        for entry in entries:
            old = plan.old.get(f"{entry.type}/{plan.ids.get(entry.index)}")
            if old is None or old.deleted:
                continue
            with naming(entry):
                await self._safeguards.contexts.check_write(caller, old.type, old.id)
                if entry.method == "DELETE" and old.source == caller.source:
                    await self._safeguards.patients.check(caller, old)

    @asynccontextmanager
    async def _validating(self, entries: Sequence[Entry]) -> AsyncIterator[asyncio.Task[frozenset[int]] | None]:
        """The models of a large Bundle, run while it is planned and drafted.

        None where drafting validates by itself: of a small Bundle, and of one with an entry that is to be refused,
        for drafting finds the first of those.
        """
        given = {entry.index: entry.resource for entry in entries if entry.resource is not None}
        large = self._models.ready([str(resource.get("resourceType")) for resource in given.values()])
        if not large or not await self._structures_are_right(entries):
            yield None
            return
        checking = self._models.begin(given)
        try:
            yield checking
        finally:
            checking.cancel()

    async def _structures_are_right(self, entries: Sequence[Entry]) -> bool:
        for number, entry in enumerate(entries):
            if number % _BREATH == 0:
                await asyncio.sleep(0)
            try:
                if entry.resource is not None:
                    self._drafting.check_structure(entry.type, entry.resource)
            except InvalidRequest:
                return False
        return True

    async def _draft(
        self, caller: Caller, entries: Sequence[Entry], plan: Plan, validating: asyncio.Task[frozenset[int]] | None
    ) -> tuple[dict[int, Change], dict[int, Stored]]:
        """What is to be stored, and what is as it should be already."""
        if validating is not None:
            with suppress(Refusal):
                drafted = await self._draft_all(caller, entries, plan, valid=True)
                if not any(index in drafted[0] for index in await validating):
                    return drafted
        return await self._draft_all(caller, entries, plan, valid=False)

    async def _draft_all(
        self, caller: Caller, entries: Sequence[Entry], plan: Plan, *, valid: bool
    ) -> tuple[dict[int, Change], dict[int, Stored]]:
        changes: dict[int, Change] = {}
        unchanged = dict(plan.matched)
        for number, entry in enumerate(entries):
            if number % _BREATH == 0:
                await asyncio.sleep(0)
            with naming(entry):
                change, same = self._draft_entry(caller, entry, plan, valid=valid)
            if change is not None:
                changes[entry.index] = change
                unchanged.pop(entry.index, None)
            elif same is not None:
                unchanged[entry.index] = same
        if caller.role is Role.PARTNER and changes:
            record = provenance(caller, list(changes.values()))
            drafted = self._drafting.put(caller, "Provenance", new_id(), record, None)
            if drafted is not None:
                about = {patient for change in changes.values() for patient in change.compartments}
                changes[_PROVENANCE] = replace(drafted, compartments=tuple(sorted(about)))
        return changes, unchanged

    def _draft_entry(
        self, caller: Caller, entry: Entry, plan: Plan, *, valid: bool
    ) -> tuple[Change | None, Stored | None]:
        if entry.index not in plan.ids:
            return None, None
        id = plan.ids[entry.index]
        matched = plan.matched.get(entry.index)
        resource = self._rewritten(entry, plan)
        if matched is not None:
            if caller.role is Role.PARTNER and entry.type == "Patient" and resource is not None:
                return self._link(caller, resource, matched), matched
            return None, matched
        old = plan.old.get(f"{entry.type}/{id}")
        if entry.method == "DELETE":
            if old is None or old.deleted:
                return None, old
            try:
                deletion = self._drafting.delete(caller, old)
            except NotFound:
                return None, None
            if entry.if_match is not None:
                self._drafting.check_version(caller, old, entry.if_match)
            return deletion, None
        if resource is None:
            raise InvalidRequest("the entry has no resource", code="required")
        if entry.method == "PUT" and entry.id is None:
            resource = {**resource, "id": id}
            if entry.index in plan.nothing and old is not None and not old.deleted:
                raise Conflict("there is another resource with this id")
        if entry.method == "PUT" and resource.get("id") != id:
            raise InvalidRequest("the resource's id must equal the id of the URL", code="invalid")
        change = self._drafting.put(caller, entry.type, id, resource, old, valid=valid)
        if entry.method == "PUT":
            self._drafting.check_version(caller, old, entry.if_match)
        if entry.absent and old is not None and not old.deleted:
            raise PreconditionFailed("the resource exists already")
        return change, old

    def _rewritten(self, entry: Entry, plan: Plan) -> dict[str, Any] | None:
        """The entry's resource, its references to other entries as they will be here."""
        if entry.resource is None:
            return None
        full_url = parse(entry.full_url) if entry.full_url else None
        return rewrite(entry.resource, plan.table, full_url.base if full_url else None, self._base_url)

    def _link(self, caller: Caller, incoming: dict[str, Any], own: Stored) -> Change | None:
        """Add the partner's identifiers to the site's own patient; nothing else of it changes."""
        self._drafting.check_structure("Patient", incoming)
        merged = linked(own.resource or {}, incoming, caller.foreign)
        site = Caller(Role.SITE, "link")
        return self._drafting.put(site, "Patient", own.id, merged, own)


def _refuse_duplicates(entries: Sequence[Entry]) -> None:
    """Raise InvalidRequest where two entries have one fullUrl, or write to one resource."""
    seen: set[str] = set()
    for entry in entries:
        names = [entry.full_url] if entry.full_url else []
        if entry.method in {"PUT", "DELETE"} and entry.id is not None:
            names.append(f"{entry.type}/{entry.id}")
        for name in names:
            if name in seen:
                raise InvalidRequest(
                    "two entries share a fullUrl or write to one resource",
                    code="duplicate",
                    expression=[f"Bundle.entry[{entry.index}]"],
                )
            seen.add(name)


def _written(stored: dict[int, Stored], unchanged: dict[int, Stored], plan: Plan) -> dict[int, Written]:
    answer = {index: Written(same, changed=False) for index, same in unchanged.items()}
    for index, version in stored.items():
        if index == _PROVENANCE:
            continue
        old = plan.old.get(version.reference) or plan.matched.get(index)
        answer[index] = Written(version, created=old is None or old.deleted)
    return answer
