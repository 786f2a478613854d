"""Chained and reverse chained criteria: each hop is a search of its own, within what the caller may see of its type.

What lies outside takes no part in any hop, so that no answer depends on it.
https://hl7.org/fhir/R4/search.html#chaining, https://hl7.org/fhir/R4/search.html#has
"""

from __future__ import annotations

from hayat_fhir.errors import Forbidden, TooLarge
from hayat_fhir.search.conditions import AllOf, AnyKey, Condition, Ids
from hayat_fhir.search.indexing import Indexer
from hayat_fhir.search.query import Chain, Has, Query
from hayat_fhir.search.reference import reference_key
from hayat_fhir.security.callers import Caller, Restriction
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.store.records import Resource
from hayat_fhir.store.resources import Resources

_MOST = 10_000
"""Resources that one hop may find."""


class Chaining:
    """Finds what the hops of a query lead to."""

    def __init__(self, resources: Resources, policy: Policy, indexer: Indexer) -> None:
        self._resources = resources
        self._policy = policy
        self._indexer = indexer

    async def condition(self, caller: Caller, query: Query) -> Condition:
        """The whole condition of a query, hops included.

        Raises:
            Forbidden: A hop leads to types that the caller may not search.
            TooLarge: A hop finds too many resources.
        """
        if not query.hops:
            return query.condition
        parts = [query.condition]
        for hop in query.hops:
            found = await (self._chain(caller, hop) if isinstance(hop, Chain) else self._has(caller, query.type, hop))
            parts.append(found)
        return AllOf(tuple(parts))

    async def _chain(self, caller: Caller, hop: Chain) -> Condition:
        allowed = [(query, seen) for query in hop.queries if (seen := self._seen(caller, query.type)) is not None]
        if not allowed:
            raise Forbidden("the chain leads to types that are outside the caller's scope")
        keys: list[int] = []
        for query, restriction in allowed:
            rows = await self._found(caller, query, restriction, ())
            keys += [reference_key(hop.parameter, f"{query.type}/{row['id']}") for row in rows]
        return AnyKey(tuple(keys))

    async def _has(self, caller: Caller, type: str, hop: Has) -> Condition:
        restriction = self._policy.restriction(caller, Interaction.SEARCH, hop.query.type)
        elements = self._indexer.elements(hop.query.type, hop.parameter)
        rows = await self._found(caller, hop.query, restriction, elements)
        names = {name for row in rows for name in self._indexer.references(row, hop.parameter)}
        return Ids(tuple(sorted(name.partition("/")[2] for name in names if name.startswith(f"{type}/"))))

    async def _found(
        self, caller: Caller, query: Query, restriction: Restriction, elements: tuple[str, ...]
    ) -> list[Resource]:
        condition = await self.condition(caller, query)
        rows = await self._resources.extracts(query.type, condition, restriction, elements, _MOST + 1)
        if len(rows) > _MOST:
            raise TooLarge("too many resources meet a chained criterion; narrow it", code="too-costly")
        return rows

    def _seen(self, caller: Caller, type: str) -> Restriction | None:
        """What of a type the caller may search; None where the whole type is outside their scope."""
        try:
            return self._policy.restriction(caller, Interaction.SEARCH, type)
        except Forbidden:
            return None
