"""Which systems of patient numbers are whose: a partner speaks for its own, and for none of anybody else's."""

from __future__ import annotations

from hayat_fhir.store.partners import Partner, Partners


class PatientNumbers:
    """Knows the systems of the site and of all partners. ``own_system`` is that of the numbers that the site gives."""

    def __init__(self, partners: Partners, own_system: str, base_url: str) -> None:
        self._partners = partners
        self._own = {own_system, *_ids_at(base_url)}

    async def foreign_to(self, partner: Partner) -> frozenset[str]:
        """The systems in which this partner gives nobody a number.

        A system that two partners share, as a hospital and its PACS do, is the own one of both; the site's never is.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        others = {system for other in await self._partners.list() for system in _systems(other)}
        return frozenset(others - _systems(partner) | self._own)


def _systems(partner: Partner) -> set[str]:
    return {*_ids_at(partner.fhir_url), *([partner.patient_id_system] if partner.patient_id_system else [])}


def _ids_at(fhir_url: str | None) -> set[str]:
    """The system in which a site sends the logical ids of its patients along."""
    return {f"{fhir_url}/Patient"} if fhir_url else set()
