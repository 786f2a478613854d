"""The last resort where doctor and patient reach neither each other nor a TURN server: the site passes media on.

It decodes and encodes again, which costs more than half a core for a consultation: a few run at a time.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from hayat_fhir.errors import HayatError, Throttled
from hayat_fhir.realtime.ice import IceServers
from hayat_fhir.realtime.media import MediaProcesses
from hayat_fhir.realtime.signalling import Signalling
from hayat_fhir.realtime.site_peer import Order, SitePeer
from hayat_fhir.security.callers import Caller
from hayat_fhir.services.consultations import Consultations
from hayat_fhir.services.presence import Presence
from hayat_fhir.services.relaying import Relaying
from hayat_fhir.store.consultations import Consultation
from hayat_fhir.store.tickets import Ticket

_LOG = structlog.get_logger("hayat_fhir.realtime")


class Relays:
    """The relays of this process."""

    def __init__(
        self,
        consultations: Consultations,
        relaying: Relaying,
        signalling: Signalling,
        presence: Presence,
        processes: MediaProcesses,
        ice: IceServers,
    ) -> None:
        self._consultations = consultations
        self._relaying = relaying
        self._signalling = signalling
        self._presence = presence
        self._processes = processes
        self._ice = ice
        self._running: dict[str, SitePeer] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, caller: Caller, id: str) -> Consultation:
        """The caller's consultation with a relay that runs, here or elsewhere.

        Raises:
            NotFound: The caller is no member.
            Forbidden: The caller was only invited.
            Conflict: The consultation is not active.
            Throttled: As many media processes as may be are running.
            Unavailable: It does not start.
        """
        consultation = await self._relaying.wanted(caller, id)
        if self._lives(consultation.relay):
            return consultation
        if not self._processes.free:
            raise Throttled("no relay is free")
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._run(consultation, ready))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await ready
        return await self._consultations.read(caller, id)

    def changed(self, consultation: Consultation) -> None:
        """End a relay whose consultation is over, or has another one."""
        peer = self._running.get(consultation.id)
        if peer is None:
            return
        if consultation.state != "active" or (consultation.relay != peer.id and self._lives(consultation.relay)):
            peer.stop()

    async def close(self) -> None:
        """End all relays."""
        for peer in self._running.values():
            peer.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _lives(self, relay: str | None) -> bool:
        return relay is not None and self._presence.get(relay) is not None

    async def _run(self, consultation: Consultation, ready: asyncio.Future[None]) -> None:
        """One relay; ``ready`` is done as soon as it takes calls, or has failed."""
        ticket = self._relaying.ticket(consultation)
        try:
            async with self._processes.one() as media:
                peer = SitePeer(consultation, ticket, self._signalling, self._presence, media)
                await peer.attach(self._order(ticket))
                try:
                    if await self._relaying.begin(consultation, ticket):
                        self._running[consultation.id] = peer
                        ready.set_result(None)
                        await peer.run(lambda message, side: None)
                finally:
                    if self._running.get(consultation.id) is peer:
                        del self._running[consultation.id]
                    await peer.detach()
                    await self._relaying.end(ticket)
            if not ready.done():
                ready.set_result(None)
        except HayatError as error:
            if ready.done():
                _LOG.error("relay failed", cause=type(error).__name__)
            else:
                ready.set_exception(error)
        finally:
            ready.cancel()

    def _order(self, ticket: Ticket) -> Order:
        def order(number: int, side: str) -> dict[str, Any]:
            del number
            return {
                "order": "relay",
                "side": side,
                "iceServers": self._ice.configuration(ticket.account)["iceServers"],
            }

        return order
