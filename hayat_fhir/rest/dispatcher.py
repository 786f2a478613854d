"""The FHIR door itself: from an ASGI request under ``/fhir`` to the interaction it names, and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from hayat_fhir.errors import InvalidRequest, NotFound, Refusal, Unauthenticated
from hayat_fhir.rest.bodies import ClientGone, drain
from hayat_fhir.rest.messages import Answer, BadPath, Receive, Request, Scope, Send, segments
from hayat_fhir.rest.refusals import not_allowed, refused
from hayat_fhir.rest.routes import Routes
from hayat_fhir.security.callers import Caller

ROUTE = "hayat.route"
"""Key of the ASGI scope under which a door leaves the route's template, for metrics."""


class Authenticates(Protocol):
    """Knows the holder of a token: ``services.authentication.Authentication``."""

    async def caller(self, token: str, address: str | None = None) -> Caller:
        """The token's holder; raises Unauthenticated."""
        ...


def bearer(request: Request) -> str:
    """The token of the Authorization header, the only place where one is accepted.

    Raises:
        Unauthenticated: Missing, repeated, or another scheme.
    """
    header = request.header(b"authorization")
    if header is None:
        raise Unauthenticated("a bearer token is needed")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token or " " in token:
        raise Unauthenticated("the Authorization header is not one bearer token")
    return token


class Dispatcher:
    """An ASGI application for ``/fhir`` and everything below."""

    def __init__(self, routes: Routes, authentication: Authenticates) -> None:
        self._routes = routes
        self._authentication = authentication

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except ClientGone:
            return
        except Refusal as refusal:
            answer = refused(refusal, request)
        if request.unread:
            await drain(request)
            answer = replace(answer, headers=(*answer.headers, (b"connection", b"close")))
        await answer.send(send, head=request.method == "HEAD")

    async def _answer(self, request: Request) -> Answer:
        path: list[str] = []
        malformed = False
        try:
            path = segments(request.scope.get("raw_path") or request.scope["path"].encode())[1:]
        except BadPath:
            malformed = True
        found = None if malformed else self._routes.find(path)
        route, names = found or (None, {})
        request.scope[ROUTE] = f"/fhir/{route.template}" if route else "/fhir/*"
        if route is None or not route.public:
            request.caller = await self._authentication.caller(bearer(request), request.address)
        if malformed:
            raise InvalidRequest("the path is not URL-encoded UTF-8", code="value")
        if route is None:
            raise NotFound("no such path", code="not-supported")
        self._routes.check(names)
        request.names = names
        action = route.actions.get("GET" if request.method == "HEAD" else request.method)
        if action is None:
            return not_allowed(route.allow, request)
        request.check_representation()
        return await action.handler(request)
