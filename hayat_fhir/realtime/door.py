"""The door as a whole: its applications, and what runs beside them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.routing import WebSocketRoute

from hayat_fhir.errors import Refusal
from hayat_fhir.realtime.allowance import Application, Limited
from hayat_fhir.realtime.calls import Calls
from hayat_fhir.realtime.device_check import DeviceCheck
from hayat_fhir.realtime.directory import Directory
from hayat_fhir.realtime.ice import IceServers
from hayat_fhir.realtime.media import MediaProcesses
from hayat_fhir.realtime.peer_server import PeerServer
from hayat_fhir.realtime.recording import Recorders
from hayat_fhir.realtime.relay import Relays
from hayat_fhir.realtime.routes import Routes
from hayat_fhir.realtime.signalling import Signalling
from hayat_fhir.realtime.sockets import LONGEST, Sockets
from hayat_fhir.security.callers import Role
from hayat_fhir.security.peers import PeerIds
from hayat_fhir.services.admission import Admission
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.authentication import Authentication
from hayat_fhir.services.consultations import Consultations
from hayat_fhir.services.notifications import CRITERIA, Notification, Notifications
from hayat_fhir.services.presence import Presence
from hayat_fhir.services.recordings import Recordings
from hayat_fhir.services.relaying import Relaying
from hayat_fhir.store.changes import Changes, Written
from hayat_fhir.store.consultations import CONSULTATIONS, consultation
from hayat_fhir.store.database import Database
from hayat_fhir.store.presence import ROWS, connected
from hayat_fhir.store.signals import EVERYBODY, SIGNALS, Signals
from hayat_fhir.store.tickets import Ticket

_BEAT = 5.0
_PAUSE = 1.0
_LOG = structlog.get_logger("hayat_fhir.realtime")


@dataclass(frozen=True, slots=True)
class Services:
    """What the door calls."""

    authentication: Authentication
    auditing: Auditing
    presence: Presence
    consultations: Consultations
    admission: Admission
    signals: Signals
    notifications: Notifications
    recordings: Recordings
    relaying: Relaying
    peers: PeerIds
    database: Database


class Realtime:
    """One process's realtime door. ``origins``: web pages of these origins may use it."""

    def __init__(
        self,
        services: Services,
        ice: IceServers,
        origins: Sequence[str],
        *,
        polling: bool,
        media_processes: int,
        redis_url: str | None = None,
    ) -> None:
        self._services = services
        self._sockets = Sockets(
            services.authentication, services.auditing, origins, polling=polling, redis_url=redis_url
        )
        self._directory = Directory(self._sockets, services.presence)
        self._calls = Calls(self._sockets, services.presence, services.consultations, services.signals)
        self._signalling = Signalling(services.presence, services.signals)
        server = PeerServer(self._signalling, services.admission, services.presence, services.peers, list(origins))
        processes = MediaProcesses(media_processes)
        self._recorders = Recorders(services.recordings, self._signalling, services.presence, processes, ice)
        self._relays = Relays(
            services.consultations, services.relaying, self._signalling, services.presence, processes, ice
        )
        routes = Routes(
            services.authentication,
            services.consultations,
            services.admission,
            self._directory,
            ice,
            services.recordings,
            self._recorders,
            self._relays,
        )
        check = DeviceCheck(services.authentication, processes, ice)
        self.applications: Mapping[str, Application] = {
            "socket.io": self._sockets.application,
            "peerjs": server.application,
            "realtime": Limited(
                routes.application(origins, [WebSocketRoute("/realtime/device-check", check.run)]),
                rate=1,
                burst=10,
                longest=LONGEST,
            ),
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """What runs beside the applications, for as long as they are served."""
        jobs = (self._follow, self._beat, self._directory.run, self._sockets.watch, self._signalling.run)
        tasks = [asyncio.create_task(_kept_up(job)) for job in jobs]
        try:
            yield
        finally:
            await asyncio.gather(self._recorders.close(), self._relays.close())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._sockets.close()
            await self._services.presence.close()

    async def _follow(self) -> None:
        """Take in what this and other processes write."""
        process = self._services.presence.process
        criteria: list[dict[str, Any]] = [
            {"ns.coll": {"$in": [ROWS, CONSULTATIONS, "accounts", "ended_tokens"]}},
            {"ns.coll": SIGNALS, "operationType": "insert", "fullDocument.to": {"$in": [process, EVERYBODY]}},
            *CRITERIA,
        ]
        async with contextlib.aclosing(Changes(self._services.database, criteria).follow()) as stream:
            async for written in stream:
                if written is None:
                    await self._services.presence.reload()
                    self._sockets.all_changed()
                    await self._put_out(_is_persons)
                else:
                    await self._take(written)

    async def _take(self, written: Written) -> None:
        match written.collection:
            case "presence":
                row = written.document
                self._services.presence.apply(written.id, None if row is None else connected(row))
            case "consultations" if written.document is not None:
                changed = consultation(written.document)
                await self._calls.changed(changed)
                self._recorders.changed(changed)
                self._relays.changed(changed)
                if not changed.is_open:
                    await self._signalling.close_consultation(changed.id)
            case "signals" if written.document is not None:
                message = written.document["message"]
                if "frame" in message:
                    await self._signalling.received(message["frame"])
                elif message["by"] != self._services.presence.process:
                    await self._calls.said(message["room"], message["text"], message["author"])
            case "accounts":
                self._sockets.account_changed(written.id)
                await self._put_out(lambda ticket: ticket.account == written.id)
                if written.document is None or written.document.get("disabled"):
                    await self._services.consultations.abandon(written.id)
            case "ended_tokens":
                self._sockets.token_ended(written.id)
                await self._put_out(lambda ticket: ticket.session == written.id)
            case _:
                notification = await self._services.notifications.of(written)
                if notification is not None:
                    await self._notify(notification)

    async def _put_out(self, concerned: Callable[[Ticket], bool]) -> None:
        await self._signalling.put_out(concerned, self._services.admission.holds)

    async def _notify(self, notification: Notification) -> None:
        message = {
            "kind": notification.kind,
            "reference": notification.reference,
            "patient": notification.patient,
            "at": notification.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        entitled = self._services.notifications.entitled
        await self._sockets.tell("notification", message, lambda caller: entitled(caller, notification))

    async def _beat(self) -> None:
        while True:
            await self._services.presence.beat()
            await self._services.consultations.note_rooms()
            await self._services.consultations.end_overdue()
            await asyncio.sleep(_BEAT)


def _is_persons(ticket: Ticket) -> bool:
    """Whether a ticket is not of a peer of the site's own."""
    return ticket.role in set(Role)


async def _kept_up(job: Callable[[], Awaitable[None]]) -> None:
    """Run a job for ever: what fails because the database is away is begun again."""
    while True:
        try:
            await job()
        except Refusal as refusal:
            _LOG.warning("realtime job interrupted", job=job.__name__, cause=type(refusal).__name__)
        except Exception as error:  # noqa: BLE001 - a boundary: one fault must not end presence for good
            _LOG.error("fault", job=job.__name__, cause=type(error).__name__)
        await asyncio.sleep(_PAUSE)
