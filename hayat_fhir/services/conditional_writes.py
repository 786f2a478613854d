"""Update, patch and deletion of the one resource that meets some criteria, within what the caller may see.

https://hl7.org/fhir/R4/http.html#cond-update, https://hl7.org/fhir/R4/http.html#3.1.0.7.1
"""

from __future__ import annotations

from hayat_fhir.errors import Conflict, InvalidRequest, NotFound, PreconditionFailed
from hayat_fhir.fhir.patch import Operation
from hayat_fhir.security.callers import Caller
from hayat_fhir.security.policy import Interaction
from hayat_fhir.services.conditional import Conditional
from hayat_fhir.services.drafting import Drafting, new_id
from hayat_fhir.services.interactions import Interactions, Written
from hayat_fhir.store.records import Resource, Stored

_ATTEMPTS = 8


class ConditionalWrites:
    """Finds the resource, then does what is asked as to any other; the version that was found must still be there."""

    def __init__(self, interactions: Interactions, conditional: Conditional, drafting: Drafting) -> None:
        self._interactions = interactions
        self._conditional = conditional
        self._drafting = drafting

    async def update(
        self,
        caller: Caller,
        type: str,
        criteria: str,
        resource: Resource,
        if_match: int | None = None,
        *,
        absent: bool = False,
    ) -> Written:
        """Store ``resource`` as the next version of what meets the criteria, or as a new resource where nothing does.

        With ``absent`` only where nothing does.

        Raises:
            InvalidRequest: Malformed criteria, or the resource has the id of another one.
            PreconditionFailed: Several resources meet the criteria, ``if_match`` is not the current version, or with
                ``absent`` there is one.
            Conflict: Nothing does, but there is a resource with the id that this one brings.
            Refusal: As for an update.
        """
        own = resource.get("id")
        for _ in range(_ATTEMPTS):
            found = await self._target(caller, type, criteria, Interaction.UPDATE, if_match)
            if found is not None and absent:
                raise PreconditionFailed("what meets the criteria exists already")
            if found is not None and own not in {None, found.id}:
                raise InvalidRequest("the resource's id is not that of the match", expression=[f"{type}.id"])
            try:
                return await self._put(caller, type, criteria, resource, found, if_match)
            except PreconditionFailed as refusal:
                if if_match is not None:
                    raise
                if found is None and own is not None:
                    raise Conflict("there is another resource with this id") from refusal
        raise Conflict("others kept changing the same resource")

    async def patch(
        self, caller: Caller, type: str, criteria: str, operations: tuple[Operation, ...], if_match: int | None = None
    ) -> Written:
        """Patch what meets the criteria.

        Raises:
            NotFound: Nothing does.
            Refusal: As for an update by criteria, and for a patch.
        """
        for _ in range(_ATTEMPTS):
            found = await self._target(caller, type, criteria, Interaction.UPDATE, if_match)
            if found is None:
                raise NotFound("nothing meets the criteria")
            try:
                return await self._interactions.patch(caller, type, found.id, operations, found.version)
            except PreconditionFailed:
                if if_match is not None:
                    raise
        raise Conflict("others kept changing the same resource")

    async def delete(self, caller: Caller, type: str, criteria: str, if_match: int | None = None) -> Stored | None:
        """Delete the one resource that meets the criteria; None where nothing does.

        Raises:
            PreconditionFailed: Several resources meet the criteria, the one has been changed meanwhile, or
                ``if_match`` is not its current version.
            Refusal: As for a deletion.
        """
        found = await self._conditional.target(caller, type, criteria, Interaction.DELETE)
        if found is None:
            return None
        return await self._interactions.delete(caller, type, found.id, found.version if if_match is None else if_match)

    async def _target(
        self, caller: Caller, type: str, criteria: str, interaction: Interaction, if_match: int | None
    ) -> Stored | None:
        """What the criteria name, at the version that the caller says to replace."""
        found = await self._conditional.target(caller, type, criteria, interaction)
        if found is not None:
            self._drafting.check_version(caller, found, if_match)
        return found

    async def _put(
        self, caller: Caller, type: str, criteria: str, resource: Resource, found: Stored | None, if_match: int | None
    ) -> Written:
        if found is not None:
            named = {**resource, "id": found.id}
            return await self._interactions.update(caller, type, found.id, named, found.version)
        own = resource.get("id")
        id = own if isinstance(own, str) else await self._conditional.claim(caller, type, criteria, new_id())
        return await self._interactions.update(caller, type, id, {**resource, "id": id}, if_match, absent=True)
