"""Recording a consultation: a peer of the site's own takes what doctor and patient send, while both agree."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import structlog

from hayat_fhir.errors import HayatError
from hayat_fhir.realtime.ice import IceServers
from hayat_fhir.realtime.media import MediaProcess, MediaProcesses
from hayat_fhir.realtime.signalling import Signalling
from hayat_fhir.realtime.site_peer import Order, SitePeer
from hayat_fhir.services.presence import Presence
from hayat_fhir.services.recordings import Part, Recordings, wanted
from hayat_fhir.store.consultations import Consultation
from hayat_fhir.store.tickets import Ticket

_LOG = structlog.get_logger("hayat_fhir.realtime")


class Recorders:
    """The recordings of this process."""

    def __init__(
        self,
        recordings: Recordings,
        signalling: Signalling,
        presence: Presence,
        processes: MediaProcesses,
        ice: IceServers,
    ) -> None:
        self._recordings = recordings
        self._signalling = signalling
        self._presence = presence
        self._processes = processes
        self._ice = ice
        self._running: dict[str, SitePeer] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def free(self) -> bool:
        """Whether another recording could run here."""
        return self._processes.free

    def agreed(self, consultation: Consultation) -> None:
        """Begin to record here, if both agree now and no recorder lives."""
        if wanted(consultation) and not self._lives(consultation.recorder):
            task = asyncio.create_task(self._run(consultation))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def changed(self, consultation: Consultation) -> None:
        """End a recording that is not wanted any more."""
        peer = self._running.get(consultation.id)
        if peer is None:
            return
        if not wanted(consultation) or (consultation.recorder != peer.id and self._lives(consultation.recorder)):
            peer.stop()

    async def close(self) -> None:
        """End all recordings, and wait until they are stored."""
        for peer in self._running.values():
            peer.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _lives(self, recorder: str | None) -> bool:
        return recorder is not None and self._presence.get(recorder) is not None

    async def _run(self, consultation: Consultation) -> None:
        ticket = self._recordings.ticket(consultation)
        try:
            async with self._processes.one() as media:
                await self._record(consultation, ticket, media)
        except HayatError as error:
            _LOG.error("recording failed", cause=type(error).__name__)

    async def _record(self, consultation: Consultation, ticket: Ticket, media: MediaProcess) -> None:
        """Take the parts, and store them, unless another process records already."""
        id, begun, parts = self._recordings.new_id(), datetime.now(UTC), dict[int, Part]()

        def heard(message: dict[str, Any], side: str) -> None:
            parts[int(message["peer"])] = Part(side, message["size"], message["hash"])

        peer = SitePeer(consultation, ticket, self._signalling, self._presence, media)
        await peer.attach(self._order(id, ticket))
        try:
            self._running[consultation.id] = peer
            if await self._recordings.begin(consultation, ticket):
                await peer.run(heard)
                if parts:
                    await self._recordings.store(id, consultation, begun, dict(sorted(parts.items())))
        finally:
            if self._running.get(consultation.id) is peer:
                del self._running[consultation.id]
            await peer.detach()
            await self._recordings.end(ticket)

    def _order(self, id: str, ticket: Ticket) -> Order:
        def order(number: int, side: str) -> dict[str, Any]:
            del side
            file = self._recordings.new_file(id, number)
            return {
                "order": "record",
                "iceServers": self._ice.configuration(ticket.account)["iceServers"],
                "path": str(file.path),
                "key": b64encode(file.key).decode(),
                "salt": b64encode(file.salt).decode(),
            }

        return order
