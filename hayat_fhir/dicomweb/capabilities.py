"""Retrieve Capabilities: the paths of the door and the methods of each, for programs that find their way by it.

PS3.18 8.9, https://dicom.nema.org/medical/dicom/current/output/html/part18.html#sect_8.9. The description is WADL,
https://www.w3.org/submissions/wadl/; it is made of the routes themselves, and says no more than these know.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hayat_fhir.dicomweb import media_types
from hayat_fhir.dicomweb.callers import Callers
from hayat_fhir.errors import NotAcceptable

WADL = "application/vnd.sun.wadl+xml"
_NAMESPACE = "http://wadl.dev.java.net/2009/02"


class Capabilities:
    """Answers ``OPTIONS`` of the whole door. ``root`` is its URL, ``path`` where it is mounted."""

    def __init__(self, callers: Callers, routes: Iterable[Route], root: str, path: str) -> None:
        self._callers = callers
        self._described = _described(routes, root, path)

    async def describe(self, request: Request) -> Response:
        """All paths and methods."""
        await self._callers.of(request)
        accept = media_types.accepted(request.query_params, request.headers)
        if not any(one.anything or one.media in {WADL, "application/*"} for one in media_types.ranges(accept)):
            raise NotAcceptable(f"only {WADL} is served here")
        return Response(self._described, media_type=WADL)


def _described(routes: Iterable[Route], root: str, path: str) -> bytes:
    methods: dict[str, set[str]] = {}
    for route in routes:
        methods.setdefault(route.path_format.removeprefix(f"{path}/"), set()).update(route.methods or ())
    application = ET.Element("application", xmlns=_NAMESPACE)
    resources = ET.SubElement(application, "resources", base=f"{root}/")
    for place, names in sorted(methods.items()):
        resource = ET.SubElement(resources, "resource", path=place)
        for name in sorted(names):
            ET.SubElement(resource, "method", name=name)
    described: bytes = ET.tostring(application, encoding="utf-8", xml_declaration=True)
    return described
