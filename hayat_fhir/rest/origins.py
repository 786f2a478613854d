"""``Patient/$origins``: which hospital each part of a patient's history came from."""

from __future__ import annotations

from typing import Any

from hayat_fhir.rest.messages import Answer, Request
from hayat_fhir.services.origins import Origin, Origins


class PatientOrigins:
    """Handler of ``/fhir/Patient/{id}/$origins``."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins

    async def origins(self, request: Request) -> Answer:
        """GET: a Parameters resource with one ``origin`` for each resource that a partner contributed."""
        request.only()
        found = await self._origins.of(request.caller, request.names["id"])
        return request.answer(200, {"resourceType": "Parameters", "parameter": [_origin(one) for one in found]})


def _origin(origin: Origin) -> dict[str, Any]:
    organization = {"reference": f"Organization/{origin.partner}", "display": origin.name}
    return {
        "name": "origin",
        "part": [
            {"name": "target", "valueReference": {"reference": origin.reference}},
            {"name": "organization", "valueReference": organization},
            {"name": "verified", "valueBoolean": origin.verified},
        ],
    }
