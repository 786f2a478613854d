"""Interactions on the whole system: batch and transaction. https://hl7.org/fhir/R4/http.html#transaction."""

from __future__ import annotations

from hayat_fhir.rest import bodies
from hayat_fhir.rest.messages import Answer, Request
from hayat_fhir.services.bundles import Bundles


class System:
    """Handler of the root of the service."""

    def __init__(self, bundles: Bundles) -> None:
        self._bundles = bundles

    async def process(self, request: Request) -> Answer:
        """POST of a batch or transaction Bundle."""
        request.only()
        bundle = await bodies.resource(request, bodies.BUNDLE_LIMIT)
        return request.answer(200, await self._bundles.process(request.caller, bundle))
