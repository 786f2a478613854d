"""Access to a Binary: that to its security context.

It is judged as if it stood where its context does. So a label of the context withholds it, a broken glass opens both,
and a Consent that denies the type of the context denies it too. Where the context is not here, what is said of
Binaries without one decides. https://hl7.org/fhir/R4/binary.html#security
"""

from __future__ import annotations

from dataclasses import replace

from hayat_fhir.errors import NotFound
from hayat_fhir.security.callers import UNRESTRICTED, Caller, Restriction, Role
from hayat_fhir.security.policy import Interaction, Policy, sees
from hayat_fhir.security.security_context import SECURITY_CONTEXT, context_in, context_of
from hayat_fhir.services.emergency import check_glass
from hayat_fhir.store.records import Stored
from hayat_fhir.store.resources import Resources


class SecurityContexts:
    """Looks at contexts; ``base_url`` is the FHIR base by which some name them."""

    def __init__(self, resources: Resources, policy: Policy, base_url: str) -> None:
        self._resources = resources
        self._policy = policy
        self._base_url = base_url

    async def restriction(self, caller: Caller, interaction: Interaction, type: str, id: str) -> Restriction:
        """What the policy lets the caller see of a type; of one Binary, by its context, for this Binary only.

        Raises:
            NotFound: It is a Binary, and the caller may not see its context.
            Forbidden: The type is outside the caller's role or scopes; or the context is withheld for its label only.
        """
        restriction = self._policy.restriction(caller, interaction, type)
        if type != "Binary" or caller.role is Role.SITE:
            return restriction
        stored = await self._resources.read(type, id, UNRESTRICTED)
        context = None if stored is None else await self._context(stored)
        alone = replace(restriction, hidden=restriction.hidden - {SECURITY_CONTEXT})
        if stored is None or context is None:
            return alone
        await self._check(caller, interaction, context)
        if not sees(alone, context.compartments, stored.source, restricted=False):
            raise NotFound("no such resource")
        opened = not restriction.opened.isdisjoint(context.compartments)
        return Restriction(everything=True, restricted=restriction.restricted or opened)

    async def check_write(self, caller: Caller, type: str, id: str) -> None:
        """Return if nothing in the context of a Binary keeps a doctor from writing it.

        Partners write what they contributed, whatever it is about.

        Raises:
            NotFound, Forbidden: As for ``restriction``.
        """
        if type == "Binary" and caller.role is Role.DOCTOR:
            await self.restriction(caller, Interaction.READ, type, id)

    async def _context(self, stored: Stored) -> Stored | None:
        named = context_in(stored.compartments) or context_of(stored.resource or {})
        if named is None:
            return None
        type, _, id = named.removeprefix(f"{self._base_url}/").partition("/")
        return None if "/" in id else await self._resources.read(type, id, UNRESTRICTED)

    async def _check(self, caller: Caller, interaction: Interaction, context: Stored) -> None:
        restriction = self._policy.restriction(caller, interaction, context.type)
        if await self._resources.read(context.type, context.id, restriction) is not None:
            return
        if caller.role is Role.DOCTOR:
            unlabelled = replace(restriction, restricted=True)
            check_glass(await self._resources.read(context.type, context.id, unlabelled))
        raise NotFound("no such resource")
