"""Partner hospitals in the hands of the staff: registered, changed, shut out, and their doors tried; all audited."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from hayat_fhir.errors import Category, Conflict, Forbidden, NotFound, Refusal
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.partner_details import PartnerDetails
from hayat_fhir.services.registration import Registration
from hayat_fhir.store.partners import Partner, Partners

_PATIENCE = 20.0
"""Seconds that trying a partner's doors may take."""
Outcome = Literal["passed", "unreachable", "refused"]


class FhirDoor(Protocol):
    """A partner's FHIR door."""

    async def metadata(self, partner: Partner) -> str:
        """The FHIR version of its CapabilityStatement; a Refusal where there is none, or no way to sign in."""


class DicomDoor(Protocol):
    """A partner's DICOM port."""

    async def echo(self, partner: Partner) -> None:
        """Return if it answers C-ECHO; Unavailable where there is no connection, another Refusal where it refuses."""


@dataclass(frozen=True, slots=True)
class PartnerDoors:
    """The doors of partners, as this site enters them."""

    fhir: FhirDoor
    dicom: DicomDoor


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of trying one door; ``detail`` tells it in words, or with ``passed`` the FHIR version."""

    door: Literal["fhir", "dicom"]
    outcome: Outcome
    detail: str = ""


class Partnership:
    """Lets the staff look after partner hospitals. Only what is registered is ever called."""

    def __init__(
        self,
        registration: Registration,
        partners: Partners,
        policy: Policy,
        auditing: Auditing,
        doors: PartnerDoors,
    ) -> None:
        self._registration = registration
        self._partners = partners
        self._policy = policy
        self._auditing = auditing
        self._doors = doors
        self._trying: set[str] = set()

    async def list(self, caller: Caller) -> Sequence[Partner]:
        """All partners by name.

        Raises:
            Forbidden: The caller is not staff.
            Unavailable: They cannot be read, or not be audited.
        """
        async with self._auditing.access(caller, "operation-partners"):
            self._check(caller, Interaction.READ)
            return await self._partners.list()

    async def register(self, caller: Caller, details: PartnerDetails) -> Partner:
        """Register a partner.

        Raises:
            Forbidden: The caller is not staff.
            InvalidRequest: A detail is missing or malformed.
            Conflict: There is a partner with this name, client id or AE title.
        """
        async with self._auditing.access(caller, "operation-partners") as access:
            self._check(caller, Interaction.CREATE)
            partner = await self._registration.partner(details)
            access.entities.append(f"Organization/{partner.id}")
            return partner

    async def change(
        self, caller: Caller, id: str, changes: Mapping[str, Any], *, disabled: bool | None = None
    ) -> Partner:
        """Change details by the names of PartnerDetails, or shut the partner out or let it in again.

        Raises:
            Forbidden: The caller is not staff.
            NotFound: No such partner.
            InvalidRequest: A detail will not do.
            Conflict: There is another partner with this AE title.
        """
        async with self._auditing.access(caller, "operation-partner", f"Organization/{id}"):
            self._check(caller, Interaction.UPDATE)
            if changes:
                await self._registration.change_partner(id, changes)
            if disabled is not None:
                switch = self._registration.disable_partner if disabled else self._registration.enable_partner
                await switch(id)
            return await self._known(id)

    async def test(self, caller: Caller, id: str) -> Sequence[Tried]:
        """Try the doors that the partner is registered with: ``[base]/metadata``, sign-in, C-ECHO; one at a time.

        Raises:
            Forbidden: The caller is not staff.
            NotFound: No such partner.
            Conflict: It is being tried already, or is disabled.
        """
        async with self._auditing.access(caller, "operation-test-connection", f"Organization/{id}"):
            self._check(caller, Interaction.UPDATE)
            partner = await self._known(id)
            if partner.disabled:
                raise Conflict("the partner is disabled")
            if id in self._trying:
                raise Conflict("the partner is being tried already")
            self._trying.add(id)
            try:
                return await self._tried(partner)
            finally:
                self._trying.discard(id)

    async def _tried(self, partner: Partner) -> Sequence[Tried]:
        trials = []
        if partner.fhir_url:
            trials.append(_trial("fhir", self._doors.fhir.metadata(partner)))
        if partner.ae_title:
            trials.append(_trial("dicom", self._doors.dicom.echo(partner)))
        return await asyncio.gather(*trials)

    async def _known(self, id: str) -> Partner:
        partner = await self._partners.by_id(id)
        if partner is None:
            raise NotFound("no such partner")
        return partner

    def _check(self, caller: Caller, interaction: Interaction) -> None:
        """Who may exchange with this site is for those to say who manage its directory."""
        if caller.role not in {Role.STAFF, Role.SITE}:
            raise Forbidden("partners are looked after by the staff")
        self._policy.restriction(caller, interaction, "Organization")


async def _trial(door: Literal["fhir", "dicom"], trying: Awaitable[str | None]) -> Tried:
    try:
        async with asyncio.timeout(_PATIENCE):
            return Tried(door, "passed", await trying or "")
    except TimeoutError:
        return Tried(door, "unreachable", "no answer in time")
    except Refusal as refusal:
        outcome: Outcome = "unreachable" if refusal.category is Category.UNAVAILABLE else "refused"
        return Tried(door, outcome, refusal.issues[0].diagnostics)
