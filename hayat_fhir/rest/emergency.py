"""``Patient/$break-glass``: a doctor opens what is restricted of a patient, in an emergency and with a reason."""

from __future__ import annotations

from typing import Any

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.dates import instant
from hayat_fhir.rest.messages import Answer, Request
from hayat_fhir.rest.operations import operation_parameters
from hayat_fhir.services.emergency import Emergencies, Glass


class BreakGlass:
    """Handlers of ``/fhir/Patient/{id}/$break-glass``."""

    def __init__(self, emergencies: Emergencies) -> None:
        self._emergencies = emergencies

    async def state(self, request: Request) -> Answer:
        """GET: whether something of the patient is withheld from the caller."""
        request.only()
        return _answer(request, await self._emergencies.glass(request.caller, request.names["id"]))

    async def open(self, request: Request) -> Answer:
        """POST with ``reason`` and, if it is not BTG, ``purpose``: the token that opens it, and until when."""
        pairs = await operation_parameters(request)
        given = dict(pairs)
        if len(given) != len(pairs) or not {"reason"} <= given.keys() <= {"reason", "purpose"}:
            raise InvalidRequest("the parameters of this operation are reason and purpose", code="required")
        glass = await self._emergencies.break_glass(
            request.caller, request.names["id"], given.get("purpose", "BTG"), given["reason"]
        )
        return _answer(request, glass)


def _answer(request: Request, glass: Glass) -> Answer:
    parameters: list[dict[str, Any]] = [{"name": "withheld", "valueBoolean": glass.withheld}]
    if glass.until is not None:
        parameters.append({"name": "until", "valueInstant": instant(glass.until)})
    if glass.token is not None:
        parameters.append({"name": "access_token", "valueString": glass.token})
    return request.answer(200, {"resourceType": "Parameters", "parameter": parameters})
