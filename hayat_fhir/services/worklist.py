"""The worklist of a modality: the imaging orders that are addressed to it, or that it may see anyway.

A ServiceRequest of this site is addressed to a peer where its performer is the peer's Organization: whoever orders
decides so that this peer learns whose it is, unless the patient's Consent denies the peer orders. What a partner has
sent decides nothing of the kind. Its Appointment says when. PS3.4 annex K,
https://dicom.nema.org/medical/dicom/current/output/html/part04.html#chapter_K
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hayat_fhir.dicom.matching import Condition, admits, normal_values
from hayat_fhir.errors import Refusal
from hayat_fhir.search.parameters import SearchParameters
from hayat_fhir.search.query import parse
from hayat_fhir.security.callers import Caller, Restriction
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.worklist_entry import Attributes, is_found_by_study, is_imaging, study_uid, worklist_entry
from hayat_fhir.store.records import Page, Stored
from hayat_fhir.store.resources import Resources
from hayat_fhir.store.scheduled_studies import ScheduledStudies

_UNLABELLED = Restriction(everything=True)
"""All but what is labelled restricted."""
_PAGE = 100
_OVER = frozenset({"cancelled", "noshow", "entered-in-error", "fulfilled"})
Wanted = Mapping[str, Sequence[Condition]]
"""Conditions by tag; those of the scheduled procedure step by ``step/tag``."""


class Worklist:
    """Answers worklist queries."""

    def __init__(
        self,
        resources: Resources,
        studies: ScheduledStudies,
        parameters: SearchParameters,
        policy: Policy,
        auditing: Auditing,
        base_url: str,
    ) -> None:
        self._resources = resources
        self._studies = studies
        self._parameters = parameters
        self._policy = policy
        self._auditing = auditing
        self._base_url = base_url

    async def find(self, caller: Caller, station: str, wanted: Wanted, asked: str) -> AsyncIterator[list[Attributes]]:
        """The entries that meet the conditions, in batches; ``station`` is the caller's AE title.

        Raises:
            Forbidden: The caller may not search orders at all.
            Unavailable: MongoDB does not answer.
        """
        told = False
        seen: set[str] = set()
        try:
            visible = self._policy.restriction(caller, Interaction.SEARCH, "ServiceRequest")
            people = self._policy.restriction(caller, Interaction.READ, "Patient")
            consented = _consented(caller)
            addressed = [("status", "active"), ("performer", caller.reference or "")]
            for pairs, orders, patients, ours in (
                (addressed, consented, consented, True),
                ([("status", "active")], visible, people, False),
            ):
                async for page in self._pages("ServiceRequest", pairs, orders):
                    fresh = [one for one in page if one.id not in seen and not (ours and one.source is not None)]
                    seen.update(one.id for one in fresh)
                    matches = await self._entries(fresh, patients, station, wanted)
                    if matches:
                        found = [one for one, _ in matches]
                        await self._studies.keep(_not_found_by_study(found))
                        references = [one.reference for one in found]
                        patients_told = {mark for one in found for mark in one.compartments}
                        await self._auditing.record(caller, "query", "0", references, patients_told, asked)
                        told = True
                        yield [entry for _, entry in matches]
        except Refusal:
            await self._auditing.record(caller, "query", "4", query=asked)
            raise
        if not told:
            await self._auditing.record(caller, "query", "0", query=asked)

    async def _entries(
        self, orders: Sequence[Stored], patients: Restriction, station: str, wanted: Wanted
    ) -> list[tuple[Stored, Attributes]]:
        imaging = [one for one in orders if one.resource is not None and is_imaging(one.resource)]
        subjects = {one.id: str((one.resource or {}).get("subject", {}).get("reference", "")) for one in imaging}
        known = await self._resources.read_many(
            [one for one in subjects.values() if one.startswith("Patient/")], lambda _: patients
        )
        people = {one.reference: one.resource or {} for one in known}
        appointments = await self._appointments(imaging)
        made = []
        for one in imaging:
            person = people.get(subjects[one.id])
            if person is not None:
                entry = worklist_entry(one.resource or {}, appointments.get(one.reference), person, station)
                if _meets(entry, wanted):
                    made.append((one, entry))
        return made

    async def _appointments(self, orders: Sequence[Stored]) -> dict[str, dict[str, Any]]:
        """When each order is due, by its reference: of several appointments the latest that stands."""
        if not orders:
            return {}
        pairs = [("based-on", ",".join(one.reference for one in orders))]
        found: dict[str, dict[str, Any]] = {}
        async for page in self._pages("Appointment", pairs, _UNLABELLED):
            for one in page:
                resource = one.resource or {}
                if resource.get("status") in _OVER:
                    continue
                for based in resource.get("basedOn", ()):
                    reference = str(based.get("reference", ""))
                    if str(found.get(reference, {}).get("start", "")) <= str(resource.get("start", "")):
                        found[reference] = resource
        return found

    async def _pages(
        self, type: str, pairs: Sequence[tuple[str, str]], restriction: Restriction
    ) -> AsyncIterator[list[Stored]]:
        condition = parse(
            type, list(pairs), self._parameters, base_url=self._base_url, now=round(time.time() * 1000)
        ).condition
        after: list[Any] | None = None
        while True:
            page: Page = await self._resources.find(type, condition, restriction, (), _PAGE, after)
            if page.matches:
                yield page.matches
            if page.next is None:
                return
            after = page.next


def _consented(caller: Caller) -> Restriction:
    """What may be addressed to this peer: nothing of patients who do not consent to its having orders."""
    denied = {f"Patient/{patient}" for patient, terms in caller.limits if not terms.allow("ServiceRequest")}
    return replace(_UNLABELLED, hidden=frozenset(denied))


def _not_found_by_study(orders: Sequence[Stored]) -> dict[str, str]:
    """By Study Instance UID the ids of those orders to which nothing else leads back."""
    resources = [one.resource for one in orders if one.resource is not None]
    return {study_uid(one): str(one["id"]) for one in resources if not is_found_by_study(one)}


def _meets(entry: Attributes, wanted: Wanted) -> bool:
    step = entry[_STEPS]["Value"][0]
    return all(
        admits(conditions, normal_values((step if at == "step" else entry).get(tag, {})))
        for at, _, tag, conditions in ((*key.rpartition("/"), value) for key, value in wanted.items())
    )


_STEPS = "00400100"
