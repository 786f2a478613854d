"""The orders that a study carried out, where they are on record here: references to the ServiceRequests themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.services.conditional import Conditional
from hayat_fhir.services.imaging_documents import identifier_criteria
from hayat_fhir.services.scheduled_orders import ScheduledOrders
from hayat_fhir.store.records import Stored

Fragment = dict[str, Any]
_SITE = Caller(Role.SITE, "imaging")


class OrdersOnRecord:
    """Finds them."""

    def __init__(self, conditional: Conditional, scheduled: ScheduledOrders) -> None:
        self._conditional = conditional
        self._scheduled = scheduled

    async def found(self, study: str, orders: Sequence[Fragment], patient: str) -> list[Fragment]:
        """These orders, with references to those that are on record for this patient; and those of the worklist.

        Raises:
            Unavailable: The database does not answer.
        """
        told = [await self._referred(order, patient) for order in orders]
        known = {one.get("reference") for one in told}
        scheduled = [one for one in await self._scheduled.of_study(study) if _subject(one) == patient]
        return [*({"reference": one.reference} for one in scheduled if one.reference not in known), *told]

    async def _referred(self, order: Fragment, patient: str) -> Fragment:
        identifier = order["identifier"]
        criteria = identifier_criteria(identifier["system"], identifier["value"])
        stored = [
            one for one in await self._conditional.all(_SITE, "ServiceRequest", criteria) if _subject(one) == patient
        ]
        return {**order, "reference": stored[0].reference} if len(stored) == 1 else order


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
