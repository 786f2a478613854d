"""Consultations: one row each, from the ring to the end; a doctor has one open at a time, and so has a patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from hayat_fhir.errors import Conflict
from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import now
from hayat_fhir.store.faults import answered

CONSULTATIONS = "consultations"
OPEN = ("ringing", "active")


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody of a consultation: their account, the resource that stands for them, and how they are called."""

    account: str
    reference: str
    name: str
    role: str

    @property
    def id(self) -> str:
        """The logical id of the resource."""
        return self.reference.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Consultation:
    """One consultation; ``id`` is also that of its Encounter, which exists from ``started`` on.

    ``state``: ringing, active, ended, declined, cancelled, missed. ``agreed``: accounts that agree to be recorded.
    ``recorder``, ``relay``: the peer ids of the recording and of the relay that run. ``origin``: the socket that rang,
    where one did.
    """

    id: str
    state: str
    doctor: Member
    patient: Member
    created: datetime
    invited: tuple[Member, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None
    agreed: tuple[str, ...] = ()
    recorder: str | None = None
    relay: str | None = None
    origin: str | None = None
    seen: datetime | None = field(default=None, compare=False)
    """When somebody was last known to be in its room."""

    @property
    def members(self) -> tuple[Member, ...]:
        """Everybody who may join its room."""
        return (self.doctor, self.patient, *self.invited)

    @property
    def sides(self) -> frozenset[str]:
        """The accounts of the doctor and the patient."""
        return frozenset({self.doctor.account, self.patient.account})

    @property
    def accounts(self) -> frozenset[str]:
        """The members' accounts."""
        return frozenset(member.account for member in self.members)

    @property
    def is_open(self) -> bool:
        """Whether it rings or runs."""
        return self.state in OPEN

    def member(self, account: str) -> Member | None:
        """The member with this account."""
        return next((member for member in self.members if member.account == account), None)


class Consultations:
    """The rows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.collection(CONSULTATIONS)

    async def add(self, consultation: Consultation) -> None:
        """Store a new one.

        Raises:
            Conflict: The doctor or the patient has one open.
            Unavailable: MongoDB does not answer.
        """
        rows = await self._database.prepared(CONSULTATIONS)
        row = {"_id": consultation.id, **asdict(consultation), "open": True}
        row["accounts"] = [member.account for member in consultation.members]
        del row["id"]
        with answered():
            try:
                await rows.insert_one(row)
            except DuplicateKeyError as error:
                raise Conflict("one of the two is in a consultation already") from error

    async def by_id(self, id: str) -> Consultation | None:
        """The one with this id, or None.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            row = await self._rows.find_one({"_id": id})
        return None if row is None else consultation(row)

    async def open_of(self, account: str) -> Consultation | None:
        """The open one that this account is a member of, or None.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            row = await self._rows.find_one({"accounts": account, "open": True}, sort=[("created", -1)])
        return None if row is None else consultation(row)

    async def of(self, account: str, state: str | None = None, limit: int = 50) -> list[Consultation]:
        """Those of an account, newest first.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        criteria = {"accounts": account, **({"state": state} if state else {})}
        with answered():
            rows = await self._rows.find(criteria).sort("created", -1).limit(limit).to_list(None)
        return [consultation(row) for row in rows]

    async def move(
        self, id: str, before: tuple[str, ...], after: str, values: Mapping[str, Any]
    ) -> Consultation | None:
        """From one of these states to another; None where it is in none of them.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        change: dict[str, Any] = {"$set": {"state": after, **values}}
        if after not in OPEN:
            change["$unset"] = {"open": ""}
        return await self._change({"_id": id, "state": {"$in": list(before)}}, change)

    async def invite(self, id: str, member: Member) -> Consultation | None:
        """Add a member to one that is active; None where it is not.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        change = {"$push": {"invited": asdict(member)}, "$addToSet": {"accounts": member.account}}
        return await self._change({"_id": id, "state": "active", "accounts": {"$ne": member.account}}, change)

    async def withdraw(self, id: str, account: str) -> Consultation | None:
        """Take back the invitation of an account to one that is active; None where it has none.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        change = {"$pull": {"invited": {"account": account}, "accounts": account}}
        return await self._change({"_id": id, "state": "active", "invited.account": account}, change)

    async def agree(self, id: str, account: str, *, agrees: bool) -> Consultation | None:
        """Note whether an account agrees to be recorded; None where the consultation is not active.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        change = {("$addToSet" if agrees else "$pull"): {"agreed": account}}
        return await self._change({"_id": id, "state": "active"}, change)

    async def record(self, id: str, before: str | None, after: str | None) -> Consultation | None:
        """Change the recorder, where it is the one before; None where it is not.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._change({"_id": id, "recorder": before}, {"$set": {"recorder": after}})

    async def relay(self, id: str, before: str | None, after: str | None) -> Consultation | None:
        """Change the relay of one that is active, where it is the one before; None where it is not.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._change({"_id": id, "relay": before, "state": "active"}, {"$set": {"relay": after}})

    async def seen(self, ids: list[str]) -> None:
        """Note that somebody is in these rooms.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            await self._rows.update_many({"_id": {"$in": ids}}, {"$set": {"seen": now()}})

    async def overdue(self, ringing: timedelta, empty: timedelta) -> list[Consultation]:
        """Those that have rung too long, and those that nobody has been in for too long.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        moment = now()
        late = [
            {"state": "ringing", "created": {"$lt": moment - ringing}},
            {"state": "active", "seen": {"$lt": moment - empty}},
        ]
        with answered():
            rows = await self._rows.find({"open": True, "$or": late}).to_list(None)
        return [consultation(row) for row in rows]

    async def _change(self, criteria: dict[str, Any], change: dict[str, Any]) -> Consultation | None:
        with answered():
            row = await self._rows.find_one_and_update(criteria, change, return_document=ReturnDocument.AFTER)
        return None if row is None else consultation(row)


def consultation(row: dict[str, Any]) -> Consultation:
    """The consultation of a row."""
    return Consultation(
        id=row["_id"],
        state=row["state"],
        doctor=Member(**row["doctor"]),
        patient=Member(**row["patient"]),
        created=row["created"],
        invited=tuple(Member(**member) for member in row["invited"]),
        started=row["started"],
        ended=row["ended"],
        agreed=tuple(row["agreed"]),
        recorder=row["recorder"],
        relay=row.get("relay"),
        origin=row["origin"],
        seen=row["seen"],
    )
