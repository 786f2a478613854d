"""The legacy routes as one application, to be mounted at ``/api``.

Paths work with and without a trailing slash. Tokens come in headers only, never in cookies: no other site can make a
browser call these routes with somebody's rights.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hayat_fhir.api_v1 import answers
from hayat_fhir.api_v1.callers import Authenticates, Callers
from hayat_fhir.api_v1.documents import Documents
from hayat_fhir.api_v1.openapi import description
from hayat_fhir.api_v1.photo import MEDIA, PhotoEncoder, default_picture
from hayat_fhir.api_v1.sessions import Sessions
from hayat_fhir.errors import Forbidden, NotFound, Refusal
from hayat_fhir.security.callers import Role
from hayat_fhir.security.legacy_access import PEOPLE, Entity
from hayat_fhir.services.credentials import Credentials
from hayat_fhir.services.front_desk import FrontDesk
from hayat_fhir.services.legacy_reading import LegacyReading
from hayat_fhir.services.legacy_writing import LegacyWriting
from hayat_fhir.services.sign_in import SignIn
from hayat_fhir.store.photos import Photos

_ROOT = "/api/v1"
_LASTING = {"cache-control": "public, max-age=31536000, immutable"}
_FOR_A_WHILE = {"cache-control": "public, max-age=3600"}
_METHODS = ("GET", "POST", "PUT", "DELETE")
_HEADERS = ("authorization", "content-type", "x-acess-token", "x-access-token")

Application = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Services:
    """What the door calls."""

    authentication: Authenticates
    reading: LegacyReading
    writing: LegacyWriting
    desk: FrontDesk
    sign_in: SignIn
    credentials: Credentials
    photos: Photos


def application(services: Services, site_url: str, version: str, origins: Sequence[str]) -> Application:
    """The door. ``origins``: where frontends run that may call it from a browser."""
    callers = Callers(services.authentication)
    sessions = Sessions(callers, services.sign_in, services.credentials, services.writing)
    pictures = _Pictures(services.photos)
    encoder = PhotoEncoder()
    app = FastAPI(
        title="Hayat FHIR",
        version=version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={Refusal: answers.refused, HTTPException: answers.no_route, 404: answers.no_route},
    )
    app.router.routes = [
        *(
            Route(f"/{role}/login", _for_role(role, sessions.login), methods=["POST"])
            for role in (Role.PATIENT, Role.DOCTOR, Role.STAFF)
        ),
        Route("/patient/register", sessions.register, methods=["POST"]),
        Route("/auth", sessions.whoami, methods=["GET"]),
        Route("/auth/logout", sessions.logout, methods=["POST"]),
        Route("/auth/logout-everywhere", sessions.logout_everywhere, methods=["POST"]),
        Route("/auth/password", sessions.password, methods=["POST"]),
        Route("/auth/reset", sessions.reset, methods=["POST"]),
        Route("/auth/second-factor", sessions.enrol, methods=["POST"]),
        Route("/auth/second-factor", sessions.confirm, methods=["PUT"]),
        Route("/auth/second-factor", sessions.remove, methods=["DELETE"]),
        Route("/photo/default", pictures.default, methods=["GET"]),
        Route("/photo/{name}", pictures.named, methods=["GET"]),
        Route("/openapi.json", _Description(callers, description(services.reading.mappings, site_url, version)).answer),
    ]
    for entity in Entity:
        documents = Documents(
            entity,
            callers,
            services.reading,
            services.writing,
            services.desk,
            services.photos,
            encoder,
            lambda name: f"{site_url}{_ROOT}/photo/{name}",
        )
        app.router.routes += [
            Route(f"/{entity}", documents.list, methods=["GET"]),
            Route(f"/{entity}", documents.create, methods=["POST"]),
            Route(f"/{entity}/{{id}}", documents.read, methods=["GET"]),
            Route(f"/{entity}/{{id}}", documents.update, methods=["PUT"]),
            Route(f"/{entity}/{{id}}", documents.delete, methods=["DELETE"]),
        ]
        if entity in PEOPLE:
            app.router.routes += [
                Route(f"/{entity}/{{id}}/correction", documents.correct, methods=["PUT"]),
                Route(f"/{entity}/{{id}}/access", documents.set_access, methods=["PUT"]),
            ]
    if not origins:
        return _Rooted(app)
    return _Rooted(
        CORSMiddleware(app, allow_origins=list(origins), allow_methods=_METHODS, allow_headers=_HEADERS, max_age=600)
    )


class _Rooted:
    """Takes the root and a trailing slash from the path."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        path: str = scope["path"]
        inner = path.removeprefix(_ROOT) if path == _ROOT or path.startswith(f"{_ROOT}/") else "/-"
        await self._app({**scope, "path": inner.removesuffix("/") or "/"}, receive, send)


def _for_role(role: Role, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def named(request: Request) -> Response:
        request.path_params["role"] = role
        return await answer(request)

    return named


class _Pictures:
    """Serves pictures to everybody: an ``img`` element sends no token. Their names are digests nobody can guess."""

    def __init__(self, photos: Photos) -> None:
        self._photos = photos
        self._default = default_picture()

    async def named(self, request: Request) -> Response:
        """One picture, which never changes."""
        image = await self._photos.get(request.path_params["name"])
        if image is None:
            raise NotFound("no such picture")
        return Response(image, media_type=MEDIA, headers=_LASTING)

    async def default(self, request: Request) -> Response:
        """The picture of whoever has given none."""
        del request
        return Response(self._default, media_type=MEDIA, headers=_FOR_A_WHILE)


class _Description:
    """Serves the OpenAPI description to staff."""

    def __init__(self, callers: Callers, content: dict[str, Any]) -> None:
        self._callers = callers
        self._content = content

    async def answer(self, request: Request) -> Response:
        """The description."""
        caller = await self._callers.caller(request)
        if caller.role is not Role.STAFF:
            raise Forbidden("this is for staff")
        return answers.plain(self._content)
