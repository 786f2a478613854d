"""National identity numbers as the site's own people write them: claimed by whoever registers, confirmed by the staff.

Histories of other hospitals find their patient by such a number, so two patients never have the same one confirmed
through ``/api/v1``: of the second it stays a claim, which links nothing and which nobody is told of but the staff.
"""

from __future__ import annotations

from hayat_fhir.errors import Conflict
from hayat_fhir.search.conditions import AnyKey
from hayat_fhir.search.escaping import escaped
from hayat_fhir.search.token import condition
from hayat_fhir.security.callers import UNRESTRICTED
from hayat_fhir.security.identity import ID_CARD, claimed, confirmed, id_cards
from hayat_fhir.store.records import Resource, Stored
from hayat_fhir.store.resources import Resources


class IdCards:
    """Says for which numbers somebody vouches."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def of_a_new(self, patient: Resource, *, claims: bool) -> Resource:
        """A new Patient; ``claims``: of somebody who says it of themselves.

        A number that another patient has is taken as a claim too and not refused: whoever registers must not learn
        from the answer whose numbers the site knows, and the staff need an entry for who stands before them.
        """
        if claims or await self._of_others(id_cards(patient), None):
            return claimed(patient)
        return patient

    async def of_a_known(self, patient: Resource, old: Stored) -> Resource:
        """A new version of a Patient of which the staff vouch for the number.

        Raises:
            Conflict: Another patient has it; only one of the two can be sent what belongs to it.
        """
        vouched = confirmed(patient)
        new = [number for number in id_cards(vouched) if number not in id_cards(old.resource or {})]
        if await self._of_others(new, old.id):
            raise Conflict("another patient has this number", code="duplicate", expression=["IDcard"])
        return vouched

    async def _of_others(self, numbers: list[str], id: str | None) -> bool:
        tokens = [f"{ID_CARD}|{escaped(number)}" for number in numbers]
        keys = AnyKey(tuple(key for token in tokens for key in condition("identifier", token).keys))
        if not tokens:
            return False
        page = await self._resources.find("Patient", keys, UNRESTRICTED, (), 2, None)
        return any(stored.id != id for stored in page.matches)
