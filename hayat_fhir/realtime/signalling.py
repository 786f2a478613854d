"""The peers of a process, and what they tell one another to set up a call, across the processes of the site.

A message reaches only peers of the same consultation. ``src`` is always the server's own word.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.websockets import WebSocketDisconnect

from hayat_fhir.errors import Refusal
from hayat_fhir.realtime.waiting import Frame, Waiting
from hayat_fhir.services.presence import Presence
from hayat_fhir.store.presence import Connected
from hayat_fhir.store.signals import Signals
from hayat_fhir.store.tickets import Ticket

_RETURN = 15.0
"""Seconds within which a peer that was cut may come back before the others are told that it has left."""
_ALIVE = 60.0
"""Seconds without a heartbeat after which a peer is gone."""
_MOST_PEERS = 5000
_RELAYED = frozenset({"OFFER", "ANSWER", "CANDIDATE", "LEAVE", "EXPIRE"})
_KEPT = frozenset({"OFFER", "ANSWER", "CANDIDATE"})

Deliver = Callable[[Frame], Awaitable[None]]


@dataclass(slots=True)
class Peer:
    """One peer that is connected here: a browser's WebSocket, or a recorder of this process."""

    id: str
    ticket: Ticket
    deliver: Deliver
    close: Callable[[], Awaitable[None]]
    heard: float = field(default_factory=time.monotonic)


class Signalling:
    """The peers of this process, and the way to those of others."""

    def __init__(self, presence: Presence, signals: Signals) -> None:
        self._presence = presence
        self._signals = signals
        self._peers: dict[str, Peer] = {}
        self._waiting = Waiting()
        self._missed: dict[str, tuple[float, Peer]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        presence.listen(self._moved)

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
        peer = self.enter(ticket.peer, ticket, deliver, close)
        peer.heard = float("inf")
        await self.announce(peer)

    async def detach(self, id: str) -> None:
        """Forget a peer of this process; the others of its consultation are told."""
        if id in self._peers:
            await self.leave(self._peers[id])

    @property
    def is_full(self) -> bool:
        """Whether no more peers are let in here."""
        return len(self._peers) >= _MOST_PEERS

    def enter(self, id: str, ticket: Ticket, deliver: Deliver, close: Callable[[], Awaitable[None]]) -> Peer:
        """A peer that is connected here from now on; the others do not know of it yet."""
        peer = self._peers[id] = Peer(id, ticket, deliver, close)
        return peer

    async def announce(self, peer: Peer) -> None:
        """Let the others know of a peer.

        Raises:
            Unavailable: The database does not answer.
        """
        await self._presence.put(self._connected(peer))

    async def displace(self, id: str) -> None:
        """Put the peer out that is connected here under this id, if there is one, for it comes back."""
        if (former := self._peers.get(id)) is not None:
            await self.leave(former, quietly=True)
            await former.close()

    async def leave(self, peer: Peer, *, quietly: bool = False) -> None:
        """Forget a peer. ``quietly``: it has come back or may do so, under the same id, and its calls go on."""
        if self._peers.get(peer.id) is not peer:
            return
        del self._peers[peer.id]
        if quietly:
            self._missed[peer.id] = (time.monotonic(), peer)
        else:
            await self._tell_left(peer)
        await self._presence.remove(peer.id)

    async def _tell_left(self, peer: Peer) -> None:
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

    async def put_out(self, concerned: Callable[[Ticket], bool], holds: Callable[[Ticket], Awaitable[bool]]) -> None:
        """Put the peers of concerned tickets out that are connected here, where these do not hold any more.

        Raises:
            Unavailable: The database does not answer.
        """
        for peer in list(self._peers.values()):
            if concerned(peer.ticket) and not await holds(peer.ticket):
                await peer.close()

    def _connected(self, peer: Peer) -> Connected:
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
