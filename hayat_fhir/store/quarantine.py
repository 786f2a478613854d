"""What is kept in quarantine, and the decisions about it, each of which can be taken back.

``quarantine``: ``{_id, uid, study, .., blob, reason, state, differs, decisions: [{at, by, decision, reason}]}``, one
row for each image. Its bytes stay, whatever is decided. A decision is one transaction: image and entry change together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import uuid4

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from hayat_fhir.dicom.demographics import of_image
from hayat_fhir.errors import Conflict, NotFound
from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import now
from hayat_fhir.store.faults import answered
from hayat_fhir.store.identities import known_patient, patient_key
from hayat_fhir.store.instances import OPEN, Instance, instance_of, instance_row, quarantine_row

OTHER_BYTES = "same SOP Instance UID, other bytes"
OTHER_PATIENT = "same study, other patient"
DEMOGRAPHICS = "same patient number, other demographics"
ACCEPTED, REJECTED, SUPERSEDED = "accepted", "rejected", "superseded"
WITHHELD = "withheld"
"""The state of what a rejection note has withdrawn."""
STATES = (OPEN, ACCEPTED, REJECTED, SUPERSEDED, WITHHELD)
Session = AsyncClientSession
_BATCH = 500
"""Images moved in one transaction."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One image in quarantine. ``differs``: what of the patient's demographics it disagrees in."""

    id: str
    instance: Instance
    reason: str
    state: str
    differs: tuple[str, ...] = ()
    decisions: tuple[dict[str, Any], ...] = ()


class QuarantineRows:
    """The entries, for the staff and for the projection."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.collection("quarantine")
        self._instances = database.collection("instances")
        self._studies = database.collection("studies")
        self._patients = database.collection("patients")

    async def get(self, id: str) -> Entry:
        """One entry.

        Raises:
            NotFound: There is none with this id.
            Unavailable: MongoDB does not answer.
        """
        with answered():
            row = await self._rows.find_one({"_id": id})
        if row is None:
            raise NotFound("no such entry of the quarantine")
        return entry_of(row)

    async def list(
        self, state: str | None = OPEN, study: str | None = None, *, count: int = 100, after: str | None = None
    ) -> Sequence[Entry]:
        """The entries, newest first, from the one on that follows ``after``.

        Raises:
            NotFound: There is no entry ``after``.
            Unavailable: MongoDB does not answer.
        """
        criteria: dict[str, Any] = {} if state is None else {"state": state}
        if study is not None:
            criteria["study"] = study
        if after is not None:
            last = (await self.get(after)).instance.received
            criteria["$or"] = [{"received": {"$lt": last}}, {"received": last, "_id": {"$gt": after}}]
        with answered():
            rows = self._rows.find(criteria).sort([("received", -1), ("_id", 1)]).limit(count)
            return [entry_of(row) for row in await rows.to_list(count)]

    async def accept(self, id: str, by: str, reason: str) -> Entry:
        """Let an image in: as its study's patient's, with its demographics, or in the place of the one that is there.

        Raises:
            NotFound: There is no such entry.
            Conflict: It has been decided, or another image has its UID now.
            Unavailable: MongoDB does not answer.
        """
        return await self._decide(id, (OPEN, WITHHELD), "accept", by, reason, self._admit)

    async def reject(self, id: str, by: str, reason: str) -> Entry:
        """Keep an image out for good; what is stored stays as it is.

        Raises:
            NotFound: There is no such entry.
            Conflict: It has been decided.
            Unavailable: MongoDB does not answer.
        """
        return await self._decide(id, (OPEN,), "reject", by, reason, _nothing_else)

    async def reverse(self, id: str, by: str, reason: str) -> Entry:
        """Take a decision back: everything is as it was before, and waits for a new one.

        Raises:
            NotFound: There is no such entry.
            Conflict: There is no decision to take back.
            Unavailable: MongoDB does not answer.
        """
        return await self._decide(id, (ACCEPTED, REJECTED), "reverse", by, reason, self._expel)

    async def hold(
        self, instances: Sequence[Instance], reason: str, state: str = OPEN, differs: Sequence[str] = ()
    ) -> Sequence[str]:
        """Move images that are stored into quarantine; the keys of files that were there already, and can go.

        Raises:
            Unavailable: MongoDB does not answer.
        """

        async def move(some: Sequence[Instance], session: Session) -> list[str]:
            moved = [await self._move(session, instance, reason, state, differs) for instance in some]
            for study in {instance.study for instance in some}:
                await self._touch(session, study)
            return [blob for blob in moved if blob is not None]

        superfluous: list[str] = []
        for start in range(0, len(instances), _BATCH):
            superfluous += await self._transact(partial(move, instances[start : start + _BATCH]))
        return superfluous

    async def touch(self, studies: Iterable[str]) -> None:
        """Have these studies projected again.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            for study in studies:
                await self._touch(None, study)

    async def accepted_demographics(self, system: str, patient_id: str) -> Sequence[dict[str, str]]:
        """What the staff has accepted as said of this patient.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            row = await self._patients.find_one({"_id": patient_key(system, patient_id)})
        return [] if row is None else [variant for _, variant in known_patient(row).variants]

    async def _decide(
        self,
        id: str,
        states: tuple[str, ...],
        decision: str,
        by: str,
        reason: str,
        carry_out: Callable[[Session, Entry], Awaitable[None]],
    ) -> Entry:
        becomes = {"accept": ACCEPTED, "reject": REJECTED, "reverse": OPEN}[decision]
        note = {"at": now(), "by": by, "decision": decision, "reason": reason}

        async def run(session: Session) -> Entry:
            before = await self._rows.find_one_and_update(
                {"_id": id, "state": {"$in": list(states)}},
                {"$set": {"state": becomes}, "$push": {"decisions": note}},
                session=session,
            )
            if before is None:
                raise Conflict("the entry is not in a state for this decision")
            entry = entry_of(before)
            await carry_out(session, entry)
            await self._touch(session, entry.instance.study)
            return replace(entry, state=becomes, decisions=(*entry.decisions, note))

        await self.get(id)
        decided: Entry = await self._transact(run)
        return decided

    async def _admit(self, session: Session, entry: Entry) -> None:
        instance = replace(entry.instance, admitted=entry.id, imaging_study=None)
        about = {"_id": instance.study}
        if entry.reason == OTHER_PATIENT:
            alias = {"system": instance.system, "patient_id": instance.patient_id, "entry": entry.id}
            study = await self._studies.find_one_and_update(about, {"$push": {"aliases": alias}}, session=session)
            if study is not None:
                instance = replace(instance, system=study["system"], patient_id=study["patient_id"])
        elif entry.reason == DEMOGRAPHICS:
            key = patient_key(instance.system, instance.patient_id)
            variant = {**of_image(instance.attributes), "entry": entry.id}
            await self._patients.update_one(
                {"_id": key}, {"$push": {"variants": variant}}, upsert=True, session=session
            )
        elif entry.reason == OTHER_BYTES:
            row = await self._instances.find_one({"_id": instance.uid}, session=session)
            if row is not None:
                live = instance_of(row)
                await self._move(session, live, f"replaced by {entry.id}", SUPERSEDED)
                await self._touch(session, live.study)
        try:
            await self._instances.insert_one(instance_row(instance), session=session)
        except DuplicateKeyError as error:
            raise Conflict("another image has this UID by now") from error

    async def _expel(self, session: Session, entry: Entry) -> None:
        """Move back all that came in by this entry, and put back what it replaced."""
        if entry.state == REJECTED:
            return
        await self._studies.update_many(
            {"_id": entry.instance.study}, {"$pull": {"aliases": {"entry": entry.id}}}, session=session
        )
        key = patient_key(entry.instance.system, entry.instance.patient_id)
        await self._patients.update_one({"_id": key}, {"$pull": {"variants": {"entry": entry.id}}}, session=session)
        rows = await self._instances.find({"admitted": entry.id}, session=session).to_list(None)
        for row in rows:
            one = instance_of(row)
            await self._touch(session, one.study)
            if one.uid == entry.instance.uid:
                await self._instances.delete_one({"_id": one.uid}, session=session)
            else:
                origin = replace(one, system=entry.instance.system, patient_id=entry.instance.patient_id)
                await self._move(session, origin, entry.reason, OPEN, entry.differs)
        replaced = await self._rows.find_one_and_delete({"reason": f"replaced by {entry.id}"}, session=session)
        if replaced is not None:
            back = replace(entry_of(replaced).instance, imaging_study=None)
            await self._instances.insert_one(instance_row(back), session=session)
            await self._touch(session, back.study)

    async def _move(
        self, session: Session, instance: Instance, reason: str, state: str, differs: Sequence[str] = ()
    ) -> str | None:
        """Move an image into quarantine; the key of its file where the same bytes are there already for this reason."""
        await self._instances.delete_one({"_id": instance.uid, "blob": instance.blob}, session=session)
        row = quarantine_row(replace(instance, imaging_study=None), reason, differs, state)
        kept = await self._rows.find_one_and_update({"_id": row["_id"]}, {"$set": {"state": state}}, session=session)
        if kept is None:
            await self._rows.insert_one(row, session=session)
        return None if kept is None or kept["blob"] == instance.blob else instance.blob

    async def _touch(self, session: Session | None, study: str) -> None:
        """The study has to be projected again, even where no image of it is left."""
        mark = {"$set": {"touched": uuid4().hex}}
        await self._studies.update_one({"_id": study}, mark, session=session)

    async def _transact(self, run: Callable[[Session], Awaitable[Any]]) -> Any:  # noqa: ANN401 - what ``run`` returns
        with answered():
            async with self._database.client.start_session() as session:
                return await session.with_transaction(run)


def entry_of(row: dict[str, Any]) -> Entry:
    """The entry of a row."""
    instance = instance_of({**row, "_id": row["uid"]})
    return Entry(str(row["_id"]), instance, row["reason"], row["state"], tuple(row["differs"]), tuple(row["decisions"]))


async def _nothing_else(session: Session, entry: Entry) -> None:
    """A decision that changes the entry alone."""
