"""The JSON routes at ``/realtime``; the package's docstring lists them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from hayat_fhir.errors import Forbidden, InvalidRequest, Refusal, Throttled, TooLarge, Unauthenticated
from hayat_fhir.fhir.json import serialize
from hayat_fhir.fhir.outcomes import operation_outcome
from hayat_fhir.realtime.allowance import Application
from hayat_fhir.realtime.directory import Directory
from hayat_fhir.realtime.ice import IceServers
from hayat_fhir.realtime.recording import Recorders
from hayat_fhir.realtime.relay import Relays
from hayat_fhir.realtime.views import view
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.services.admission import Admission
from hayat_fhir.services.authentication import Authentication
from hayat_fhir.services.consultations import Consultations
from hayat_fhir.services.recordings import CONTENT_TYPE, Recordings
from hayat_fhir.store.tickets import SECONDS

_LONGEST = 8 * 1024
_STATES = frozenset({"ringing", "active", "ended", "declined", "cancelled", "missed"})
Handler = Callable[[Request, Caller], Awaitable[tuple[int, dict[str, Any]]]]


class Routes:
    """The handlers."""

    def __init__(
        self,
        authentication: Authentication,
        consultations: Consultations,
        admission: Admission,
        directory: Directory,
        ice: IceServers,
        recordings: Recordings,
        recorders: Recorders,
        relays: Relays,
    ) -> None:
        self._authentication = authentication
        self._consultations = consultations
        self._admission = admission
        self._directory = directory
        self._ice = ice
        self._recordings = recordings
        self._recorders = recorders
        self._relays = relays

    def application(self, origins: Sequence[str], further: Sequence[BaseRoute] = ()) -> Application:
        """The door at ``/realtime``, with further routes beside these."""
        one = "/realtime/consultations/{id}"
        routes: list[BaseRoute] = [
            Route("/realtime/presence", self._as(self._presence), methods=["GET"]),
            Route("/realtime/ice", self._as(self._servers), methods=["GET"]),
            Route("/realtime/consultations", self._as(self._list), methods=["GET"]),
            Route("/realtime/consultations", self._as(self._ring), methods=["POST"]),
            Route(one, self._as(self._read), methods=["GET"]),
            *(
                Route(f"{one}/{verb}", self._as(handler), methods=["POST"])
                for verb, handler in {
                    "accept": self._accept,
                    "decline": self._decline,
                    "end": self._end,
                    "invite": self._invite,
                    "recording": self._agree,
                    "relay": self._relay,
                }.items()
            ),
            Route("/realtime/tickets", self._as(self._ticket), methods=["POST"]),
            Route("/realtime/recordings/{id}/{number:int}", self._recording, methods=["GET"]),
            *further,
        ]
        cors = Middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type"],
        )
        return Starlette(routes=routes, middleware=[cors], exception_handlers={Refusal: refused})

    def _as(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """A handler that knows its caller."""

        async def answered(request: Request) -> Response:
            status, body = await handler(request, await caller_of(self._authentication, request))
            return Response(orjson.dumps(body), status, media_type="application/json")

        return answered

    async def _presence(self, request: Request, caller: Caller) -> tuple[int, dict[str, Any]]:
        del request, caller
        return 200, {"online": list(self._directory.shown())}

    async def _servers(self, request: Request, caller: Caller) -> tuple[int, dict[str, Any]]:
        del request
        return 200, self._ice.configuration(caller.subject)

    async def _list(self, request: Request, caller: Caller) -> tuple[int, dict[str, Any]]:
        state = request.query_params.get("state")
        if state is not None and state not in _STATES:
            raise InvalidRequest("no such state", code="value")
        return 200, {"consultations": [view(one) for one in await self._consultations.of(caller, state)]}

    async def _ring(self, request: Request, caller: Caller) -> tuple[int, dict[str, Any]]:
        doctor = _text(await _body(request, "doctor"), "doctor")
        return 201, view(await self._consultations.ring(caller, doctor))

    async def _read(self, request: Request, caller: Caller) -> tuple[int, dict[str, Any]]:
        return 200, view(await self._consultations.read(caller, request.path_params["id"]))

    async def _accept(self, request: Request, caller: Caller) -> tuple[int, dict[str, Any]]:
        return 200, view(await self._consultations.accept(caller, request.path_params["id"]))

    async def _decline(self, request: Request, caller: Caller) -> tuple[int, dict[str, Any]]:
        return 200, view(await self._consultations.decline(caller, request.path_params["id"]))

    async def _end(self, request: Request, caller: Caller) -> tuple[int, dict[str, Any]]:
        return 200, view(await self._consultations.end(caller, request.path_params["id"]))

    async def _invite(self, request: Request, caller: Caller) -> tuple[int, dict[str, Any]]:
        doctor = _text(await _body(request, "doctor"), "doctor")
        return 200, view(await self._consultations.invite(caller, request.path_params["id"], doctor))

    async def _agree(self, request: Request, caller: Caller) -> tuple[int, dict[str, Any]]:
        agrees = (await _body(request, "agree")).get("agree")
        if not isinstance(agrees, bool):
            raise InvalidRequest("agree is true or false", code="structure", expression=["agree"])
        if agrees and not self._recorders.free:
            raise Throttled("no recorder is free")
        consultation = await self._consultations.agree(caller, request.path_params["id"], agrees=agrees)
        self._recorders.agreed(consultation)
        return 200, view(consultation)

    async def _relay(self, request: Request, caller: Caller) -> tuple[int, dict[str, Any]]:
        return 200, view(await self._relays.begin(caller, request.path_params["id"]))

    async def _recording(self, request: Request) -> Response:
        caller = await caller_of(self._authentication, request)
        names = request.path_params
        size, chunks = await self._recordings.read(caller, names["id"], names["number"])
        return StreamingResponse(chunks, headers={"content-length": str(size)}, media_type=CONTENT_TYPE)

    async def _ticket(self, request: Request, caller: Caller) -> tuple[int, dict[str, Any]]:
        body = await _body(request, "consultation", "peer")
        peer = _text(body, "peer") if "peer" in body else None
        peer, token = await self._admission.ticket(caller, _text(body, "consultation"), peer)
        ice = self._ice.configuration(caller.subject)
        return 201, {"peer": peer, "token": token, "seconds": SECONDS, "path": "/peerjs", "key": "peerjs", "ice": ice}


async def caller_of(authentication: Authentication, request: Request) -> Caller:
    """The person whose bearer token a request has.

    Raises:
        Unauthenticated: There is none, or it is not valid.
        Forbidden: It is a partner's.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("a bearer token is needed")
    caller = await authentication.caller(token, request.client.host if request.client else None)
    if caller.role is Role.PARTNER:
        raise Forbidden("this door is for people")
    return caller


async def refused(request: Request, error: Exception) -> Response:
    """A refusal as an OperationOutcome."""
    del request
    if not isinstance(error, Refusal):
        raise error
    headers = {"www-authenticate": 'Bearer realm="realtime"'} if error.status == 401 else {}
    return Response(serialize(operation_outcome(error)), error.status, headers, media_type="application/fhir+json")


async def _body(request: Request, *names: str) -> dict[str, Any]:
    """The JSON object that was sent, of these members only."""
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > _LONGEST:
            raise TooLarge("the body is too large")
        parts.append(chunk)
    try:
        body = orjson.loads(b"".join(parts))
    except orjson.JSONDecodeError:
        raise InvalidRequest("the body is not JSON", code="structure") from None
    if not isinstance(body, dict) or not body.keys() <= set(names):
        raise InvalidRequest(f"the body is an object with {', '.join(names)}", code="structure")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 64:
        raise InvalidRequest("a short text is needed", code="required", expression=[name])
    return value
