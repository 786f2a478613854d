"""A peer of the site's own in a consultation: a media process answers the calls of doctor and patient."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import structlog

from hayat_fhir.errors import HayatError
from hayat_fhir.realtime.media import MediaProcess
from hayat_fhir.realtime.signalling import Signalling
from hayat_fhir.realtime.waiting import Frame
from hayat_fhir.services.presence import Presence
from hayat_fhir.store.consultations import Consultation
from hayat_fhir.store.tickets import Ticket

_LONGEST = 2 * 3600.0
_MOST_CALLS = 32
_FINISH = 10.0
_LOG = structlog.get_logger("hayat_fhir.realtime")

Order = Callable[[int, str], dict[str, Any]]
"""What the media process is to do with the call of this number, from a side: ``doctor`` or ``patient``."""


class SitePeer:
    """One such peer. ``heard`` is given what the media process tells beyond its answers, with the side of the call."""

    def __init__(
        self,
        consultation: Consultation,
        ticket: Ticket,
        signalling: Signalling,
        presence: Presence,
        media: MediaProcess,
    ) -> None:
        self._consultation = consultation
        self._ticket = ticket
        self._signalling = signalling
        self._presence = presence
        self._media = media
        self._stop = asyncio.Event()
        self._calls: list[tuple[str, str]] = []
        self._sides: list[str] = []
        self._order: Order = _nothing

    @property
    def id(self) -> str:
        """Its peer id."""
        return self._ticket.peer

    def stop(self) -> None:
        """Have ``run`` end."""
        self._stop.set()

    async def attach(self, order: Order) -> None:
        """Take calls from now on.

        Raises:
            Unavailable: The database does not answer.
        """
        self._order = order

        async def close() -> None:
            self.stop()

        await self._signalling.attach(self._ticket, self._called, close)

    async def detach(self) -> None:
        """Take calls no more; whoever has called is told."""
        await self._signalling.detach(self.id)

    async def run(self, heard: Callable[[dict[str, Any], str], None]) -> None:
        """Answer calls until it is time to stop, and hear what the media process has to tell in the end."""
        telling = asyncio.create_task(self._told(heard))
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({telling, stopping}, timeout=_LONGEST, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await self.detach()
        with contextlib.suppress(HayatError, TimeoutError):
            await self._media.send({"order": "stop"})
            async with asyncio.timeout(_FINISH):
                await telling
        telling.cancel()

    async def _told(self, heard: Callable[[dict[str, Any], str], None]) -> None:
        """Take what the media process tells, until it has stopped."""
        while True:
            message = await self._media.told()
            match message["told"]:
                case "answer":
                    source, connection = self._calls[int(message["peer"])]
                    payload = {
                        "sdp": {"type": "answer", "sdp": message["sdp"]},
                        "type": "media",
                        "connectionId": connection,
                    }
                    await self._signalling.relay(self.id, {"type": "ANSWER", "dst": source, "payload": payload})
                case "stopped":
                    return
                case "failed":
                    _LOG.warning("media process failed", cause=message["cause"])
                case _ if "peer" in message:
                    heard(message, self._sides[int(message["peer"])])

    async def _called(self, frame: Frame) -> None:
        """Hand an offer or a candidate of the doctor or the patient to the media process; all else is dropped."""
        payload = frame.get("payload")
        connection = payload.get("connectionId") if isinstance(payload, dict) else None
        if not isinstance(payload, dict) or not isinstance(connection, str) or len(connection) > 64:
            return
        call = (frame["src"], connection)
        caller = self._presence.get(frame["src"])
        if caller is None or caller.account not in self._consultation.sides:
            return
        if frame["type"] == "CANDIDATE" and call in self._calls and isinstance(payload.get("candidate"), dict):
            peer = str(self._calls.index(call))
            await self._media.send({"order": "candidate", "peer": peer, "candidate": payload["candidate"]})
        elif frame["type"] == "OFFER" and call not in self._calls and len(self._calls) < _MOST_CALLS:
            sdp = payload["sdp"].get("sdp") if isinstance(payload.get("sdp"), dict) else None
            if isinstance(sdp, str):
                number = len(self._calls)
                self._calls.append(call)
                self._sides.append(caller.role)
                await self._media.send({"peer": str(number), "sdp": sdp, **self._order(number, caller.role)})


def _nothing(number: int, side: str) -> dict[str, Any]:
    del number, side
    return {"order": "none"}
