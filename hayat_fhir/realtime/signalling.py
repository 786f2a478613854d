"""The signalling server that the PeerJS client speaks to: https://github.com/peers/peerjs-server.

Unlike that server's, a token is a ticket of this site, good for one connection, and a message reaches only peers of
the same consultation. ``src`` is always the server's own word.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

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
from hayat_fhir.realtime.waiting import Frame, Waiting
from hayat_fhir.security.peers import PeerIds
from hayat_fhir.services.consultations import Consultations
from hayat_fhir.services.presence import Presence
from hayat_fhir.store.presence import Connected
from hayat_fhir.store.signals import Signals
from hayat_fhir.store.tickets import Ticket

KEY = "peerjs"
RATE, BURST = 40, 200
"""Frames a second, and at once: a call's candidates come together."""
LONGEST = 64 * 1024
_CUT = frozenset({1005, 1006, 1012})
"""Close codes of a connection that may have been cut: no code, no closing, a process that ends (RFC 6455, 7.4)."""
_RETURN = 15.0
"""Seconds within which a peer that was cut may come back before the others are told that it has left."""
_ALIVE = 60.0
"""Seconds without a heartbeat after which a peer is gone."""
_MOST_PEERS = 5000
_RELAYED = frozenset({"OFFER", "ANSWER", "CANDIDATE", "LEAVE", "EXPIRE"})
_KEPT = frozenset({"OFFER", "ANSWER", "CANDIDATE"})
_ABOUT = {"name": "Hayat signalling", "description": "PeerJS signalling between members of a consultation"}
_LOG = structlog.get_logger("hayat_fhir.realtime")

Deliver = Callable[[Frame], Awaitable[None]]


@dataclass(slots=True)
class _Peer:
    """One peer that is connected here: a browser's WebSocket, or a recorder of this process."""

    id: str
    ticket: Ticket
    deliver: Deliver
    close: Callable[[], Awaitable[None]]
    heard: float = field(default_factory=time.monotonic)


class Signalling:
    """The peers of this process, and the way to those of others."""

    def __init__(
        self, presence: Presence, consultations: Consultations, signals: Signals, ids: PeerIds, origins: list[str]
    ) -> None:
        self._presence = presence
        self._consultations = consultations
        self._signals = signals
        self._ids = ids
        self._origins = origins
        self._peers: dict[str, _Peer] = {}
        self._waiting = Waiting()
        self._missed: dict[str, tuple[float, _Peer]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        presence.listen(self._moved)

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

    async def run(self) -> None:
        """Drop what waits too long, peers that are silent and those that do not come back, until cancelled."""
        while True:
            await asyncio.sleep(1)
            for source, target in self._waiting.expired():
                await self._deliver(source, {"type": "EXPIRE", "src": target, "dst": source})
            now = time.monotonic()
            for peer in list(self._peers.values()):
                if now - peer.heard > _ALIVE:
                    await peer.close()
            for id, (since, peer) in list(self._missed.items()):
                if now - since > _RETURN:
                    del self._missed[id]
                    if self._presence.get(id) is None:
                        await self._tell_left(peer)

    async def attach(self, ticket: Ticket, deliver: Deliver, close: Callable[[], Awaitable[None]]) -> None:
        """Let a peer of this process in: the recorder of a consultation.

        Raises:
            Unavailable: The database does not answer.
        """
        peer = _Peer(ticket.peer, ticket, deliver, close, heard=float("inf"))
        self._peers[peer.id] = peer
        await self._presence.put(self._connected(peer))

    async def detach(self, id: str) -> None:
        """Forget a peer of this process; the others of its consultation are told."""
        if id in self._peers:
            await self._leave(self._peers[id])

    async def _leave(self, peer: _Peer, *, quietly: bool = False) -> None:
        """Forget a peer. ``quietly``: it has come back or may do so, under the same id, and its calls go on."""
        if self._peers.get(peer.id) is not peer:
            return
        del self._peers[peer.id]
        if quietly:
            self._missed[peer.id] = (time.monotonic(), peer)
        else:
            await self._tell_left(peer)
        await self._presence.remove(peer.id)

    async def _tell_left(self, peer: _Peer) -> None:
        for other in self._presence.in_room(peer.ticket.consultation):
            if other.kind == "peer" and other.id != peer.id:
                with contextlib.suppress(Refusal):
                    await self._send(other, {"type": "LEAVE", "src": peer.id, "dst": other.id})

    async def relay(self, source: str, message: object) -> None:
        """Take one message of a peer of this process; what is malformed, or for somebody else, is dropped.

        Raises:
            Unavailable: The database does not answer.
        """
        peer = self._peers.get(source)
        if peer is None or not isinstance(message, dict):
            return
        kind, target = message.get("type"), message.get("dst")
        if kind == "LEAVE" and not target:
            await peer.close()
        if kind not in _RELAYED or not isinstance(target, str) or len(target) > 64:
            return
        frame: Frame = {"type": kind, "src": source, "dst": target, "payload": message.get("payload")}
        other = self._presence.get(target)
        if other is None:
            if kind in _KEPT:
                self._waiting.keep(source, target, frame)
            return
        if other.kind != "peer" or other.consultation != peer.ticket.consultation:
            if kind == "OFFER":
                await self._deliver(source, {"type": "EXPIRE", "src": target, "dst": source})
            return
        await self._send(other, frame)

    async def received(self, frame: Frame) -> None:
        """Deliver a frame that another process has handed over."""
        await self._deliver(frame["dst"], frame)

    async def close_consultation(self, consultation: str) -> None:
        """Put all peers of a consultation that are connected here out."""
        for peer in list(self._peers.values()):
            if peer.ticket.consultation == consultation:
                await peer.close()

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
            await self._leave(peer)

        peer = self._peers[asked["id"]] = _Peer(asked["id"], ticket, deliver, close)
        try:
            # before the others know of it: what has waited comes after
            await deliver({"type": "OPEN"})
            await self._presence.put(self._connected(peer))
            while True:
                text = await socket.receive_text()
                peer.heard = time.monotonic()
                await self.relay(peer.id, _parsed(text))
        except WebSocketDisconnect as left:
            if left.code in _CUT:
                await self._leave(peer, quietly=True)
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
        if len(self._peers) >= _MOST_PEERS:
            return _error("Server has reached its concurrent user limit"), None
        try:
            ticket = await self._consultations.admitted(asked["token"])
        except Refusal:
            ticket = None
        if ticket is None:
            return _error("Invalid token provided"), None
        if asked["id"] != ticket.peer and not self._ids.belongs(asked["id"], "", ""):
            return _error("Invalid id provided"), None
        present = self._presence.get(asked["id"])
        if present is not None and (present.account, present.consultation) != (ticket.account, ticket.consultation):
            return {"type": "ID-TAKEN", "payload": {"msg": "ID is taken"}}, None
        if (former := self._peers.get(asked["id"])) is not None:
            await self._leave(former, quietly=True)
            await former.close()
        return {}, ticket

    def _connected(self, peer: _Peer) -> Connected:
        ticket = peer.ticket
        return Connected(
            peer.id,
            "peer",
            self._presence.process,
            ticket.account,
            ticket.reference,
            ticket.name,
            ticket.role,
            consultation=ticket.consultation,
        )

    def _moved(self, before: Connected | None, now: Connected | None) -> None:
        """A peer has come: what waits for it goes to it, if it is of the same consultation."""
        if before is not None or now is None or now.kind != "peer" or not self._waiting.is_for(now.id):
            return
        task = asyncio.get_running_loop().create_task(self._flush(now))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _flush(self, came: Connected) -> None:
        for source, frames in self._waiting.take(came.id):
            peer = self._peers.get(source)
            if peer is not None and peer.ticket.consultation == came.consultation:
                for frame in frames:
                    with contextlib.suppress(Refusal):
                        await self._send(came, frame)

    async def _send(self, to: Connected, frame: Frame) -> None:
        if to.id in self._peers:
            await self._deliver(to.id, frame)
        elif to.process != self._presence.process:
            await self._signals.send(to.process, {"frame": frame})

    async def _deliver(self, id: str, frame: Frame) -> None:
        peer = self._peers.get(id)
        if peer is not None:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await peer.deliver(frame)


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
