"""Conditional create and conditional references, safe against races through a claim on the criteria.

https://hl7.org/fhir/R4/http.html#ccreate
"""

from __future__ import annotations

import time
from hashlib import sha256
from urllib.parse import parse_qsl

from hayat_fhir.errors import InvalidRequest, PreconditionFailed
from hayat_fhir.search.conditions import AllOf, Condition, Ids, Not
from hayat_fhir.search.escaping import parts, split
from hayat_fhir.search.parameters import SearchParameters
from hayat_fhir.search.query import parse
from hayat_fhir.security.callers import Caller, Restriction, Role
from hayat_fhir.security.identity import links
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.store.claims import Claims
from hayat_fhir.store.records import Stored
from hayat_fhir.store.resources import Resources

_LINKABLE = frozenset({"Patient", "ImagingStudy"})
_LINKED = Restriction(everything=True)


class Conditional:
    """Finds what a criterion names, within what the caller may see."""

    def __init__(
        self, resources: Resources, claims: Claims, policy: Policy, parameters: SearchParameters, base_url: str
    ) -> None:
        self._resources = resources
        self._claims = claims
        self._policy = policy
        self._parameters = parameters
        self._base_url = base_url

    async def match(
        self,
        caller: Caller,
        type: str,
        criteria: str,
        interaction: Interaction = Interaction.CREATE,
        *,
        besides: frozenset[str] = frozenset(),
    ) -> Stored | None:
        """The one resource that meets the criteria, or None; those with the ids ``besides`` do not count.

        Of several that a partner may link to, it is the one that the partner has contributed itself.

        Raises:
            InvalidRequest: The criteria are empty or malformed.
            PreconditionFailed: Several resources meet them.
            Forbidden: The caller may not search this type.
        """
        restriction = self._visibility(caller, type, criteria, interaction)
        condition = self._condition(type, criteria)
        if besides:
            condition = AllOf((condition, Not(Ids(tuple(sorted(besides))))))
        matches = found = (await self._resources.find(type, condition, restriction, (), 2, None)).matches
        if len(found) > 1 and restriction is _LINKED and caller.source is not None:
            # what it knows of others' numbers may meet others' patients too: it means the one that it contributed
            own = Restriction(sources=frozenset({caller.source}))
            matches = (await self._resources.find(type, condition, own, (), 2, None)).matches
        if len(found) > 1 and len(matches) != 1:
            raise PreconditionFailed("the criteria match several resources", code="multiple-matches")
        return matches[0] if matches else None

    async def target(self, caller: Caller, type: str, criteria: str, interaction: Interaction) -> Stored | None:
        """The one resource that a conditional update, patch or deletion is about, or None.

        The criteria are a search, so that it takes the right to search too.

        Raises:
            InvalidRequest: The criteria are empty or malformed.
            PreconditionFailed: Several resources meet them.
            Forbidden: The caller may not search this type, or not write it.
        """
        self._policy.restriction(caller, Interaction.SEARCH, type)
        return await self.match(caller, type, criteria, interaction)

    async def all(self, caller: Caller, type: str, criteria: str) -> list[Stored]:
        """All resources that meet the criteria among those that the caller may read, at most a hundred.

        Raises:
            InvalidRequest: The criteria are malformed.
            Forbidden: The caller may not read this type.
        """
        restriction = self._policy.restriction(caller, Interaction.READ, type)
        page = await self._resources.find(type, self._condition(type, criteria), restriction, (), 100, None)
        return page.matches

    async def claim(
        self, caller: Caller, type: str, criteria: str, candidate: str, *, besides: frozenset[str] = frozenset()
    ) -> str:
        """The id under which all who race for these criteria create; call after ``match`` found nothing.

        An id is given up, and a new one agreed on, where its holder has been deleted, or is among ``besides``, or has
        been changed so that it no longer meets the criteria.
        """
        name = self._name(caller, type, criteria)
        id = await self._claims.reserve(name, candidate)
        if id == candidate:
            return id
        if id in besides:
            return await self._claims.replace(name, id, candidate)
        holder = await self._resources.read(type, id, Restriction(everything=True, restricted=True))
        if holder is None or await self.match(caller, type, criteria) is not None:
            return id
        return await self._claims.replace(name, id, candidate)

    def _condition(self, type: str, criteria: str) -> Condition:
        pairs = _pairs(criteria)
        now = round(time.time() * 1000)
        query = parse(type, pairs, self._parameters, base_url=self._base_url, now=now)
        if query.hops:
            raise InvalidRequest("conditional criteria are no chains", code="not-supported")
        if not pairs or any(name.startswith("_") and name not in {"_id", "_tag"} for name, _ in pairs):
            raise InvalidRequest("conditional criteria must be search parameters of the type", code="invalid")
        return query.condition

    def _visibility(
        self, caller: Caller, type: str, criteria: str, interaction: Interaction = Interaction.CREATE
    ) -> Restriction:
        """A partner links patients and imaging studies to the site's own by their identifiers, and by nothing else."""
        restriction = self._policy.restriction(caller, interaction, type)
        linking = interaction in {Interaction.CREATE, Interaction.SEARCH}
        if linking and caller.role is Role.PARTNER and type in _LINKABLE and _are_identifiers(criteria):
            return _LINKED
        return restriction

    def _name(self, caller: Caller, type: str, criteria: str) -> str:
        """The claim's name: a digest, so that no identifier stands in it; apart for callers who see apart."""
        scope = "" if self._visibility(caller, type, criteria).everything else caller.subject
        canonical = "&".join(sorted(f"{name}={value}" for name, value in _pairs(criteria)))
        return sha256(f"{type}\x1f{scope}\x1f{canonical}".encode()).hexdigest()


def _are_identifiers(criteria: str) -> bool:
    """Whether the criteria are identifiers that may link, each with its issuer, for a bare number is anybody's."""
    pairs = _pairs(criteria)
    values = [value for _, text in pairs for value in parts(text, ",")]
    return {name for name, _ in pairs} == {"identifier"} and all(_may_link(value) for value in values)


def _may_link(token: str) -> bool:
    try:
        system, value = split(token, "|")
    except ValueError:
        return False
    return links(system, value)


def _pairs(criteria: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(criteria.removeprefix("?"), keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError as error:
        raise InvalidRequest("the criteria are not a query string", code="invalid") from error
