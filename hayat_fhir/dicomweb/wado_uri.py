"""WADO-URI: one image by query parameters, as older viewers ask for it.

PS3.18 chapter 9, https://dicom.nema.org/medical/dicom/current/output/html/part18.html#chapter_9
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from hayat_fhir.dicomweb import media_types
from hayat_fhir.dicomweb.answers import file_part, single
from hayat_fhir.dicomweb.callers import Callers
from hayat_fhir.dicomweb.media_types import DICOM
from hayat_fhir.dicomweb.wado import frame_numbers, rendering
from hayat_fhir.errors import InvalidRequest, NotAcceptable
from hayat_fhir.imaging_process import ImagingProcesses
from hayat_fhir.services.retrieval import Retrieval

_UIDS = ("studyUID", "seriesUID", "objectUID")
_NO_SIDE = "8192"
_NOT_SERVED = frozenset({"anonymize", "region", "presentationuid", "presentationseriesuid"})
"""Parameters of the standard without which the answer would be another one than was asked for, in small letters."""


class WadoUri:
    """Answers ``GET /wado``."""

    def __init__(self, callers: Callers, retrieval: Retrieval, processes: ImagingProcesses) -> None:
        self._callers = callers
        self._retrieval = retrieval
        self._processes = processes

    async def image(self, request: Request) -> Response:
        """The image as it came (``application/dicom``), or as a picture (JPEG by default)."""
        caller = await self._callers.of(request)
        asked = request.query_params
        _check(asked)
        if asked.get("requestType") != "WADO":
            raise InvalidRequest("requestType must be WADO", code="value", expression=["requestType"])
        uids = [asked.get(name, "") for name in _UIDS]
        if not all(uids):
            raise InvalidRequest("studyUID, seriesUID and objectUID are needed", code="required", expression=[*_UIDS])
        wanted = asked.get("contentType", "image/jpeg")
        whole = any(one.media == DICOM for one in media_types.ranges(wanted))
        media = DICOM if whole else media_types.picture(wanted)
        how = {} if whole else {**rendering(_parameters(asked), None), "format": media.removeprefix("image/").upper()}
        number = frame_numbers(asked["frameNumber"])[0] if "frameNumber" in asked else 1
        image = await self._retrieval.instance(caller, *uids)
        if whole:
            if asked.get("transferSyntax", image.transfer_syntax) != image.transfer_syntax:
                raise NotAcceptable("the image is served in the transfer syntax in which it is stored")
            return single(file_part(image))
        (picture,) = await self._processes.run("rendered", str(image.path), number=number, how=how)
        return Response(picture, media_type=media)


def _check(asked: Mapping[str, str]) -> None:
    """Refuse what is not served here; names are taken without regard to case, lest a patient's name slip out by one.

    Raises:
        InvalidRequest: A parameter is not honoured.
    """
    for name in asked:
        if name.lower() in _NOT_SERVED:
            raise InvalidRequest("this parameter is not served here", code="not-supported", expression=[name.lower()])


def _parameters(asked: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a rendering as WADO-RS names them.

    Raises:
        InvalidRequest: Half a window.
    """
    found: dict[str, str] = {}
    if ("windowCenter" in asked) != ("windowWidth" in asked):
        raise InvalidRequest("a window has a center and a width", code="value", expression=["windowCenter"])
    if "windowCenter" in asked:
        found["window"] = f"{asked['windowCenter']},{asked['windowWidth']}"
    if "rows" in asked or "columns" in asked:
        found["viewport"] = f"{asked.get('columns', _NO_SIDE)},{asked.get('rows', _NO_SIDE)}"
    if "imageQuality" in asked:
        found["quality"] = asked["imageQuality"]
    if "annotation" in asked:
        found["annotation"] = asked["annotation"]
    return found
