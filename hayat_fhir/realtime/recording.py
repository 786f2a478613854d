"""Recording a consultation: a peer of the site's own takes what doctor and patient send, while both agree."""

from __future__ import annotations

import asyncio
import contextlib
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from hayat_fhir.errors import HayatError
from hayat_fhir.realtime.ice import IceServers
from hayat_fhir.realtime.media import MediaProcess, MediaProcesses
from hayat_fhir.realtime.signalling import Frame, Signalling
from hayat_fhir.services.presence import Presence
from hayat_fhir.services.recordings import Part, Recordings, wanted
from hayat_fhir.store.consultations import Consultation
from hayat_fhir.store.tickets import Ticket

_LONGEST = 2 * 3600.0
_MOST_PARTS = 16
_FINISH = 10.0
_LOG = structlog.get_logger("hayat_fhir.realtime")


@dataclass(slots=True)
class _Recording:
    """One that runs here. ``calls``: of each part its peer id and connection id; ``sides``: the roles."""

    consultation: Consultation
    ticket: Ticket
    id: str
    begun: datetime
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    calls: list[tuple[str, str]] = field(default_factory=list)
    sides: list[str] = field(default_factory=list)
    parts: dict[str, Part] = field(default_factory=dict)


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
        self._running: dict[str, _Recording] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def free(self) -> bool:
        """Whether another recording could run here."""
        return self._processes.free

    def agreed(self, consultation: Consultation) -> None:
        """Begin to record here, if both agree now."""
        if wanted(consultation) and consultation.recorder is None:
            task = asyncio.create_task(self._run(consultation))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def changed(self, consultation: Consultation) -> None:
        """End a recording that is not wanted any more."""
        recording = self._running.get(consultation.id)
        if recording is not None and not wanted(consultation):
            recording.stop.set()

    async def close(self) -> None:
        """End all recordings, and wait until they are stored."""
        for recording in self._running.values():
            recording.stop.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, consultation: Consultation) -> None:
        try:
            ticket = await self._recordings.begin(consultation)
            if ticket is None:
                return
            recording = _Recording(consultation, ticket, self._recordings.new_id(), datetime.now(UTC))
            self._running[consultation.id] = recording
            try:
                async with self._processes.one() as media:
                    await self._record(recording, media)
                if recording.parts:
                    parts = [recording.parts[key] for key in sorted(recording.parts, key=int)]
                    await self._recordings.store(recording.id, consultation, recording.begun, parts)
            finally:
                del self._running[consultation.id]
                await self._signalling.detach(ticket.peer)
                await self._recordings.end(ticket)
        except HayatError as error:
            _LOG.error("recording failed", cause=type(error).__name__)

    async def _record(self, recording: _Recording, media: MediaProcess) -> None:
        """Answer calls until it is time to stop, then take the parts."""

        async def called(frame: Frame) -> None:
            await self._called(recording, media, frame)

        async def close() -> None:
            recording.stop.set()

        await self._signalling.attach(recording.ticket, called, close)
        telling = asyncio.create_task(self._told(recording, media))
        stopping = asyncio.create_task(recording.stop.wait())
        await asyncio.wait({telling, stopping}, timeout=_LONGEST, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await self._signalling.detach(recording.ticket.peer)
        with contextlib.suppress(HayatError):
            await media.send({"order": "stop"})
            async with asyncio.timeout(_FINISH):
                await telling
        telling.cancel()

    async def _told(self, recording: _Recording, media: MediaProcess) -> None:
        """Take what the media process tells, until it has finished every part."""
        while True:
            message = await media.told()
            match message["told"]:
                case "answer":
                    source, connection = recording.calls[int(message["peer"])]
                    payload = {
                        "sdp": {"type": "answer", "sdp": message["sdp"]},
                        "type": "media",
                        "connectionId": connection,
                    }
                    answer = {"type": "ANSWER", "dst": source, "payload": payload}
                    await self._signalling.relay(recording.ticket.peer, answer)
                case "recorded":
                    side = recording.sides[int(message["peer"])]
                    recording.parts[message["peer"]] = Part(side, message["size"], message["hash"])
                case "stopped":
                    return
                case "failed":
                    _LOG.warning("media process failed", cause=message["cause"])

    async def _called(self, recording: _Recording, media: MediaProcess, frame: Frame) -> None:
        payload = frame.get("payload")
        connection = payload.get("connectionId") if isinstance(payload, dict) else None
        if not isinstance(payload, dict) or not isinstance(connection, str) or len(connection) > 64:
            return
        if frame["type"] == "OFFER" and not isinstance(payload.get("sdp"), dict):
            return
        call = (frame["src"], connection)
        caller = self._presence.get(frame["src"])
        agreed = {recording.consultation.doctor.account, recording.consultation.patient.account}
        if caller is None or caller.account not in agreed:
            return
        if frame["type"] == "CANDIDATE" and call in recording.calls and isinstance(payload.get("candidate"), dict):
            peer = str(recording.calls.index(call))
            await media.send({"order": "candidate", "peer": peer, "candidate": payload["candidate"]})
        elif frame["type"] == "OFFER" and call not in recording.calls and len(recording.calls) < _MOST_PARTS:
            recording.sides.append(caller.role)
            await self._take(recording, media, call, payload)

    async def _take(
        self, recording: _Recording, media: MediaProcess, call: tuple[str, str], payload: dict[str, Any]
    ) -> None:
        number = len(recording.calls)
        recording.calls.append(call)
        file = self._recordings.new_file(recording.id, number)
        order = {
            "order": "record",
            "peer": str(number),
            "sdp": str(payload["sdp"].get("sdp")),
            "iceServers": self._ice.configuration(recording.ticket.account)["iceServers"],
            "path": str(file.path),
            "key": b64encode(file.key).decode(),
            "salt": b64encode(file.salt).decode(),
        }
        await media.send(order)
