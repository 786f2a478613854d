"""What partners see of whom: the explicit shares, narrowed and widened by the patients' Consents.

Only Consents that were written at this site count: one that a partner contributed is the partner's own business.
https://hl7.org/fhir/R4/consent.html
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hayat_fhir.errors import Forbidden, NotFound, Unprocessable
from hayat_fhir.search.conditions import AnyKey, Condition, InCompartment
from hayat_fhir.search.reference import reference_key
from hayat_fhir.security.callers import UNRESTRICTED, Caller, Role
from hayat_fhir.security.consent import Shared, Terms, recipients, terms
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Access, Auditing
from hayat_fhir.store.grants import Grants
from hayat_fhir.store.partners import Partner, Partners
from hayat_fhir.store.records import Change, Stored
from hayat_fhir.store.resources import Resources

_PAGE = 1000
_EVERYTHING = Terms()


@dataclass(frozen=True, slots=True)
class Standing:
    """What one partner may have of one patient: ``shared`` by an explicit share, ``terms`` by Consents, if they speak.

    ``consents`` are those that name the partner, newest first.
    """

    partner: Partner
    shared: bool
    terms: Terms | None
    consents: tuple[Stored, ...]

    @property
    def permitted(self) -> bool:
        """Whether the partner may have anything."""
        return self.shared if self.terms is None else not self.terms.nothing and (self.shared or self.terms.given)


class Consents:
    """Knows what has been shared with partners, and what patients consent to."""

    def __init__(self, resources: Resources, grants: Grants) -> None:
        self._resources = resources
        self._grants = grants

    async def latest(self) -> object:
        """Something that changes whenever a Consent is written: what was loaded before may be out of date.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._grants.latest_consent()

    async def shared_with(self, partner: str) -> Shared:
        """What this partner sees now.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        patients = set(await self._grants.patients(partner))
        limits: set[tuple[str, Terms]] = set()
        of: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        async for stored in self._found(AnyKey((reference_key("actor", f"Organization/{partner}"),))):
            for patient in stored.compartments:
                of[patient.removeprefix("Patient/")].append(stored.resource or {})
        moment = datetime.now(UTC)
        for patient, consents in of.items():
            said = terms(consents, partner, moment)
            if said is None:
                continue
            limits.add((patient, said))
            if said.nothing:
                patients.discard(patient)
            elif said.given:
                patients.add(patient)
        return Shared(frozenset(patients), frozenset(limits))

    async def terms(self, patient: str, partner: str, access: Access) -> Terms:
        """What may be sent to a partner of a patient whose history is shared with it; noted in the audit.

        Raises:
            Forbidden: The patient has withdrawn.
            Unavailable: MongoDB does not answer.
        """
        found = [stored async for stored in self._found(InCompartment(f"Patient/{patient}"))]
        said, consents = _said(found, partner)
        access.entities += [f"{consent.reference}/_history/{consent.version}" for consent in consents]
        if said is not None and said.nothing:
            raise Forbidden("the patient does not consent to share with this hospital", code="suppressed")
        return said or _EVERYTHING

    async def of(self, patient: str, partners: list[Partner]) -> list[Standing]:
        """What each of these partners may have of a patient."""
        found = [stored async for stored in self._found(InCompartment(f"Patient/{patient}"))]
        standings: list[Standing] = []
        for partner in partners:
            said, consents = _said(found, partner.id)
            shared = await self._grants.has(partner.id, patient)
            standings.append(Standing(partner, shared, said, consents))
        return standings

    async def _found(self, condition: Condition) -> AsyncIterator[Stored]:
        """The site's own Consents."""
        after: list[Any] | None = None
        while True:
            page = await self._resources.find("Consent", condition, UNRESTRICTED, (), _PAGE, after)
            for stored in page.matches:
                if stored.source is None and not stored.deleted:
                    yield stored
            after = page.next
            if after is None:
                return


class Recipients:
    """The hospitals that a patient's Consent may be about: partners of this site, for it is kept towards no other."""

    def __init__(self, partners: Partners) -> None:
        self._partners = partners

    async def check(self, caller: Caller, changes: Iterable[Change]) -> None:
        """Return if every Consent among what a patient writes names partners only.

        Raises:
            Unprocessable: One names an organization that is no partner.
            Unavailable: MongoDB does not answer.
        """
        if caller.role is not Role.PATIENT:
            return
        for change in changes:
            if change.type == "Consent" and change.resource is not None:
                for id in sorted(recipients(change.resource)):
                    if await self._partners.by_id(id) is None:
                        raise Unprocessable(
                            "a Consent is about partner hospitals of this one, and there is none with this id",
                            code="not-found",
                            expression=["Consent.provision.actor"],
                        )


class Sharing:
    """Tells a patient, or their doctor, which partner hospital may see what."""

    def __init__(
        self, consents: Consents, partners: Partners, resources: Resources, policy: Policy, auditing: Auditing
    ) -> None:
        self._consents = consents
        self._partners = partners
        self._resources = resources
        self._policy = policy
        self._auditing = auditing

    async def of(self, caller: Caller, patient: str) -> list[Standing]:
        """Every partner hospital, by name, and what it may have of the patient.

        Raises:
            NotFound: No such patient for this caller.
            Forbidden: The caller's role may not ask.
        """
        async with self._auditing.access(caller, "read", f"Patient/{patient}") as access:
            if caller.role not in {Role.PATIENT, Role.DOCTOR}:
                raise Forbidden("this role does not share patients' histories")
            restriction = self._policy.restriction(caller, Interaction.READ, "Patient")
            stored = await self._resources.read("Patient", patient, restriction)
            if stored is None or stored.deleted:
                raise NotFound("no such patient")
            access.touched(stored)
            partners = [partner for partner in await self._partners.list() if not partner.disabled]
            return await self._consents.of(patient, partners)


def _said(consents: list[Stored], partner: str) -> tuple[Terms | None, tuple[Stored, ...]]:
    moment = datetime.now(UTC)
    naming = [one for one in consents if terms([one.resource or {}], partner, moment) is not None]
    naming.sort(key=lambda one: one.updated, reverse=True)
    return terms([one.resource or {} for one in consents], partner, moment), tuple(naming)
