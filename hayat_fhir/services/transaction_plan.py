"""What each entry of a transaction comes to, before anything is drafted: a match, or an id to write under.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace

from hayat_fhir.errors import InvalidRequest, Issue, PreconditionFailed, Refusal
from hayat_fhir.fhir.bundle_requests import Entry
from hayat_fhir.fhir.references import references
from hayat_fhir.security.callers import UNRESTRICTED, Caller
from hayat_fhir.security.policy import Interaction
from hayat_fhir.services.conditional import Conditional
from hayat_fhir.services.drafting import new_id
from hayat_fhir.store.records import Stored
from hayat_fhir.store.resources import Resources

_AT_ONCE = 16


@dataclass(slots=True)
class Plan:
    """What each entry comes to: an existing resource it matched, or an id to write under."""

    ids: dict[int, str] = field(default_factory=dict)
    matched: dict[int, Stored] = field(default_factory=dict)
    table: dict[str, str] = field(default_factory=dict)
    old: dict[str, Stored] = field(default_factory=dict)
    gone: dict[str, frozenset[str]] = field(default_factory=dict)
    """By type, the ids of what is deleted: that comes first, so that nothing else can match it."""
    nothing: set[int] = field(default_factory=set)
    """The entries whose criteria meet nothing: a PUT creates, a DELETE has nothing to do."""


class Planning:
    """Finds out what the entries of a transaction refer to."""

    def __init__(self, resources: Resources, conditional: Conditional) -> None:
        self._resources = resources
        self._conditional = conditional

    async def plan(self, caller: Caller, entries: Sequence[Entry]) -> Plan:
        """The plan of these entries.

        Raises:
            Refusal: A condition is malformed, matches several, or a conditional reference does not match one.
        """
        plan = Plan()
        conditional: list[tuple[Entry, str]] = []
        by_criteria: list[tuple[Entry, str]] = []
        for entry in entries:
            if entry.method == "POST" and entry.if_none_exist is not None:
                conditional.append((entry, entry.if_none_exist))
            elif entry.method != "POST" and entry.id is None:
                by_criteria.append((entry, entry.criteria))
            else:
                plan.ids[entry.index] = _own_id(entry)
        await _each(by_criteria, lambda entry, criteria: self._target(caller, entry, criteria, plan))
        plan.gone = _deleted(entries, plan)
        await _each(conditional, lambda entry, criteria: self._match(caller, entry, criteria, plan))
        _agree_on_claims(entries, plan)
        _agree_on_targets(entries, plan)
        for entry in entries:
            if entry.full_url and entry.index in plan.ids:
                plan.table[entry.full_url] = f"{entry.type}/{plan.ids[entry.index]}"
        await self._resolve_conditional_references(caller, entries, plan)
        touched = [
            f"{e.type}/{plan.ids[e.index]}" for e in entries if e.method in {"PUT", "DELETE"} and e.index in plan.ids
        ]
        if touched:
            found = await self._resources.read_many(touched, lambda _: UNRESTRICTED, deleted=True)
            plan.old = {stored.reference: stored for stored in found}
        return plan

    async def _match(self, caller: Caller, entry: Entry, criteria: str, plan: Plan) -> None:
        """Find the resource that the entry's condition matches, or claim an id to write under."""
        gone = plan.gone.get(entry.type, frozenset())
        existing = await self._conditional.match(caller, entry.type, criteria, besides=gone)
        if existing is not None:
            plan.matched[entry.index] = existing
            plan.ids[entry.index] = existing.id
        else:
            plan.ids[entry.index] = await self._conditional.claim(caller, entry.type, criteria, new_id(), besides=gone)

    async def _target(self, caller: Caller, entry: Entry, criteria: str, plan: Plan) -> None:
        """Find the resource that a conditional update or deletion is about, or what a PUT is to create."""
        interaction = Interaction.UPDATE if entry.method == "PUT" else Interaction.DELETE
        existing = await self._conditional.target(caller, entry.type, criteria, interaction)
        own = (entry.resource or {}).get("id")
        if existing is not None:
            if own not in {None, existing.id}:
                raise InvalidRequest("the resource's id is not that of the match", code="invalid")
            plan.ids[entry.index] = existing.id
            return
        plan.nothing.add(entry.index)
        if entry.method == "PUT":
            claimed = own if isinstance(own, str) else None
            plan.ids[entry.index] = claimed or await self._conditional.claim(caller, entry.type, criteria, new_id())

    async def _resolve_conditional_references(self, caller: Caller, entries: Sequence[Entry], plan: Plan) -> None:
        wanted: dict[str, Entry] = {}
        for entry in entries:
            for _, text in references(entry.resource or {}):
                if "?" in text and not text.startswith(("http:", "https:", "urn:")):
                    wanted.setdefault(text, entry)

        async def resolve(entry: Entry, text: str) -> None:
            del entry
            type, _, criteria = text.partition("?")
            gone = plan.gone.get(type, frozenset())
            match = await self._conditional.match(caller, type, criteria, Interaction.SEARCH, besides=gone)
            if match is None:
                raise PreconditionFailed("a conditional reference matches nothing", code="not-found")
            plan.table[text] = match.reference

        await _each([(entry, text) for text, entry in wanted.items()], resolve)


def _own_id(entry: Entry) -> str:
    """The id that an entry without a condition writes under."""
    return new_id() if entry.method == "POST" or entry.id is None else entry.id


def _deleted(entries: Sequence[Entry], plan: Plan) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for entry in entries:
        if entry.method == "DELETE" and entry.index in plan.ids:
            found.setdefault(entry.type, set()).add(plan.ids[entry.index])
    return {type: frozenset(ids) for type, ids in found.items()}


async def _each(work: Sequence[tuple[Entry, str]], do: Callable[[Entry, str], Awaitable[None]]) -> None:
    """Do it for each of them, several at a time; a refusal names the entry, and is the first one."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(entry: Entry, text: str) -> None:
        async with gate:
            with naming(entry):
                await do(entry, text)

    async with _refusals_first() as group:
        for entry, text in work:
            group.create_task(one(entry, text))


@contextmanager
def naming(entry: Entry) -> Iterator[None]:
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


def _agree_on_claims(entries: Sequence[Entry], plan: Plan) -> None:
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


def _agree_on_targets(entries: Sequence[Entry], plan: Plan) -> None:
    """No two entries of a transaction write to one resource, also where criteria name it."""
    seen: set[str] = set()
    for entry in entries:
        if entry.method not in {"PUT", "DELETE"} or entry.index not in plan.ids:
            continue
        name = f"{entry.type}/{plan.ids[entry.index]}"
        if name in seen:
            raise InvalidRequest(
                "two entries write to one resource", code="duplicate", expression=[f"Bundle.entry[{entry.index}]"]
            )
        seen.add(name)
