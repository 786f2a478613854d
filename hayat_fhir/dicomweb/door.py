"""DICOMweb: images retrieved, searched for and stored over HTTP, with the same tokens and policy as ``/fhir``.

PS3.18, https://dicom.nema.org/medical/dicom/current/output/html/part18.html
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hayat_fhir.dicomweb import answers
from hayat_fhir.dicomweb.callers import Authenticates, Callers
from hayat_fhir.dicomweb.capabilities import Capabilities
from hayat_fhir.dicomweb.deletion import Deletion
from hayat_fhir.dicomweb.qido import Qido
from hayat_fhir.dicomweb.stow import Stow
from hayat_fhir.dicomweb.wado import Wado
from hayat_fhir.dicomweb.wado_uri import WadoUri
from hayat_fhir.errors import Refusal
from hayat_fhir.imaging_process import ImagingProcesses
from hayat_fhir.services.imaging_query import ImagingQuery
from hayat_fhir.services.quarantine import Quarantine
from hayat_fhir.services.retrieval import Retrieval
from hayat_fhir.services.storing import Storing

_STUDY = "/dicomweb/studies/{study}"
_SERIES = _STUDY + "/series/{series}"
_INSTANCE = _SERIES + "/instances/{instance}"
_FRAMES = _INSTANCE + "/frames/{frames}"


class _WithoutSlash:
    """Takes a path that ends with a slash for the one without, as ``/fhir`` does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["path"] = scope["path"].rstrip("/")
        await self._app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Services:
    """What the door speaks to."""

    authentication: Authenticates
    retrieval: Retrieval
    queries: ImagingQuery
    storing: Storing
    quarantine: Quarantine
    processes: ImagingProcesses


def application(services: Services, site_url: str) -> Starlette:
    """The DICOMweb door, to be mounted at ``/dicomweb``."""
    callers = Callers(services.authentication)
    root = f"{site_url}/dicomweb"
    wado = Wado(callers, services.retrieval, services.processes, root)
    qido = Qido(callers, services.queries, root)
    stow = Stow(callers, services.storing, root)
    deletion = Deletion(callers, services.quarantine)
    retrievals = {
        "/dicomweb/studies": qido.studies,
        "/dicomweb/series": qido.series,
        "/dicomweb/instances": qido.instances,
        f"{_STUDY}/series": qido.series,
        f"{_STUDY}/instances": qido.instances,
        f"{_SERIES}/instances": qido.instances,
        **dict.fromkeys((_STUDY, _SERIES, _INSTANCE), wado.objects),
        **{f"{path}/metadata": wado.metadata for path in (_STUDY, _SERIES, _INSTANCE)},
        **{f"{path}/thumbnail": wado.thumbnail for path in (_STUDY, _SERIES, _INSTANCE, _FRAMES)},
        **{f"{path}/rendered": wado.rendered for path in (_INSTANCE, _FRAMES)},
        **{f"{path}/rendered": wado.renderings for path in (_STUDY, _SERIES)},
        "/dicomweb/wado": WadoUri(callers, services.retrieval, services.processes).image,
        f"{_INSTANCE}/bulkdata/{{place:path}}": wado.bulk_data,
    }
    routes = [
        # first, for routes are tried in this order, and a viewer asks for thousands of frames
        Route(_FRAMES, wado.frames, methods=["GET"]),
        *(Route(path, stow.store, methods=["POST"]) for path in ("/dicomweb/studies", _STUDY)),
        *(Route(path, deletion.delete, methods=["DELETE"]) for path in (_STUDY, _SERIES, _INSTANCE)),
        *(Route(path, handler, methods=["GET"]) for path, handler in retrievals.items()),
    ]
    capabilities = Capabilities(callers, routes, root, "/dicomweb")
    door = Starlette(
        routes=[*routes, Route("/dicomweb", capabilities.describe, methods=["OPTIONS"])],
        exception_handlers={
            Refusal: answers.refused,
            HTTPException: answers.no_route,
            Exception: answers.fault,
        },
    )
    door.router.redirect_slashes = False
    door.add_middleware(_WithoutSlash)
    return door
