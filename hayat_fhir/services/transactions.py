"""The transaction interaction: all entries of a Bundle take effect, or none.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from hayat_fhir.errors import Conflict, InvalidRequest, Issue, NotFound, PreconditionFailed, Refusal, TooLarge
from hayat_fhir.fhir.bundles import Entry
from hayat_fhir.fhir.references import references, rewrite
from hayat_fhir.security.callers import UNRESTRICTED, Caller, Role
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.conditional import Conditional
from hayat_fhir.services.contribution import linked_patient, provenance
from hayat_fhir.services.drafting import Drafting, new_id
from hayat_fhir.services.interactions import Written
from hayat_fhir.store.records import Change, Stored
from hayat_fhir.store.resources import Resources, VersionConflict

_ATTEMPTS = 8
_MOST_ENTRIES = 5000
_AT_ONCE = 16
_PROVENANCE = -1
_BREATH = 8
"""Entries drafted before the event loop gets a turn."""


@dataclass(slots=True)
class _Plan:
    """What each entry comes to: an existing resource it matched, or an id to write under."""

    ids: dict[int, str] = field(default_factory=dict)
    matched: dict[int, Stored] = field(default_factory=dict)
    table: dict[str, str] = field(default_factory=dict)
    old: dict[str, Stored] = field(default_factory=dict)


class Transactions:
    """Processes the writing entries of a transaction Bundle as one atomic commit."""

    def __init__(
        self,
        resources: Resources,
        policy: Policy,
        drafting: Drafting,
        conditional: Conditional,
        auditing: Auditing,
        patient_id_system: str,
    ) -> None:
        self._resources = resources
        self._policy = policy
        self._drafting = drafting
        self._conditional = conditional
        self._auditing = auditing
        self._patient_id_system = patient_id_system

    async def commit(self, caller: Caller, entries: Sequence[Entry]) -> dict[int, Written]:
        """Store all POST, PUT and DELETE entries; the answer is keyed by the entry's index.

        Raises:
            TooLarge: More entries than one transaction of MongoDB takes in its time.
            Refusal: The first entry that cannot be stored, named by its index; then nothing has been stored.
        """
        if len(entries) > _MOST_ENTRIES:
            raise TooLarge(f"more than {_MOST_ENTRIES} entries", code="too-costly", expression=["Bundle.entry"])
        _refuse_duplicates(entries)
        async with self._auditing.access(caller, "transaction") as access:
            for _ in range(_ATTEMPTS):
                plan = await self._plan(caller, entries)
                changes, unchanged = await self._draft(caller, entries, plan)
                try:
                    stored = await self._resources.commit(list(changes.values())) if changes else []
                except VersionConflict:
                    continue
                access.touched(*stored, *unchanged.values())
                return _written(dict(zip(changes, stored, strict=True)), unchanged, plan)
            raise Conflict("others kept changing the same resources")

    async def _plan(self, caller: Caller, entries: Sequence[Entry]) -> _Plan:
        plan = _Plan()
        gate = asyncio.Semaphore(_AT_ONCE)

        async def match(entry: Entry, criteria: str) -> None:
            async with gate:
                with _naming(entry):
                    await self._match(caller, entry, criteria, plan)

        async with _refusals_first() as group:
            for entry in entries:
                if entry.method == "POST" and entry.if_none_exist is not None:
                    group.create_task(match(entry, entry.if_none_exist))
                else:
                    plan.ids[entry.index] = _own_id(entry)
        _agree_on_claims(entries, plan)
        for entry in entries:
            if entry.full_url and entry.index in plan.ids:
                plan.table[entry.full_url] = f"{entry.type}/{plan.ids[entry.index]}"
        await self._resolve_conditional_references(caller, entries, plan)
        touched = [f"{e.type}/{plan.ids[e.index]}" for e in entries if e.method in {"PUT", "DELETE"}]
        if touched:
            found = await self._resources.read_many(touched, lambda _: UNRESTRICTED, deleted=True)
            plan.old = {stored.reference: stored for stored in found}
        return plan

    async def _match(self, caller: Caller, entry: Entry, criteria: str, plan: _Plan) -> None:
        """Find the resource that the entry's condition matches, or claim an id to write under."""
        existing = await self._conditional.match(caller, entry.type, criteria)
        if existing is not None:
            plan.matched[entry.index] = existing
            plan.ids[entry.index] = existing.id
        else:
            plan.ids[entry.index] = await self._conditional.claim(caller, entry.type, criteria, new_id())

    async def _resolve_conditional_references(self, caller: Caller, entries: Sequence[Entry], plan: _Plan) -> None:
        wanted: dict[str, Entry] = {}
        for entry in entries:
            for _, text in references(entry.resource or {}):
                if "?" in text and not text.startswith(("http:", "https:", "urn:")):
                    wanted.setdefault(text, entry)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def resolve(text: str, entry: Entry) -> None:
            type, _, criteria = text.partition("?")
            async with gate:
                with _naming(entry):
                    match = await self._conditional.match(caller, type, criteria, Interaction.SEARCH)
                    if match is None:
                        raise PreconditionFailed("a conditional reference matches nothing", code="not-found")
            plan.table[text] = match.reference

        async with _refusals_first() as group:
            for text, entry in wanted.items():
                group.create_task(resolve(text, entry))

    async def _draft(
        self, caller: Caller, entries: Sequence[Entry], plan: _Plan
    ) -> tuple[dict[int, Change], dict[int, Stored]]:
        changes: dict[int, Change] = {}
        unchanged = dict(plan.matched)
        for number, entry in enumerate(entries):
            if number % _BREATH == 0:
                await asyncio.sleep(0)
            with _naming(entry):
                change, same = self._draft_entry(caller, entry, plan)
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

    def _draft_entry(self, caller: Caller, entry: Entry, plan: _Plan) -> tuple[Change | None, Stored | None]:
        id = plan.ids[entry.index]
        matched = plan.matched.get(entry.index)
        resource = rewrite(entry.resource, plan.table) if entry.resource is not None else None
        if matched is not None:
            if caller.role is Role.PARTNER and entry.type == "Patient" and resource is not None:
                return self._link(resource, matched), matched
            return None, matched
        old = plan.old.get(f"{entry.type}/{id}")
        if entry.method == "DELETE":
            if old is None or old.deleted:
                return None, old
            try:
                return self._drafting.delete(caller, old), None
            except NotFound:
                return None, None
        if resource is None:
            raise InvalidRequest("the entry has no resource", code="required")
        if entry.method == "PUT" and resource.get("id") != id:
            raise InvalidRequest("the resource's id must equal the id of the URL", code="invalid")
        change = self._drafting.put(caller, entry.type, id, resource, old)
        if entry.if_match is not None and (old is None or old.version != entry.if_match):
            raise PreconditionFailed("If-Match does not name the current version")
        return change, old

    def _link(self, incoming: dict[str, Any], own: Stored) -> Change | None:
        """Add the partner's identifiers to the site's own patient; nothing else of it changes."""
        merged = linked_patient(own.resource or {}, incoming, self._patient_id_system)
        site = Caller(Role.SITE, "link")
        return self._drafting.put(site, "Patient", own.id, merged, own)


def _own_id(entry: Entry) -> str:
    """The id that an entry without a condition writes under."""
    if entry.method == "POST":
        return new_id()
    if entry.id is None:
        with _naming(entry):
            raise InvalidRequest("conditional update and delete are not supported", code="not-supported")
    return entry.id


@contextmanager
def _naming(entry: Entry) -> Iterator[None]:
    """Names the entry in a refusal raised inside."""
    try:
        yield
    except Refusal as refusal:
        place = f"Bundle.entry[{entry.index}]"
        refusal.issues = tuple(_placed(issue, place) for issue in refusal.issues)
        raise


def _placed(issue: Issue, place: str) -> Issue:
    if any(expression.startswith("Bundle.entry") for expression in issue.expression):
        return issue
    return replace(issue, expression=(place, *(f"{place}.resource.{e}" for e in issue.expression)))


@asynccontextmanager
async def _refusals_first() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises the first Refusal itself, not a group of exceptions."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except* Refusal as refusals:
        first: BaseException = refusals
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        found = first
    else:
        return
    raise found


def _refuse_duplicates(entries: Sequence[Entry]) -> None:
    """Raise InvalidRequest where two entries have one fullUrl, or write to one resource."""
    seen: set[str] = set()
    for entry in entries:
        names = [entry.full_url] if entry.full_url else []
        if entry.method in {"PUT", "DELETE"}:
            names.append(f"{entry.type}/{entry.id}")
        for name in names:
            if name in seen:
                raise InvalidRequest(
                    "two entries share a fullUrl or write to one resource",
                    code="duplicate",
                    expression=[f"Bundle.entry[{entry.index}]"],
                )
            seen.add(name)


def _agree_on_claims(entries: Sequence[Entry], plan: _Plan) -> None:
    """Entries with one condition agreed on one id: the first creates, the others match it."""
    first: set[str] = set()
    for entry in entries:
        if entry.method != "POST" or entry.if_none_exist is None or entry.index in plan.matched:
            continue
        name = f"{entry.type}/{plan.ids[entry.index]}"
        if name in first:
            raise InvalidRequest(
                "two entries have the same condition",
                code="duplicate",
                expression=[f"Bundle.entry[{entry.index}].request.ifNoneExist"],
            )
        first.add(name)


def _written(stored: dict[int, Stored], unchanged: dict[int, Stored], plan: _Plan) -> dict[int, Written]:
    answer = {index: Written(same, changed=False) for index, same in unchanged.items()}
    for index, version in stored.items():
        if index == _PROVENANCE:
            continue
        old = plan.old.get(version.reference) or plan.matched.get(index)
        answer[index] = Written(version, created=old is None or old.deleted)
    return answer
