"""Fetching: a doctor asks the other hospital for what is new of a patient whom it has shared before.

What is asked for does not come in the answer: the other hospital sends its share again, and what is new arrives by
the ordinary way, with its images, its proof and its source. https://hl7.org/fhir/R4/operations.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from hayat_fhir.errors import Forbidden, NotFound, Unavailable, Unprocessable
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.identity import links
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.consents import Consents
from hayat_fhir.store.partners import Partner, Partners
from hayat_fhir.store.resources import Resources

_ASKERS = frozenset({Role.DOCTOR, Role.PATIENT})
_PATIENCE = 20.0
"""Seconds that a partner may take to answer: somebody waits for it."""
_MOST_IDENTIFIERS = 20


class PartnerShares(Protocol):
    """A partner's FHIR door, as somebody enters it who asks for a share."""

    async def patient(self, partner: Partner, system: str, value: str) -> str | None:
        """The id there of the one patient with this identifier; None where there is none, or more than one."""

    async def ask(self, partner: Partner, patient: str) -> None:
        """Ask for the share of a patient by the id there; NotFound where it has not been shared with this site."""


class Fetching:
    """Asks partner hospitals for what is new."""

    def __init__(
        self,
        resources: Resources,
        policy: Policy,
        auditing: Auditing,
        partners: Partners,
        consents: Consents,
        shares: PartnerShares,
    ) -> None:
        self._resources = resources
        self._policy = policy
        self._auditing = auditing
        self._partners = partners
        self._consents = consents
        self._shares = shares

    async def fetch(self, caller: Caller, patient: str, partner: str) -> Partner:
        """Ask a partner to share this patient's history again; the partner, once it has said that it will.

        Asking tells the partner whom this site treats: so the patient has to consent to it as to a share.

        Raises:
            NotFound: No such patient for this caller, no such partner, or the partner has not shared the patient.
            Forbidden: The caller's role may not ask, or the patient does not consent.
            Unavailable: The partner cannot be reached: try again later.
            Unprocessable: The partner cannot be asked.
        """
        async with self._auditing.access(
            caller, "operation-fetch", f"Patient/{patient}", f"Organization/{partner}"
        ) as access:
            if caller.role not in _ASKERS:
                raise Forbidden("this role does not ask for patients' histories")
            restriction = self._policy.restriction(caller, Interaction.OPERATION, "Patient")
            stored = await self._resources.read("Patient", patient, restriction)
            if stored is None or stored.deleted:
                raise NotFound("no such patient")
            if (found := await self._partners.by_id(partner)) is None or found.disabled:
                raise NotFound("no such partner")
            if not found.fhir_url:
                raise Unprocessable("the partner has no FHIR server to ask", code="not-supported")
            await self._consents.terms(patient, found.id, access)
            access.touched(stored)
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._ask(found, stored.resource or {})
            except TimeoutError as error:
                raise Unavailable("the partner does not answer in time") from error
            return found

    async def _ask(self, partner: Partner, patient: Mapping[str, Any]) -> None:
        for system, value in _identifiers(patient, partner.patient_id_system):
            there = await self._shares.patient(partner, system, value)
            if there is not None:
                await self._shares.ask(partner, there)
                return
        raise NotFound("the partner does not know this patient, or has not shared the patient with this hospital")


def _identifiers(patient: Mapping[str, Any], own: str | None) -> list[tuple[str, str]]:
    """System and value of each identifier that links, the partner's own numbers first: they tell it the least."""
    given = ((one.get("system"), one.get("value")) for one in patient.get("identifier", ()))
    found = list(dict.fromkeys((system, value) for system, value in given if links(system or "", value or "")))
    return sorted(found, key=lambda one: one[0] != own)[:_MOST_IDENTIFIERS]
