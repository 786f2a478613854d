"""The orders behind a study that a modality carries out: it knows of its worklist entry the Study Instance UID."""

from __future__ import annotations

from hayat_fhir.errors import Gone, NotFound
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.services.conditional import Conditional
from hayat_fhir.services.imaging_documents import identifier_criteria
from hayat_fhir.services.imaging_study import STUDY_SYSTEM
from hayat_fhir.services.interactions import Interactions
from hayat_fhir.services.worklist_entry import order_id, study_uid
from hayat_fhir.store.records import Stored
from hayat_fhir.store.scheduled_studies import ScheduledStudies

_SITE = Caller(Role.SITE, "imaging")


class ScheduledOrders:
    """Finds them."""

    def __init__(self, interactions: Interactions, conditional: Conditional, studies: ScheduledStudies) -> None:
        self._interactions = interactions
        self._conditional = conditional
        self._studies = studies

    async def of_study(self, study: str) -> list[Stored]:
        """The orders whose worklist entries have this Study Instance UID, whoever they were given to.

        Several orders of one study have it as their own identifier.

        Raises:
            Unavailable: The database does not answer.
        """
        criteria = identifier_criteria(STUDY_SYSTEM, f"urn:oid:{study}")
        found = await self._conditional.all(_SITE, "ServiceRequest", criteria)
        for id in {order_id(study), await self._studies.order(study)} - {one.id for one in found}:
            if id is None:
                continue
            try:
                found.append(await self._interactions.read(_SITE, "ServiceRequest", id))
            except (NotFound, Gone):
                continue
        return [one for one in found if study_uid(one.resource or {}) == study]
