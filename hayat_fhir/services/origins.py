"""Which hospital each part of a patient's history came from, and whether it is still what came.

Both are this site's own knowledge: whose token or association brought it (the contributor that the store keeps), and
the version that it brought (the Provenance written in the same transaction). What a contributed resource says of its
own origin counts for nothing. Images are the sender's where every one of them came over its own association.
https://hl7.org/fhir/R4/provenance.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from hayat_fhir.errors import Forbidden, NotFound
from hayat_fhir.fhir.references import parse
from hayat_fhir.search.conditions import InCompartment
from hayat_fhir.security.callers import Caller, Restriction
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Access, Auditing
from hayat_fhir.store.instances import Instances
from hayat_fhir.store.partners import Partners
from hayat_fhir.store.records import Stored
from hayat_fhir.store.resources import Resources

_PAGE = 1000
TYPES = ("DiagnosticReport", "DocumentReference", "Encounter", "ImagingStudy")
"""What stands on the line of time."""


@dataclass(frozen=True, slots=True)
class Origin:
    """``reference`` was contributed by the partner with the id ``partner``; ``verified``: it is still what came."""

    reference: str
    partner: str
    name: str
    verified: bool


class Origins:
    """Tells the origins of a patient's history."""

    def __init__(
        self, resources: Resources, instances: Instances, partners: Partners, policy: Policy, auditing: Auditing
    ) -> None:
        self._resources = resources
        self._instances = instances
        self._partners = partners
        self._policy = policy
        self._auditing = auditing

    async def of(self, caller: Caller, patient: str) -> list[Origin]:
        """Those of what partners contributed and the caller may see; what is not named is this site's own.

        Raises:
            NotFound: No such patient for this caller.
            Forbidden: The caller's role may not read patients.
        """
        async with self._auditing.access(caller, "operation-origins", f"Patient/{patient}") as access:
            restriction = self._policy.restriction(caller, Interaction.READ, "Patient")
            stored = await self._resources.read("Patient", patient, restriction)
            if stored is None or stored.deleted:
                raise NotFound("no such patient")
            access.touched(stored)
            return await self._told(caller, patient, access)

    async def _told(self, caller: Caller, patient: str, access: Access) -> list[Origin]:
        received: dict[tuple[str, str], int] = {}
        async for provenance in self._provenances(caller, patient):
            for reference, version in _brought(provenance).items():
                key = (reference, str(provenance.source))
                received[key] = max(version, received.get(key, 0))
        found = await self._resources.read_many(
            list({reference: None for reference, _ in received}), lambda type: self._visible(caller, type)
        )
        names = {partner.id: partner.name for partner in await self._partners.list()}
        origins: list[Origin] = []
        for one in found:
            brought = received.get((one.reference, one.source or ""))
            if one.source is not None and brought is not None:
                verified = await self._is_what_came(one, brought)
                origins.append(Origin(one.reference, one.source, names.get(one.source, ""), verified))
        access.touched(*found)
        return origins

    async def _is_what_came(self, stored: Stored, version: int) -> bool:
        if stored.type != "ImagingStudy":
            return stored.version == version
        rows = await self._instances.located(_study(stored.resource or {}))
        return bool(rows) and all(row.peer == stored.source for row in rows)

    async def _provenances(self, caller: Caller, patient: str) -> AsyncIterator[Stored]:
        restriction = self._visible(caller, "Provenance")
        after = None
        while restriction is not None:
            condition = InCompartment(f"Patient/{patient}")
            found = await self._resources.find("Provenance", condition, restriction, (), _PAGE, after)
            for provenance in found.matches:
                yield provenance
            if (after := found.next) is None:
                return

    def _visible(self, caller: Caller, type: str) -> Restriction | None:
        try:
            return self._policy.restriction(caller, Interaction.SEARCH, type)
        except Forbidden:
            return None


def _brought(provenance: Stored) -> Mapping[str, int]:
    """The references that a contributor's own Provenance names, and the version of each that it brought."""
    resource = provenance.resource or {}
    contributor = f"Organization/{provenance.source}"
    if not any(agent.get("who", {}).get("reference") == contributor for agent in resource.get("agent", ())):
        return {}
    found: dict[str, int] = {}
    for target in resource.get("target", ()):
        parsed = parse(target.get("reference", ""))
        if parsed is not None and parsed.base is None and parsed.type in TYPES and (parsed.version or "").isdecimal():
            found[f"{parsed.type}/{parsed.id}"] = int(parsed.version or 0)
    return found


def _study(resource: Mapping[str, object]) -> str:
    identifiers = resource.get("identifier", ())
    assert isinstance(identifiers, (list, tuple))  # noqa: S101 - the store holds valid FHIR
    values = (one.get("value", "") for one in identifiers if one.get("system") == "urn:dicom:uid")
    return str(next(values, "")).removeprefix("urn:oid:")
