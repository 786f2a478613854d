"""The orders that a study carried out, where they are on record here: references to the ServiceRequests themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hayat_fhir.errors import Gone, NotFound
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.services.conditional import Conditional
from hayat_fhir.services.imaging_documents import identifier_criteria
from hayat_fhir.services.interactions import Interactions
from hayat_fhir.services.worklist_entry import order_id, study_uid
from hayat_fhir.store.records import Stored

Fragment = dict[str, Any]
_SITE = Caller(Role.SITE, "imaging")


class OrdersOnRecord:
    """Finds them."""

    def __init__(self, interactions: Interactions, conditional: Conditional) -> None:
        self._interactions = interactions
        self._conditional = conditional

    async def found(self, study: str, orders: Sequence[Fragment], patient: str) -> list[Fragment]:
        """These orders, with references to those that are on record for this patient; and that of the worklist.

        Raises:
            Unavailable: The database does not answer.
        """
        told = [await self._referred(order, patient) for order in orders]
        scheduled = await self._scheduled(study, patient)
        if scheduled is not None and all(one.get("reference") != scheduled for one in told):
            told.insert(0, {"reference": scheduled})
        return told

    async def _referred(self, order: Fragment, patient: str) -> Fragment:
        identifier = order["identifier"]
        criteria = identifier_criteria(identifier["system"], identifier["value"])
        stored = [
            one for one in await self._conditional.all(_SITE, "ServiceRequest", criteria) if _subject(one) == patient
        ]
        return {**order, "reference": stored[0].reference} if len(stored) == 1 else order

    async def _scheduled(self, study: str, patient: str) -> str | None:
        """The order under whose Study Instance UID the worklist had the study carried out."""
        id = order_id(study)
        if id is None:
            return None
        try:
            order = await self._interactions.read(_SITE, "ServiceRequest", id)
        except (NotFound, Gone):
            return None
        is_it = _subject(order) == patient and study_uid(order.resource or {}) == study
        return order.reference if is_it else None


def merged(there: Sequence[Fragment], told: Sequence[Fragment]) -> list[Fragment]:
    """The orders that a study has been given so far, with what its images tell of them now."""
    identifiers = [one["identifier"] for one in told if "identifier" in one]
    references = {one["reference"] for one in told if "reference" in one}
    others = [
        one for one in there if one.get("identifier") not in identifiers and one.get("reference") not in references
    ]
    return [*others, *told]


def _subject(order: Stored) -> str:
    subject: Mapping[str, Any] = (order.resource or {}).get("subject", {})
    return str(subject.get("reference", ""))
