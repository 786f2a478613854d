"""The search interaction: matches, includes, totals and pages, each within what the caller may see.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from hayat_fhir.errors import Forbidden, TooLarge
from hayat_fhir.fhir.bundles import CURSOR, linked, searchset
from hayat_fhir.fhir.subset import Subset, Subsets
from hayat_fhir.search.conditions import AnyKey
from hayat_fhir.search.cursor import decode, encode
from hayat_fhir.search.indexing import Indexer
from hayat_fhir.search.parameters import SearchParameters
from hayat_fhir.search.query import Include, Query, parse
from hayat_fhir.search.reference import reference_key
from hayat_fhir.security.callers import Caller, Restriction
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.chaining import Chaining
from hayat_fhir.store.records import Stored
from hayat_fhir.store.resources import Resources

_MOST_INCLUDED = 10_000


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One page. ``cursor`` continues it (None: the last page); ``total`` is None unless it was asked for or free."""

    query: Query
    matches: list[Stored]
    included: list[Stored] = field(default_factory=list)
    total: int | None = None
    cursor: str | None = None

    def bundle(self, base_url: str) -> dict[str, Any]:
        """The page as a searchset, with links; ``base_url`` is the FHIR base of this site."""
        shown = searchset(
            base_url,
            [(stored.reference, stored.resource or {}) for stored in self.matches],
            [(stored.reference, stored.resource or {}) for stored in self.included],
            total=self.total,
        )
        pairs = [pair for pair in self.query.pairs if pair[0] != CURSOR]
        return linked(shown, f"{base_url}/{self.query.type}", pairs, self.query.cursor, self.cursor)


class Searching:
    """Finds resources of one type, and what is included with them."""

    def __init__(
        self,
        resources: Resources,
        policy: Policy,
        parameters: SearchParameters,
        indexer: Indexer,
        auditing: Auditing,
        chaining: Chaining,
        subsets: Subsets,
        secret: bytes,
        base_url: str,
    ) -> None:
        self._resources = resources
        self._policy = policy
        self._parameters = parameters
        self._indexer = indexer
        self._auditing = auditing
        self._chaining = chaining
        self._subsets = subsets
        self._secret = secret
        self._base_url = base_url

    async def search(
        self, caller: Caller, type: str, pairs: Sequence[tuple[str, str]], *, lenient: bool = False
    ) -> SearchResult:
        """One page of the resources that meet the parameters.

        Raises:
            InvalidRequest: An unknown parameter (unless ``lenient``), modifier, value or element, or a foreign cursor.
            Forbidden: The type, or one that a chain leads to, is outside the caller's role or scopes.
            TooLarge: More is to be included than one answer can hold, or a chain finds too much.
        """
        async with self._auditing.access(caller, "search-type", query=f"{type}?{urlencode(pairs)}") as access:
            restriction = self._policy.restriction(caller, Interaction.SEARCH, type)
            query = self._query(type, pairs, lenient=lenient)
            result = await self._page(caller, query, restriction)
            for stored in (*result.matches, *result.included):
                access.patients.update(stored.compartments)
            return result

    def check(self, caller: Caller, type: str, pairs: Sequence[tuple[str, str]]) -> None:
        """Return where the caller may search for this.

        Raises:
            Refusal: As for a search, as far as that can be said without one.
        """
        self._policy.restriction(caller, Interaction.SEARCH, type)
        query = self._query(type, pairs)
        self._subsets.asked(query.type, query.summary, query.elements)
        if query.cursor:
            decode(self._secret, _binding(caller, query), query.cursor)

    def _query(self, type: str, pairs: Sequence[tuple[str, str]], *, lenient: bool = False) -> Query:
        now = round(time.time() * 1000)
        return parse(type, pairs, self._parameters, base_url=self._base_url, now=now, lenient=lenient)

    async def _page(self, caller: Caller, query: Query, restriction: Restriction) -> SearchResult:
        condition = await self._chaining.condition(caller, query)
        if query.summary == "count":
            counted = await self._resources.count(query.type, condition, restriction)
            return SearchResult(query, [], total=counted)
        subset = self._subsets.asked(query.type, query.summary, query.elements)
        binding = _binding(caller, query)
        after = decode(self._secret, binding, query.cursor) if query.cursor else None
        page = await self._resources.find(query.type, condition, restriction, query.sort, query.count, after)
        total: int | None = None
        if after is None and page.next is None:
            total = len(page.matches)
        elif query.total != "none":
            total = await self._resources.count(query.type, condition, restriction)
        included = await self._included(caller, query, page.matches)
        return SearchResult(
            query,
            self._cut(page.matches, subset),
            self._cut(included, subset if subset is not None and subset.summary else None),
            total,
            encode(self._secret, binding, page.next) if page.next is not None else None,
        )

    def _cut(self, found: list[Stored], subset: Subset | None) -> list[Stored]:
        """What of these resources is asked for."""
        if subset is None:
            return found
        return [
            stored if stored.resource is None else replace(stored, resource=self._subsets.cut(stored.resource, subset))
            for stored in found
        ]

    async def _included(self, caller: Caller, query: Query, matches: list[Stored]) -> list[Stored]:
        seen = {stored.reference for stored in matches}
        included: list[Stored] = []
        for stored in [
            *await self._forward(caller, query.includes, matches),
            *await self._backward(caller, query.revincludes, matches),
        ]:
            if stored.reference not in seen:
                seen.add(stored.reference)
                included.append(stored)
        return included

    async def _forward(self, caller: Caller, includes: Sequence[Include], matches: list[Stored]) -> list[Stored]:
        wanted: dict[str, None] = {}
        for include in includes:
            for stored in matches:
                if stored.type != include.source or stored.resource is None:
                    continue
                for reference in self._indexer.references(stored.resource, include.parameter):
                    if include.target is None or reference.startswith(f"{include.target}/"):
                        wanted[reference] = None
        if len(wanted) > _MOST_INCLUDED:
            raise TooLarge("too much to include; ask for a smaller _count", code="too-costly")
        return await self._resources.read_many(list(wanted), lambda type: self._visible(caller, type))

    async def _backward(self, caller: Caller, includes: Sequence[Include], matches: list[Stored]) -> list[Stored]:
        found: list[Stored] = []
        for include in includes:
            targets = [m for m in matches if include.target is None or m.type == include.target]
            restriction = self._visible(caller, include.source)
            if not targets or restriction is None:
                continue
            keys = tuple(reference_key(include.parameter, target.reference) for target in targets)
            page = await self._resources.find(include.source, AnyKey(keys), restriction, (), _MOST_INCLUDED, None)
            found += page.matches
            if page.next is not None or len(found) > _MOST_INCLUDED:
                raise TooLarge("too much to include; ask for a smaller _count", code="too-costly")
        return found

    def _visible(self, caller: Caller, type: str) -> Restriction | None:
        """What of an included type the caller may see; None where the whole type is outside their scope."""
        try:
            return self._policy.restriction(caller, Interaction.SEARCH, type)
        except Forbidden:
            return None


def _binding(caller: Caller, query: Query) -> bytes:
    """What a page cursor is bound to: who asked, with which scopes, and what."""
    parts = [caller.subject, caller.role, *sorted(caller.scopes), query.type]
    parts.append(urlencode([pair for pair in query.pairs if pair[0] != "_cursor"]))
    return "\x1f".join(parts).encode()
