"""The door as one ASGI application: the FHIR routes, the token endpoint, health and figures, behind one guard."""

from __future__ import annotations

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
from hayat_fhir.rest.dispatcher import Dispatcher
from hayat_fhir.rest.guard import REQUEST_ID, Guard
from hayat_fhir.rest.health import Health
from hayat_fhir.rest.messages import Answer, Application, Request
from hayat_fhir.rest.metrics import Metrics
from hayat_fhir.rest.oauth import TokenEndpoint
from hayat_fhir.rest.refusals import fault, refused
from hayat_fhir.rest.routes import Routes
from hayat_fhir.rest.site import Services, Site
from hayat_fhir.rest.table import routes


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
