"""The signalling server that the PeerJS client speaks to: https://github.com/peers/peerjs-server.

Unlike that server's, a token is a ticket of this site, good for one connection.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping

import orjson
import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from hayat_fhir.errors import Refusal
from hayat_fhir.realtime.allowance import Application, Limited
from hayat_fhir.realtime.signalling import Signalling
from hayat_fhir.realtime.waiting import Frame
from hayat_fhir.security.peers import PeerIds
from hayat_fhir.services.admission import Admission
from hayat_fhir.services.presence import Presence
from hayat_fhir.store.tickets import Ticket

KEY = "peerjs"
RATE, BURST = 40, 200
"""Frames a second, and at once: a call's candidates come together."""
LONGEST = 64 * 1024
_CUT = frozenset({1005, 1006, 1012})
"""Close codes of a connection that may have been cut: no code, no closing, a process that ends (RFC 6455, 7.4)."""
_ABOUT = {"name": "Hayat signalling", "description": "PeerJS signalling between members of a consultation"}
_LOG = structlog.get_logger("hayat_fhir.realtime")


class PeerServer:
    """Lets peers in, and takes what they say."""

    def __init__(
        self,
        signalling: Signalling,
        admission: Admission,
        presence: Presence,
        ids: PeerIds,
        origins: list[str],
    ) -> None:
        self._signalling = signalling
        self._admission = admission
        self._presence = presence
        self._ids = ids
        self._origins = origins

    @property
    def application(self) -> Application:
        """The door at ``/peerjs``."""
        cors = Middleware(CORSMiddleware, allow_origins=self._origins, allow_methods=["GET"])
        inner = Starlette(
            routes=[
                Route("/peerjs/", _about),
                Route("/peerjs/{key}/id", self._new_id),
                Route("/peerjs/{key}/peers", _no_discovery),
                WebSocketRoute("/peerjs/peerjs", self._connect),
            ],
            middleware=[cors],
        )
        return Limited(inner, rate=RATE, burst=BURST, longest=LONGEST)

    async def _new_id(self, request: Request) -> Response:
        if request.path_params["key"] != KEY:
            return PlainTextResponse("", 404)
        return PlainTextResponse(self._ids.new("", ""), media_type="text/html")

    async def _connect(self, socket: WebSocket) -> None:
        """One PeerJS client, from its first message to its last."""
        await socket.accept()
        asked = {name: socket.query_params.get(name, "") for name in ("id", "token", "key")}
        refusal, ticket = await self._admitted(asked)
        if ticket is None:
            await socket.send_text(orjson.dumps(refusal).decode())
            await socket.close()
            return

        async def deliver(frame: Frame) -> None:
            await socket.send_text(orjson.dumps(frame).decode())

        async def close() -> None:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.close()
            await self._signalling.leave(peer)

        peer = self._signalling.enter(asked["id"], ticket, deliver, close)
        try:
            # what has ended the sign-in since it was looked at has found no peer to put out
            if not await self._admission.holds(ticket):
                return
            # before the others know of it: what has waited comes after
            await deliver({"type": "OPEN"})
            await self._signalling.announce(peer)
            while True:
                text = await socket.receive_text()
                peer.heard = time.monotonic()
                await self._signalling.relay(peer.id, _parsed(text))
        except WebSocketDisconnect as left:
            if left.code in _CUT:
                await self._signalling.leave(peer, quietly=True)
        except (RuntimeError, KeyError):
            return
        except Refusal as refused:
            _LOG.warning("signalling interrupted", cause=type(refused).__name__)
        finally:
            await close()

    async def _admitted(self, asked: Mapping[str, str]) -> tuple[Frame, Ticket | None]:
        """The ticket of a client that may come in, else what it is told."""
        if not all(asked.values()):
            return _error("No id, token, or key supplied to websocket server"), None
        if asked["key"] != KEY:
            return _error("Invalid key provided"), None
        if self._signalling.is_full:
            return _error("Server has reached its concurrent user limit"), None
        try:
            ticket = await self._admission.admitted(asked["token"])
        except Refusal:
            ticket = None
        if ticket is None:
            return _error("Invalid token provided"), None
        if asked["id"] != ticket.peer and not self._ids.belongs(asked["id"], "", ""):
            return _error("Invalid id provided"), None
        present = self._presence.get(asked["id"])
        if present is not None and (present.account, present.consultation) != (ticket.account, ticket.consultation):
            return {"type": "ID-TAKEN", "payload": {"msg": "ID is taken"}}, None
        await self._signalling.displace(asked["id"])
        return {}, ticket


async def _about(request: Request) -> Response:
    del request
    return JSONResponse(_ABOUT)


async def _no_discovery(request: Request) -> Response:
    del request
    return PlainTextResponse("", 401)


def _error(message: str) -> Frame:
    return {"type": "ERROR", "payload": {"msg": message}}


def _parsed(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
