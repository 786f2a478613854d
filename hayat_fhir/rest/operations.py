"""Operations on one patient: ``$everything`` and ``$share``. https://hl7.org/fhir/R4/operations.html."""

from __future__ import annotations

from hayat_fhir.rest import bodies
from hayat_fhir.rest.messages import Answer, Pairs, Request
from hayat_fhir.rest.pages import Pages
from hayat_fhir.services.everything import Everything


async def operation_parameters(request: Request) -> Pairs:
    """The parameters of an operation: those of the URL, then those of a Parameters body, where there is one."""
    pairs = request.parameters
    if request.method == "POST" and request.unread:
        pairs += bodies.parameters(await bodies.resource(request))
    return pairs


class PatientEverything:
    """Handler of ``/fhir/Patient/{id}/$everything``."""

    def __init__(self, everything: Everything, pages: Pages) -> None:
        self._everything = everything
        self._pages = pages

    async def everything(self, request: Request) -> Answer:
        """GET or POST: a page of the patient's history."""
        id = request.names["id"]
        pairs = await operation_parameters(request)
        page = await self._everything.everything(request.caller, id, pairs)
        return request.answer(200, self._pages.everything(id, pairs, page))
