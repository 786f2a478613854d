"""``Patient/$fetch``: asks a partner hospital for what is new of a patient."""

from __future__ import annotations

from hayat_fhir.rest.messages import Answer, Request
from hayat_fhir.rest.operations import operation_parameters, single
from hayat_fhir.services.fetching import Fetching


class PatientFetch:
    """Handler of ``/fhir/Patient/{id}/$fetch``."""

    def __init__(self, fetching: Fetching) -> None:
        self._fetching = fetching

    async def start(self, request: Request) -> Answer:
        """POST with the partner's id as ``partner``: 202 with Parameters that name who has been asked."""
        named = single(await operation_parameters(request), "partner").removeprefix("Organization/")
        partner = await self._fetching.fetch(request.caller, request.names["id"], named)
        organization = {"reference": f"Organization/{partner.id}", "display": partner.name}
        asked = {"name": "asked", "valueReference": organization}
        return request.answer(202, {"resourceType": "Parameters", "parameter": [asked]})
