"""Video consultations: from the ring to the end; each is an Encounter of class virtual.

https://hl7.org/fhir/R4/encounter.html
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hayat_fhir.errors import Conflict, Forbidden, Gone, NotFound, Refusal
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.consultation_encounter import encounter
from hayat_fhir.services.drafting import new_id
from hayat_fhir.services.interactions import Interactions
from hayat_fhir.services.presence import Presence
from hayat_fhir.store.consultations import Consultation, Member
from hayat_fhir.store.consultations import Consultations as ConsultationRows

RING = timedelta(seconds=60)
EMPTY = timedelta(seconds=60)
"""How long a doctor is rung, and how long a consultation with nobody in its room goes on."""

_SITE = Caller(Role.SITE, "consultations")


class Consultations:
    """What patients and doctors do with consultations."""

    def __init__(
        self,
        rows: ConsultationRows,
        presence: Presence,
        interactions: Interactions,
        auditing: Auditing,
    ) -> None:
        self._rows = rows
        self._presence = presence
        self._interactions = interactions
        self._auditing = auditing

    async def ring(self, caller: Caller, doctor: str, origin: str | None = None) -> Consultation:
        """Ring a doctor, by Practitioner id; ``origin`` is the socket that asks, where one does.

        Raises:
            Forbidden: The caller is no patient.
            Conflict: The doctor is not online, or one of the two is in a consultation.
        """
        if caller.role is not Role.PATIENT:
            raise Forbidden("only a patient calls a doctor")
        sockets = self._presence.sockets(doctor)
        if not sockets:
            raise Conflict("the doctor is not online")
        called = sockets[0]
        consultation = Consultation(
            id=new_id(),
            state="ringing",
            doctor=Member(called.account, called.reference, called.name, called.role),
            patient=_member(caller),
            created=_now(),
            origin=origin,
        )
        await self._rows.add(consultation)
        return consultation

    async def accept(self, caller: Caller, id: str) -> Consultation:
        """The doctor takes the call: the Encounter begins.

        Raises:
            NotFound: The caller is no member.
            Forbidden: The caller is not the doctor, or may not write Encounters.
            Conflict: It rings no more.
        """
        consultation = await self._as_doctor(caller, id)
        if consultation.state != "ringing":
            raise Conflict("the consultation rings no more")
        moment = _now()
        begun = replace(consultation, state="active", started=moment)
        await self._interactions.update(caller, "Encounter", id, encounter(begun), absent=True)
        moved = await self._rows.move(id, ("ringing",), "active", {"started": moment, "seen": moment})
        if moved is None:
            await self._write(_SITE, replace(begun, state="cancelled", ended=_now()))
            raise Conflict("the consultation rings no more")
        return moved

    async def decline(self, caller: Caller, id: str) -> Consultation:
        """The doctor does not take the call; somebody invited does not come, and is no member any more.

        Raises:
            NotFound: The caller is no member.
            Forbidden: The caller is the patient.
            Conflict: It rings no more, or who was invited is in the room.
        """
        consultation = await self._known(caller, id)
        if caller.subject not in consultation.sides:
            return await self._stay_away(caller, id)
        await self._as_doctor(caller, id)
        return _still(await self._rows.move(id, ("ringing",), "declined", {"ended": _now()}))

    async def end(self, caller: Caller, id: str) -> Consultation:
        """The doctor or the patient ends it; one that rings is cancelled.

        Raises:
            NotFound: The caller is no member.
            Forbidden: The caller was only invited.
            Conflict: It is over.
        """
        consultation = await self._known(caller, id)
        if caller.subject not in consultation.sides:
            raise Forbidden("only the doctor and the patient end a consultation")
        if consultation.state == "ringing":
            return _still(await self._rows.move(id, ("ringing",), "cancelled", {"ended": _now()}))
        ended = _still(
            await self._rows.move(id, ("active",), "ended", {"ended": _now(), "recorder": None, "relay": None})
        )
        await self._write(caller if caller.role is Role.DOCTOR else _SITE, ended)
        return ended

    async def end_overdue(self) -> None:
        """End what has rung too long, and what nobody is in any more."""
        for late in await self._rows.overdue(RING, EMPTY):
            if late.state == "ringing":
                await self._rows.move(late.id, ("ringing",), "missed", {"ended": _now()})
            elif not any(one.account in late.accounts for one in self._presence.in_room(late.id)):
                values = {"ended": late.seen or _now(), "recorder": None, "relay": None}
                ended = await self._rows.move(late.id, ("active",), "ended", values)
                if ended is not None:
                    await self._write(_SITE, ended)

    async def abandon(self, account: str) -> None:
        """End what a side whose account has been disabled has open; an invitation of it is taken back.

        Raises:
            Unavailable: The database does not answer.
        """
        while (found := await self._rows.open_of(account)) is not None:
            if account not in found.sides:
                changed = await self._rows.withdraw(found.id, account)
            elif found.state == "ringing":
                changed = await self._rows.move(found.id, ("ringing",), "cancelled", {"ended": _now()})
            else:
                values = {"ended": _now(), "recorder": None, "relay": None}
                changed = await self._rows.move(found.id, ("active",), "ended", values)
            if changed is None:
                return
            if changed.started is not None:
                await self._write(_SITE, changed)

    async def note_rooms(self) -> None:
        """Note that somebody is in the rooms in which connections of this process are."""
        if rooms := self._presence.rooms():
            await self._rows.seen(sorted(rooms))

    async def read(self, caller: Caller, id: str) -> Consultation:
        """One consultation of the caller's.

        Raises:
            NotFound: There is none, or the caller is no member.
        """
        found = await self._known(caller, id)
        await self._auditing.record(caller, "read", "0", [f"Encounter/{id}"], [found.patient.reference])
        return found

    async def _known(self, caller: Caller, id: str) -> Consultation:
        """The consultation of the caller's that is asked about; an attempt at another's is audited."""
        found = await self._rows.by_id(id)
        if found is None or found.member(caller.subject) is None:
            await self._auditing.record(caller, "denied", "4", [f"Encounter/{found.id}"] if found else [])
            raise NotFound("no such consultation")
        return found

    async def of(self, caller: Caller, state: str | None = None) -> list[Consultation]:
        """The caller's consultations, newest first, 50 at most.

        Raises:
            Unavailable: They cannot be read, or not be audited.
        """
        query = "consultations" + (f"?state={state}" if state else "")
        async with self._auditing.access(caller, "search-type", query=query) as access:
            found = await self._rows.of(caller.subject, state)
            access.entities += [f"Encounter/{one.id}" for one in found]
            access.patients.update(one.patient.reference for one in found)
            return found

    async def current(self, caller: Caller) -> Consultation | None:
        """The caller's consultation that rings or runs."""
        return await self._rows.open_of(caller.subject)

    async def join(self, caller: Caller, room: str) -> Consultation:
        """The active consultation of a room: by its id, or by the Practitioner id of its doctor.

        Raises:
            NotFound: The caller is no member.
            Conflict: It is not active.
        """
        found = await self.current(caller)
        if found is None or room not in {found.id, found.doctor.id}:
            found = await self._known(caller, room)
        if found.state != "active":
            raise Conflict("the consultation is not active")
        return found

    async def invite(self, caller: Caller, id: str, doctor: str) -> Consultation:
        """The doctor lets another doctor, who is online, into the room.

        Raises:
            NotFound: The caller is no member.
            Forbidden: The caller is not the doctor.
            Conflict: The consultation is not active, or the other is not online or invited already.
        """
        await self._as_doctor(caller, id)
        sockets = self._presence.sockets(doctor)
        if not sockets:
            raise Conflict("the doctor is not online")
        one = sockets[0]
        invited = _still(await self._rows.invite(id, Member(one.account, one.reference, one.name, one.role)))
        await self._write(caller, invited)
        return invited

    async def _stay_away(self, caller: Caller, id: str) -> Consultation:
        if any(one.account == caller.subject for one in self._presence.in_room(id)):
            raise Conflict("who is in the room does not decline")
        without = _still(await self._rows.withdraw(id, caller.subject))
        await self._write(_SITE, without)
        return without

    async def agree(self, caller: Caller, id: str, *, agrees: bool) -> Consultation:
        """The doctor or the patient agrees to be recorded, or no more.

        Raises:
            NotFound: The caller is no member.
            Forbidden: The caller was only invited.
            Conflict: The consultation is not active.
        """
        consultation = await self._known(caller, id)
        if caller.subject not in consultation.sides:
            raise Forbidden("the doctor and the patient decide on recording")
        return _still(await self._rows.agree(id, caller.subject, agrees=agrees))

    async def _as_doctor(self, caller: Caller, id: str) -> Consultation:
        consultation = await self._known(caller, id)
        if caller.subject != consultation.doctor.account:
            raise Forbidden("only the doctor who was called may do this")
        return consultation

    async def _write(self, caller: Caller, consultation: Consultation) -> None:
        """Bring the Encounter to what the consultation is; what others have added to it stays."""
        try:
            stored = await self._interactions.read(_SITE, "Encounter", consultation.id)
        except (NotFound, Gone):
            await self._interactions.update(_SITE, "Encounter", consultation.id, encounter(consultation))
            return
        resource = {**(stored.resource or {}), **encounter(consultation)}
        try:
            await self._interactions.update(caller, "Encounter", consultation.id, resource)
        except Refusal:
            if caller is _SITE:
                raise
            await self._interactions.update(_SITE, "Encounter", consultation.id, resource)


def _member(caller: Caller) -> Member:
    if caller.reference is None:
        raise Forbidden("no resource stands for the caller")
    return Member(caller.subject, caller.reference, caller.name or "", caller.role)


def _still(moved: Consultation | None) -> Consultation:
    if moved is None:
        raise Conflict("the consultation is not in a state that allows this")
    return moved


def _now() -> datetime:
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
