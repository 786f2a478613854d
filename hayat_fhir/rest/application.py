"""The door as one ASGI application: the FHIR routes, the token endpoint, health and figures, behind one guard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import Lifespan
from structlog.typing import FilteringBoundLogger

from hayat_fhir.errors import MethodNotAllowed, NotFound, Refusal
from hayat_fhir.fhir.json import serialize
from hayat_fhir.fhir.subset import Subsets
from hayat_fhir.rest.capability import statement
from hayat_fhir.rest.dispatcher import Dispatcher
from hayat_fhir.rest.emergency import BreakGlass
from hayat_fhir.rest.fetching import PatientFetch
from hayat_fhir.rest.guard import REQUEST_ID, Guard
from hayat_fhir.rest.health import Health, ReadFigures, Ready
from hayat_fhir.rest.histories import Histories
from hayat_fhir.rest.instances import Instances
from hayat_fhir.rest.messages import Answer, Application, Request
from hayat_fhir.rest.metrics import Metrics
from hayat_fhir.rest.oauth import TokenEndpoint
from hayat_fhir.rest.operations import PatientEverything, PatientShare
from hayat_fhir.rest.origins import PatientOrigins
from hayat_fhir.rest.outbox import OutboxOperation
from hayat_fhir.rest.pages import Pages
from hayat_fhir.rest.partners import PartnerOperations
from hayat_fhir.rest.quarantine import QuarantineOperation
from hayat_fhir.rest.refusals import fault, refused
from hayat_fhir.rest.routes import Action, Route, Routes
from hayat_fhir.rest.sharing import PatientSharing
from hayat_fhir.rest.smart import smart_configuration
from hayat_fhir.rest.statistics import StatisticsOperations
from hayat_fhir.rest.system import System
from hayat_fhir.rest.types import Types
from hayat_fhir.rest.verification import StudyVerification
from hayat_fhir.search.parameters import SearchParameters
from hayat_fhir.services.authentication import Authentication
from hayat_fhir.services.authorization import Authorization
from hayat_fhir.services.bundles import Bundles
from hayat_fhir.services.conditional_writes import ConditionalWrites
from hayat_fhir.services.consents import Sharing
from hayat_fhir.services.emergency import Emergencies
from hayat_fhir.services.everything import Everything
from hayat_fhir.services.exchange import Exchange
from hayat_fhir.services.fetching import Fetching
from hayat_fhir.services.interactions import Interactions
from hayat_fhir.services.origins import Origins
from hayat_fhir.services.outbox import StaffOutbox
from hayat_fhir.services.partnership import Partnership
from hayat_fhir.services.quarantine import Quarantine
from hayat_fhir.services.refusals import Refusals
from hayat_fhir.services.searching import Searching
from hayat_fhir.services.statistics import Dashboard
from hayat_fhir.services.type_histories import TypeHistories
from hayat_fhir.services.verification import Verification

_PUBLIC = ((b"cache-control", b"public, max-age=300"),)


@dataclass(frozen=True, slots=True)
class Services:
    """What the door calls."""

    authentication: Authentication
    authorization: Authorization
    interactions: Interactions
    conditional_writes: ConditionalWrites
    searching: Searching
    bundles: Bundles
    everything: Everything
    histories: TypeHistories
    exchange: Exchange
    fetching: Fetching
    sharing: Sharing
    emergencies: Emergencies
    quarantine: Quarantine
    verification: Verification
    partnership: Partnership
    outbox: StaffOutbox
    dashboard: Dashboard
    refusals: Refusals
    origins: Origins
    ready: Ready
    figures: ReadFigures


@dataclass(frozen=True, slots=True)
class Site:
    """What the door tells about the site. ``url`` has no path: ``https://fhir.hospital.example``.

    ``capability`` is conformance/capability.json; ``types`` are the R4 resource types; ``jwks`` the public keys.
    """

    name: str
    url: str
    version: str
    types: frozenset[str]
    parameters: SearchParameters
    subsets: Subsets
    capability: Mapping[str, Any]
    jwks: Mapping[str, Any]
    doors: Mapping[str, Application] = field(default_factory=dict)
    """Further doors by their first path segment, ``dicomweb``: they get the guard, and keep their own answers."""
    websockets: Mapping[str, Application] = field(default_factory=dict)
    """Those of them that speak WebSocket too."""
    versioned_update: bool = False
    """Whether an update must name the version that it replaces."""
    origins: frozenset[str] = frozenset()
    """Whose pages may open WebSockets."""


def build(
    services: Services,
    site: Site,
    *,
    lifespan: Lifespan[Starlette] | None = None,
    registry: CollectorRegistry | None = None,
    log: FilteringBoundLogger | None = None,
) -> Application:
    """The ASGI application that the server runs.

    Raises:
        ConfigurationError: conformance/capability.json promises what is not there, or the other way round.
    """
    metrics = Metrics(registry or CollectorRegistry())
    log = log or structlog.get_logger("hayat_fhir.rest")
    base_url = f"{site.url.rstrip('/')}/fhir"
    fhir = Dispatcher(Routes(routes(services, site, base_url), site.types), services.authentication)
    surroundings = _surroundings(services, site, metrics, lifespan)
    surroundings.mount("/fhir", fhir)
    return Guard(
        {"fhir": fhir, **site.doors},
        surroundings,
        metrics,
        log,
        paths=frozenset(route.path for route in surroundings.routes if isinstance(route, StarletteRoute)),
        https=site.url.startswith("https:"),
        websockets=site.websockets,
        origins=site.origins,
        refusals=services.refusals,
    )


def routes(services: Services, site: Site, base_url: str) -> list[Route]:
    """The table of everything below ``/fhir``."""
    pages = Pages(base_url)
    instances = Instances(services.interactions, pages, site.subsets)
    types = Types(services.interactions, services.conditional_writes, services.searching, pages)
    histories = Histories(services.histories, pages)
    everything = PatientEverything(services.everything, pages)
    glass = BreakGlass(services.emergencies)
    share = PatientShare(services.exchange, base_url)
    quarantine = QuarantineOperation(services.quarantine, base_url)
    table = [
        Route(
            "$quarantine",
            {"GET": Action("$quarantine", quarantine.list), "POST": Action("$quarantine", quarantine.resolve)},
        ),
        *PartnerOperations(services.partnership).routes(),
        *OutboxOperation(services.outbox, base_url).routes(),
        *StatisticsOperations(services.dashboard).routes(),
        Route("", {"POST": Action("transaction+batch", System(services.bundles).process)}),
        Route("_history", {"GET": Action("history-system", histories.of_system)}),
        Route("{type}/_history", {"GET": Action("history-type", histories.of_type)}),
        Route(
            "{type}",
            {
                "GET": Action("search-type", types.search),
                "POST": Action("create", types.create),
                "PUT": Action("update", types.update),
                "PATCH": Action("patch", types.patch),
                "DELETE": Action("delete", types.delete),
            },
        ),
        Route(
            "ImagingStudy/{id}/$verify",
            {"GET": Action("$verify", StudyVerification(services.verification).verify)},
        ),
        Route("{type}/_search", {"POST": Action("search-type", types.search_form)}),
        Route(
            "{type}/{id}",
            {
                "GET": Action("read", instances.read),
                "PUT": Action("update", instances.update),
                "PATCH": Action("patch", instances.patch),
                "DELETE": Action("delete", instances.delete),
            },
        ),
        Route("{type}/{id}/_history", {"GET": Action("history-instance", instances.history)}),
        Route("{type}/{id}/_history/{version}", {"GET": Action("vread", instances.vread)}),
        Route(
            "Patient/{id}/$everything",
            {
                "GET": Action("$everything", everything.everything),
                "POST": Action("$everything", everything.everything),
            },
        ),
        Route(
            "Patient/{id}/$break-glass",
            {"GET": Action("$break-glass", glass.state), "POST": Action("$break-glass", glass.open)},
        ),
        Route("Patient/{id}/$origins", {"GET": Action("$origins", PatientOrigins(services.origins).origins)}),
        Route("Patient/{id}/$sharing", {"GET": Action("$sharing", PatientSharing(services.sharing).state)}),
        Route("Patient/{id}/$fetch", {"POST": Action("$fetch", PatientFetch(services.fetching).start)}),
        Route("Patient/{id}/$share", {"GET": Action("$share", share.state), "POST": Action("$share", share.start)}),
    ]
    return [*_public(table, site, base_url), *table]


def _public(table: list[Route], site: Site, base_url: str) -> list[Route]:
    origin = site.url.rstrip("/")
    promise = dict(site.capability)
    if site.versioned_update:
        rest = promise["rest"]
        promise["rest"] = {**rest, "resource": {**rest["resource"], "versioning": "versioned-update"}}
    capability = statement(
        promise,
        table,
        site.parameters,
        site.types,
        base_url=base_url,
        token_url=f"{origin}/oauth/token",
        site=site.name,
        version=site.version,
    )
    smart = serialize(smart_configuration(origin))

    async def metadata(request: Request) -> Answer:
        return request.answer(200, capability, _PUBLIC)

    async def configuration(request: Request) -> Answer:
        del request
        return Answer(200, smart, _PUBLIC, "application/json")

    return [
        Route("metadata", {"GET": Action("capabilities", metadata)}, public=True),
        Route(
            ".well-known/smart-configuration",
            {"GET": Action("smart-configuration", configuration)},
            public=True,
        ),
    ]


def _surroundings(services: Services, site: Site, metrics: Metrics, lifespan: Lifespan[Starlette] | None) -> FastAPI:
    """The routes beside ``/fhir``."""
    health = Health(services.ready, services.figures, metrics, services.authentication)
    jwks = serialize(dict(site.jwks))

    async def public_keys(request: StarletteRequest) -> Response:
        del request
        return Response(jwks, headers={"cache-control": "public, max-age=300"}, media_type="application/json")

    app = FastAPI(
        title="Hayat FHIR",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        exception_handlers={Refusal: _on_refusal, HTTPException: _on_http_exception, Exception: _on_fault},
    )
    app.add_route("/oauth/token", TokenEndpoint(services.authorization).token, ["POST"])
    app.add_route("/.well-known/jwks.json", public_keys, ["GET"])
    app.add_route("/health/live", health.live, ["GET"])
    app.add_route("/health/ready", health.ready, ["GET"])
    app.add_route("/metrics", health.metrics, ["GET"])
    return app


async def _on_refusal(request: StarletteRequest, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - the handler is registered for Refusal
    return _response(refused(error, Request(request.scope, request.receive)))


async def _on_fault(request: StarletteRequest, error: Exception) -> Response:
    """What nobody foresaw; Starlette raises it again afterwards, for the guard to log."""
    del error
    return _response(fault(request.scope[REQUEST_ID]))


async def _on_http_exception(request: StarletteRequest, error: Exception) -> Response:
    """Starlette's own 404 and 405, in FHIR's form."""
    status = getattr(error, "status_code", 404)
    headers = getattr(error, "headers", None) or {}
    refusal = MethodNotAllowed("this path does not have that method") if status == 405 else NotFound("no such path")
    answer = refused(refusal, Request(request.scope, request.receive))
    response = _response(answer)
    response.headers.update(headers)
    return response


def _response(answer: Answer) -> Response:
    response = Response(answer.body, answer.status, media_type=answer.media)
    for name, value in answer.headers:
        response.headers[name.decode()] = value.decode()
    return response
