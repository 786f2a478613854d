"""Presence events: doctors switch on and off, and whoever watches is told what has changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from hayat_fhir.errors import Forbidden
from hayat_fhir.realtime.sockets import Session, Sockets
from hayat_fhir.security.callers import Role
from hayat_fhir.services.presence import Presence
from hayat_fhir.store.presence import Connected

_EVERY = 0.25
"""Seconds between two messages about presence: what changes in between goes into one."""
_WATCHING = "presence"
_OLDER = "presence:all"


class Directory:
    """Keeps watchers up to date."""

    def __init__(self, sockets: Sockets, presence: Presence) -> None:
        self._sockets = sockets
        self._presence = presence
        self._shown: dict[str, list[str]] = {}
        self._changed = asyncio.Event()
        sockets.on("online-user", self._online)
        sockets.on("offline-user", self._offline)
        sockets.on("watch-presence", self._watch)
        sockets.on("get-online-doctor", self._list)
        for claim in ("presence", "updateDoctorList", "status", "busy"):
            sockets.on(claim, self._claimed)
        presence.listen(self._heard)

    async def run(self) -> None:
        """Tell watchers of changes, until cancelled."""
        last = 0.0
        while True:
            await self._changed.wait()
            await asyncio.sleep(max(last + _EVERY - time.monotonic(), 0))
            self._changed.clear()
            last = time.monotonic()
            before, self._shown = self._shown, self.shown()
            if before == self._shown:
                continue
            gone_on = sorted(self._shown.keys() - before.keys())
            gone_off = sorted(before.keys() - self._shown.keys())
            if gone_on or gone_off:
                await self._sockets.emit("presence", {"online": gone_on, "offline": gone_off}, to=_WATCHING)
            await self._sockets.emit("updateDoctorList", self._shown, to=_OLDER)

    def shown(self) -> dict[str, list[str]]:
        """The doctors online with their sockets, by Practitioner id."""
        return {
            doctor: sorted(one.id for one in sockets) for doctor, sockets in sorted(self._presence.online().items())
        }

    def _heard(self, before: Connected | None, now: Connected | None) -> None:
        if any(one is not None and one.role == Role.DOCTOR for one in (before, now)):
            self._changed.set()

    async def _online(self, session: Session, payload: Sequence[Any]) -> None:
        await self._check_claims(session, payload[:2])
        if session.caller.role is not Role.DOCTOR or session.caller.reference is None:
            await self._sockets.denied(session)
            raise Forbidden("only a doctor goes online")
        if self._presence.own(session.sid) is None:
            await self._presence.put(connected(session, self._presence.process, online=True))
        else:
            await self._presence.change(session.sid, online=True)
        if session.sid not in self._sockets.sessions:
            await self._presence.remove(session.sid)

    async def _offline(self, session: Session, payload: Sequence[Any]) -> None:
        del payload
        await self._presence.change(session.sid, online=False)

    async def _watch(self, session: Session, payload: Sequence[Any]) -> dict[str, Any]:
        del payload
        await self._sockets.server.enter_room(session.sid, _WATCHING)
        return {"online": list(self._shown)}

    async def _list(self, session: Session, payload: Sequence[Any]) -> None:
        del payload
        await self._sockets.server.enter_room(session.sid, _OLDER)
        # as all have been told it, not as it may have become since: who missed a change would not hear of its undoing
        await self._sockets.emit("updateDoctorList", self._shown, to=session.sid)

    async def _claimed(self, session: Session, payload: Sequence[Any]) -> None:
        """Presence is what the server knows: nobody tells it."""
        del payload
        await self._sockets.denied(session)
        raise Forbidden("presence is not told by clients")

    async def _check_claims(self, session: Session, claims: Sequence[Any]) -> None:
        """Audit where a payload names another socket or person than the one that the token names."""
        own = {session.sid, session.caller.subject, (session.caller.reference or "").rpartition("/")[2]}
        if any(isinstance(claim, str) and claim not in own for claim in claims):
            await self._sockets.denied(session)


def connected(session: Session, process: str, **values: Any) -> Connected:  # noqa: ANN401 - fields of Connected
    """The presence of a socket."""
    caller = session.caller
    return Connected(
        session.sid,
        "socket",
        process,
        caller.subject,
        caller.reference or "",
        caller.name or "",
        caller.role,
        **values,
    )
