"""Deletion of studies, series and instances by the staff: out of sight, and reversible.

The standard leaves it to the archive; the resources and statuses are those that others use:
https://orthanc.uclouvain.be/book/plugins/dicomweb.html and dcm4chee's ``DELETE /studies/{study}``.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from hayat_fhir.dicomweb.callers import Callers
from hayat_fhir.services.quarantine import Quarantine


class Deletion:
    """Answers DELETE."""

    def __init__(self, callers: Callers, quarantine: Quarantine) -> None:
        self._callers = callers
        self._quarantine = quarantine

    async def delete(self, request: Request) -> Response:
        """204 once nobody sees it any more; what was deleted waits in the quarantine, withheld."""
        names = request.path_params
        caller = await self._callers.of(request)
        await self._quarantine.withhold(caller, names["study"], names.get("series"), names.get("instance"))
        return Response(status_code=204)
