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
from hayat_fhir.search.conditions import AllOf, Condition, InCompartment, Updated
from hayat_fhir.search.cursor import decode, encode
from hayat_fhir.security.callers import Caller, Restriction
from hayat_fhir.security.policy import SUPPORTING_TYPES, Interaction, Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.store.records import Stored
from hayat_fhir.store.resources import Resources

_PAGE = 1000
_PARAMETERS = frozenset({"_count", "_since", "_type", "_cursor", "_format", "_pretty"})


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
    start: list[Any] | None


class Everything:
    """Collects a patient's history, page by page."""

    def __init__(
        self,
        resources: Resources,
        policy: Policy,
        auditing: Auditing,
        compartment_types: Sequence[str],
        secret: bytes,
    ) -> None:
        self._resources = resources
        self._policy = policy
        self._auditing = auditing
        self._types = tuple(sorted(set(compartment_types) - {"AuditEvent", "Patient"}))
        self._secret = secret

    async def everything(self, caller: Caller, patient: str, pairs: Sequence[tuple[str, str]] = ()) -> EverythingPage:
        """One page of the patient's history.

        Raises:
            NotFound: No such patient for this caller.
            Gone: The patient has been deleted.
            InvalidRequest: An unknown or malformed parameter.
        """
        async with self._auditing.access(caller, "operation-everything", f"Patient/{patient}") as access:
            restriction = self._policy.restriction(caller, Interaction.OPERATION, "Patient")
            stored = await self._resources.read("Patient", patient, restriction)
            if stored is None:
                raise NotFound("no such patient")
            if stored.deleted:
                raise Gone("the patient has been deleted")
            access.touched(stored)
            page = await self._page(caller, stored, dict(_checked(pairs)), self._permitted(caller))
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
        self, caller: Caller, patient: Stored, options: dict[str, str], permitted: dict[str, Restriction]
    ) -> EverythingPage:
        binding = f"everything\x1f{caller.subject}\x1f{patient.id}".encode()
        request = self._request(patient, options, binding)
        resources: list[Stored] = [] if request.start else [patient]
        first_type, after = request.start or (None, None)
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
                request.condition,
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

    def _request(self, patient: Stored, options: dict[str, str], binding: bytes) -> _Request:
        condition: Condition = InCompartment(patient.reference)
        if "_since" in options:
            try:
                low, _ = bounds(options["_since"])
            except ValueError as error:
                raise InvalidRequest("_since is not an instant", code="value") from error
            condition = AllOf((condition, Updated(low)))
        types = self._types
        if "_type" in options:
            wanted = set(options["_type"].split(","))
            types = tuple(type for type in types if type in wanted)
        try:
            count = min(max(int(options.get("_count", str(_PAGE))), 1), _PAGE)
        except ValueError as error:
            raise InvalidRequest("_count is not a number", code="value") from error
        start = decode(self._secret, binding, options["_cursor"]) if "_cursor" in options else None
        return _Request(count, condition, types, start)

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


def _checked(pairs: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    for name, _ in pairs:
        if name not in _PARAMETERS:
            raise InvalidRequest("unknown parameter of $everything", code="not-supported")
    return pairs
