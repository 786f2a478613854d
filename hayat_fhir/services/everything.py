"""``Patient/$everything``: the patient, the patient's compartment, and the directory entries these refer to.

https://hl7.org/fhir/R4/patient-operation-everything.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hayat_fhir.errors import Forbidden, Gone, InvalidRequest, NotFound
from hayat_fhir.fhir.dates import bounds
from hayat_fhir.fhir.references import parse as parse_reference
from hayat_fhir.fhir.references import references
from hayat_fhir.search.care_dates import during
from hayat_fhir.search.conditions import AllOf, Condition, InCompartment, Updated
from hayat_fhir.search.cursor import decode, encode
from hayat_fhir.search.parameters import SearchParameters
from hayat_fhir.security.callers import Caller, Restriction
from hayat_fhir.security.policy import SUPPORTING_TYPES, Interaction, Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.store.records import Stored
from hayat_fhir.store.resources import Resources

_PAGE = 1000
_SINGLE = frozenset({"start", "end", "_since", "_count", "_cursor"})
_OTHER = frozenset({"_type", "_format", "_pretty"})


@dataclass(frozen=True, slots=True)
class EverythingPage:
    """One page, and the cursor of the next one (None: the last)."""

    resources: list[Stored]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class _Request:
    count: int
    condition: Condition
    types: tuple[str, ...]
    care: tuple[int | None, int | None]
    position: list[Any] | None


class Everything:
    """Collects a patient's history, page by page."""

    def __init__(
        self,
        resources: Resources,
        policy: Policy,
        auditing: Auditing,
        parameters: SearchParameters,
        compartment_types: Sequence[str],
        secret: bytes,
    ) -> None:
        self._resources = resources
        self._policy = policy
        self._auditing = auditing
        self._parameters = parameters
        self._types = tuple(sorted(set(compartment_types) - {"AuditEvent", "Patient"}))
        self._secret = secret

    async def everything(self, caller: Caller, patient: str, pairs: Sequence[tuple[str, str]] = ()) -> EverythingPage:
        """One page of the patient's history.

        Raises:
            NotFound: No such patient for this caller.
            Gone: The patient has been deleted.
            InvalidRequest: An unknown, repeated or malformed parameter.
        """
        async with self._auditing.access(caller, "operation-everything", f"Patient/{patient}") as access:
            restriction = self._policy.restriction(caller, Interaction.OPERATION, "Patient")
            stored = await self._resources.read("Patient", patient, restriction)
            if stored is None:
                raise NotFound("no such patient")
            if stored.deleted:
                raise Gone("the patient has been deleted")
            access.touched(stored)
            page = await self._page(caller, stored, pairs, self._permitted(caller))
            access.patients.update(compartment for found in page.resources for compartment in found.compartments)
            return page

    async def collect(self, patient: str, restriction: Restriction) -> AsyncIterator[Stored]:
        """All of the patient's history for the site's own use (a share); the caller of this audits it."""
        page = await self._resources.read("Patient", patient, restriction)
        if page is None or page.deleted:
            raise NotFound("no such patient")
        yield page
        seen = {page.reference}
        for type in self._types:
            after = None
            while True:
                found = await self._resources.find(
                    type, InCompartment(f"Patient/{patient}"), restriction, (), _PAGE, after
                )
                batch = [s for s in found.matches if s.reference not in seen]
                batch += await self._supporting(batch, seen, lambda _: restriction)
                seen.update(stored.reference for stored in batch)
                for stored in batch:
                    yield stored
                after = found.next
                if after is None:
                    break

    def _permitted(self, caller: Caller) -> dict[str, Restriction]:
        permitted: dict[str, Restriction] = {}
        for type in (*self._types, *SUPPORTING_TYPES):
            try:
                permitted[type] = self._policy.restriction(caller, Interaction.SEARCH, type)
            except Forbidden:
                continue
        return permitted

    async def _page(
        self, caller: Caller, patient: Stored, pairs: Sequence[tuple[str, str]], permitted: dict[str, Restriction]
    ) -> EverythingPage:
        binding = f"everything\x1f{caller.subject}\x1f{patient.id}".encode()
        request = self._request(patient, pairs, binding)
        resources: list[Stored] = [] if request.position else [patient]
        first_type, after = request.position or (None, None)
        seen = {patient.reference}
        for type in request.types:
            if type not in permitted or (first_type is not None and type < str(first_type)):
                continue
            room = request.count - len(resources)
            if room <= 0:
                cursor = encode(self._secret, binding, [type, None])
                return EverythingPage(await self._with_supporting(resources, seen, permitted), cursor)
            position = after if type == first_type else None
            found = await self._resources.find(
                type,
                AllOf((request.condition, during(self._parameters, type, *request.care))),
                permitted[type],
                (),
                room,
                position,
            )
            resources += found.matches
            if found.next is not None:
                cursor = encode(self._secret, binding, [type, found.next])
                return EverythingPage(await self._with_supporting(resources, seen, permitted), cursor)
        return EverythingPage(await self._with_supporting(resources, seen, permitted), None)

    def _request(self, patient: Stored, pairs: Sequence[tuple[str, str]], binding: bytes) -> _Request:
        options = _single(pairs)
        since, start, end = (_interval(options, name) for name in ("_since", "start", "end"))
        condition: Condition = InCompartment(patient.reference)
        if since is not None:
            condition = AllOf((condition, Updated(since[0])))
        try:
            count = min(max(int(options.get("_count", str(_PAGE))), 1), _PAGE)
        except ValueError as error:
            raise InvalidRequest("_count is not a number", code="value") from error
        position = decode(self._secret, binding, options["_cursor"]) if "_cursor" in options else None
        care = start[0] if start is not None else None, end[1] if end is not None else None
        return _Request(count, condition, self._asked(pairs), care, position)

    def _asked(self, pairs: Sequence[tuple[str, str]]) -> tuple[str, ...]:
        """The types that all ``_type`` together ask for; all of the compartment where there is none."""
        wanted = {type for name, value in pairs if name == "_type" for type in value.split(",")}
        if not all(self._parameters.of(type) for type in wanted):
            raise InvalidRequest("_type is not a resource type", code="value")
        return tuple(type for type in self._types if not wanted or type in wanted)

    async def _with_supporting(
        self, resources: list[Stored], seen: set[str], permitted: dict[str, Restriction]
    ) -> list[Stored]:
        seen.update(stored.reference for stored in resources)
        return [*resources, *await self._supporting(resources, seen, permitted.get)]

    async def _supporting(
        self, resources: Sequence[Stored], seen: set[str], restriction: Callable[[str], Restriction | None]
    ) -> list[Stored]:
        """The directory entries (practitioners, organizations, places, medications) that these refer to, and theirs."""
        supporting: list[Stored] = []
        frontier: Sequence[Stored] = resources
        while frontier:
            wanted: dict[str, None] = {}
            for stored in frontier:
                for _, text in references(stored.resource or {}):
                    parsed = parse_reference(text)
                    if parsed and parsed.base is None and parsed.type in SUPPORTING_TYPES:
                        reference = f"{parsed.type}/{parsed.id}"
                        if reference not in seen:
                            wanted[reference] = None
            seen.update(wanted)
            frontier = await self._resources.read_many(list(wanted), restriction)
            supporting += frontier
        return supporting


def _single(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The parameters that may stand once; all others are known too."""
    options: dict[str, str] = {}
    for name, value in pairs:
        if name not in _SINGLE | _OTHER:
            raise InvalidRequest("unknown parameter of $everything", code="not-supported")
        if name in options:
            raise InvalidRequest(f"{name} may stand once only", code="invalid")
        if name in _SINGLE:
            options[name] = value
    return options


def _interval(options: dict[str, str], name: str) -> tuple[int, int] | None:
    """The first and the last millisecond of a date, dateTime or instant."""
    if name not in options:
        return None
    try:
        return bounds(options[name].replace(" ", "+"))
    except ValueError as error:
        raise InvalidRequest(f"{name} is not a date", code="value") from error
