"""Call events: ringing, answering, the room of a consultation, and what is said in it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hayat_fhir.errors import Conflict, Forbidden, InvalidRequest, NotFound
from hayat_fhir.realtime.directory import connected
from hayat_fhir.realtime.sockets import Session, Sockets, account_room, consultation_room
from hayat_fhir.realtime.views import view
from hayat_fhir.services.consultations import Consultations
from hayat_fhir.services.presence import Presence
from hayat_fhir.store.consultations import Consultation
from hayat_fhir.store.presence import Connected
from hayat_fhir.store.signals import EVERYBODY, Signals

_LONGEST_TEXT = 4000
_REMEMBERED = 2000
_PEER_PATIENCE = 20
"""Tenths of a second within which a peer id must have come to be known."""


class Calls:
    """The events of calls, and what the members of a consultation are told."""

    def __init__(self, sockets: Sockets, presence: Presence, consultations: Consultations, signals: Signals) -> None:
        self._sockets = sockets
        self._server = sockets.server
        self._presence = presence
        self._consultations = consultations
        self._signals = signals
        self._last: dict[str, Consultation] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        sockets.on("call", self._call)
        sockets.on("answerCall", self._answer)
        sockets.on("join-room", self._join)
        sockets.on("leave-room", self._leave)
        sockets.on("message", self._message)
        sockets.on_gone(self._gone)
        presence.listen(self._moved)

    async def changed(self, consultation: Consultation) -> None:
        """Tell the members that are connected here what has become of their consultation."""
        last = self._last.get(consultation.id)
        self._last[consultation.id] = consultation
        while len(self._last) > _REMEMBERED:
            del self._last[next(iter(self._last))]
        if last == consultation:
            return
        for member in {*consultation.members, *(last.members if last else ())}:
            await self._sockets.emit("consultation", view(consultation), to=account_room(member.account))
        if last is None or last.state != consultation.state:
            await self._tell_older(consultation)
        if not consultation.is_open:
            for one in self._presence.in_room(consultation.id):
                if one.kind == "socket" and self._presence.own(one.id) is not None:
                    await self._put_out(one.id, consultation.id)

    async def _tell_older(self, consultation: Consultation) -> None:
        """The same for the app that knows only rings and answers."""
        doctor, patient = account_room(consultation.doctor.account), account_room(consultation.patient.account)
        if consultation.state == "ringing":
            message = {
                "from": consultation.origin or consultation.id,
                "url": consultation.doctor.id,
                "patient": consultation.patient.id,
            }
            await self._sockets.emit("retrieve", message, to=doctor)
        elif consultation.state in {"active", "declined", "missed"}:
            await self._sockets.emit("retrieveCall", consultation.state == "active", to=patient)

    async def said(self, room: str, text: str, author: str, *, everywhere: bool = False) -> None:
        """Hand a text to the sockets of a room that are connected here, or over Redis to all of them."""
        await self._sockets.emit("createMessage", (text, author), to=consultation_room(room), everywhere=everywhere)

    async def _call(self, session: Session, payload: Sequence[Any]) -> dict[str, Any]:
        called = self._presence.get(payload[0]) if payload and isinstance(payload[0], str) else None
        message = payload[1] if len(payload) > 1 and isinstance(payload[1], dict) else {}
        doctor = "" if called is None else called.reference.rpartition("/")[2]
        patient = (session.caller.reference or "").rpartition("/")[2]
        known = {"from": (session.sid,), "patient": (patient, session.caller.subject), "url": (doctor,)}
        claims = {name: message[name] for name in known if isinstance(message.get(name), str)}
        if any(claim not in known[name] for name, claim in claims.items()):
            await self._sockets.denied(session)
        try:
            if called is None or not called.online:
                raise Conflict("the doctor is not online")
            consultation = await self._consultations.ring(session.caller, doctor, session.sid)
        except Conflict:
            await self._sockets.emit("availableCall", False, to=session.sid)
            raise
        except Forbidden:
            await self._sockets.denied(session)
            raise
        await self._sockets.emit("availableCall", True, to=session.sid)
        return {"consultation": view(consultation)}

    async def _answer(self, session: Session, payload: Sequence[Any]) -> dict[str, Any]:
        current = await self._consultations.current(session.caller)
        if len(payload) < 2 or not isinstance(payload[1], bool):
            raise InvalidRequest("answerCall takes the caller's socket and true or false", code="structure")
        if current is None or payload[0] not in {current.origin, current.id}:
            await self._sockets.denied(session)
            raise NotFound("no such call")
        act = self._consultations.accept if payload[1] else self._consultations.decline
        return {"consultation": view(await act(session.caller, current.id))}

    async def _join(self, session: Session, payload: Sequence[Any]) -> dict[str, Any]:
        room = payload[0] if payload else None
        peer = payload[1] if len(payload) > 1 else None
        if not isinstance(room, str) or not isinstance(peer, str | None) or len(room) > 64:
            raise InvalidRequest("join-room takes a consultation and a peer id", code="structure")
        consultation = await self._consultations.join(session.caller, room)
        if peer is not None and not await self._is_own_peer(session, consultation.id, peer):
            await self._sockets.denied(session)
            raise Forbidden("the peer id is not yours")
        await self._server.enter_room(session.sid, consultation_room(consultation.id))
        if self._presence.own(session.sid) is None:
            one = connected(session, self._presence.process, consultation=consultation.id, peer=peer)
            await self._presence.put(one)
        else:
            await self._presence.change(session.sid, consultation=consultation.id, peer=peer)
        if session.sid not in self._sockets.sessions:
            await self._presence.remove(session.sid)
        others = [
            {"peer": other.peer or other.id, **_who(other)}
            for other in self._presence.in_room(consultation.id)
            if other.kind == "socket" and other.id != session.sid
        ]
        return {"consultation": view(consultation), "others": others}

    async def _is_own_peer(self, session: Session, consultation: str, peer: str) -> bool:
        """Whether the signalling server knows this peer as the caller's; another process's news may take a moment."""
        for _ in range(_PEER_PATIENCE):
            one = self._presence.get(peer)
            if one is not None:
                return (one.kind, one.account, one.consultation) == ("peer", session.caller.subject, consultation)
            await asyncio.sleep(0.1)
        return False

    async def _leave(self, session: Session, payload: Sequence[Any]) -> None:
        del payload
        one = self._presence.own(session.sid)
        if one is not None and one.consultation is not None:
            await self._put_out(session.sid, one.consultation)

    async def _put_out(self, sid: str, consultation: str) -> None:
        await self._server.leave_room(sid, consultation_room(consultation))
        await self._presence.change(sid, consultation=None, peer=None)

    async def _message(self, session: Session, payload: Sequence[Any]) -> None:
        text = payload[0] if payload else None
        one = self._presence.own(session.sid)
        if one is None or one.consultation is None:
            raise Conflict("join a room first")
        if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_TEXT:
            raise InvalidRequest("a message is a text of 1 to 4,000 characters", code="value")
        author = one.reference.rpartition("/")[2]
        await self.said(one.consultation, text, author, everywhere=self._sockets.shared)
        if not self._sockets.shared and any(
            other.process != self._presence.process for other in self._presence.in_room(one.consultation)
        ):
            said = {"room": one.consultation, "text": text, "author": author, "by": self._presence.process}
            await self._signals.send(EVERYBODY, said)

    async def _gone(self, session: Session) -> None:
        await self._presence.remove(session.sid)

    def _moved(self, before: Connected | None, now: Connected | None) -> None:
        """Somebody has come into a room or left it: those of the room that are connected here are told."""
        left = before if before is not None and (now is None or now.consultation != before.consultation) else None
        came = now if now is not None and (before is None or before.consultation != now.consultation) else None
        for event, one in (("user-disconnected", left), ("user-connected", came)):
            if one is not None and one.kind == "socket" and one.consultation is not None:
                task = asyncio.get_running_loop().create_task(self._tell(event, one))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _tell(self, event: str, one: Connected) -> None:
        await self._sockets.emit(
            event, (one.peer or one.id, _who(one)), to=consultation_room(one.consultation or ""), skip_sid=one.id
        )


def _who(one: Connected) -> dict[str, str]:
    return {"id": one.reference.rpartition("/")[2], "name": one.name, "role": one.role}
