"""Image instances: one row for each SOP instance, the atom from which imaging studies are projected.

``instances``: ``{_id: SOP Instance UID, study, series, .., blob, sha256, pending}``. ``quarantine``: what contradicts
what is stored, with its bytes; ``store/quarantine.py`` tells of its rows.
The DICOM door writes from threads; the worker and the API read from their event loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from hashlib import sha256
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.database import Database as SyncDatabase
from pymongo.errors import AutoReconnect, OperationFailure

from hayat_fhir.errors import Unavailable
from hayat_fhir.store.blob_reconciliation import Named
from hayat_fhir.store.database import Database
from hayat_fhir.store.faults import answered
from hayat_fhir.store.group_commit import Committing, GroupCommit
from hayat_fhir.store.identities import Identities

_INDEXES = [
    IndexModel([("study", ASCENDING), ("series", ASCENDING)], name="study"),
    IndexModel([("blob", ASCENDING)], name="blob"),
    IndexModel(
        [("pending", ASCENDING), ("study", ASCENDING), ("received", ASCENDING)],
        name="waiting",
        partialFilterExpression={"pending": True},
    ),
]
_FORMER_INDEX = "pending"
"""What ``waiting`` was before it held when images came: then each that waits was read to learn that."""
_QUARANTINE_INDEXES = [
    IndexModel("blob"),
    IndexModel([("uid", ASCENDING), ("sha256", ASCENDING)]),
    IndexModel([("study", ASCENDING), ("state", ASCENDING)]),
    IndexModel([("state", ASCENDING), ("received", DESCENDING), ("_id", ASCENDING)]),
]
_DUPLICATE = 11000
_NO_SUCH_INDEX = 27
OPEN = "open"
"""The state of what is in quarantine and waits for a decision."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One image as it was received. ``sha256`` and ``size`` are of the data set's bytes as they travelled.

    ``peer`` is the partner that sent it, ``system`` the identifier system of its patient number, ``blob`` the key of
    its file, ``offset`` where the data set begins in it, ``attributes`` the DICOM JSON of its header.
    """

    uid: str
    study: str
    series: str
    sop_class: str
    transfer_syntax: str
    sha256: str
    size: int
    blob: str
    offset: int
    peer: str
    system: str
    patient_id: str
    received: datetime
    attributes: dict[str, Any] = field(default_factory=dict)
    imaging_study: str | None = None
    """The id of the ImagingStudy that was projected from it: whoever may see that may see the image."""
    admitted: str | None = None
    """The entry of the quarantine whose acceptance let it in, where there was one."""


_FIELDS = tuple(one.name for one in fields(Instance))
_NAMED = {"uid": True, "blob": True, "sha256": True, "offset": True, "size": True}


class IncomingInstances:
    """The writing side, for the threads of the DICOM door."""

    def __init__(self, database: SyncDatabase[dict[str, Any]]) -> None:
        self._rows = database["instances"]
        self._quarantine = database["quarantine"]
        self.identities = Identities(database)
        self._adding = GroupCommit(self._insert)

    def prepare(self) -> None:
        """Make the indexes.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            self._rows.create_indexes(_INDEXES)
            self._quarantine.create_indexes(_QUARANTINE_INDEXES)
            try:
                self._rows.drop_index(_FORMER_INDEX)
            except OperationFailure as failure:
                if failure.code != _NO_SUCH_INDEX:
                    raise
        self.identities.prepare()

    def kept(self, uid: str) -> Named | None:
        """The digest and the file of the instance with this UID; None where there is none.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            row = self._rows.find_one({"_id": uid}, _NAMED)
        return None if row is None else _named(row)

    def add(self, instance: Instance) -> Committing[dict[str, Any], bool]:
        """Begin to make the row durable; the result is False where there is one with this UID already.

        That may be this one. What several threads add at the same time becomes durable together. The result raises
        Unavailable where MongoDB does not answer, and so does this where it cannot begin.
        """
        return self._adding.submit(instance_row(instance))

    def _insert(self, rows: Sequence[dict[str, Any]]) -> Sequence[bool]:
        """Which of these rows were not there yet.

        The command is sent as it is: a retryable write costs the server a second one, and the driver's bulk a quarter
        of the time that this takes. Where the connection breaks it is sent once more, and may find its own rows.
        """
        command = {
            "insert": self._rows.name,
            "documents": rows,
            "ordered": False,
            "writeConcern": self._rows.write_concern.document,
        }
        with answered():
            try:
                reply = self._rows.database.command(command)
            except AutoReconnect:
                reply = self._rows.database.command(command)
        faults = reply.get("writeErrors", ())
        if "writeConcernError" in reply or any(fault["code"] != _DUPLICATE for fault in faults):
            raise Unavailable("the database cannot make this durable")
        there = {fault["index"] for fault in faults}
        return [index not in there for index in range(len(rows))]

    def quarantine(self, instance: Instance, reason: str, differs: Sequence[str] = ()) -> bool:
        """Keep an image that contradicts what is stored; False where the same bytes are there for this reason.

        ``differs``: what of the patient's demographics it disagrees in.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        row = quarantine_row(instance, reason, differs)
        with answered():
            done = self._quarantine.update_one({"_id": row.pop("_id")}, {"$setOnInsert": row}, upsert=True)
        return done.upserted_id is not None

    def is_quarantined(self, uid: str, sha256: str) -> bool:
        """Whether these bytes under this UID are in quarantine already.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            return self._quarantine.find_one({"uid": uid, "sha256": sha256}, {"_id": True}) is not None

    def naming(self, blob: str) -> list[Named]:
        """The rows, in quarantine too, that name this file.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            found = [*self._rows.find({"blob": blob}, _NAMED), *self._quarantine.find({"blob": blob}, _NAMED)]
        return [_named(row) for row in found]

    def begun_since(self, key: str) -> Iterator[Named]:
        """The rows, in quarantine too, whose file's key is this one or a later one.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        for rows in (self._rows, self._quarantine):
            with answered():
                for row in rows.find({"blob": {"$gte": key}}, _NAMED):
                    yield _named(row)

    def withdraw(self, row: Named) -> None:
        """Take a row back whose bytes are not there; what is left of its study will be projected again.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            self._quarantine.delete_many({"blob": row.blob})
            gone = self._rows.find_one_and_delete({"_id": row.uid, "blob": row.blob}, {"study": True})
            if gone is not None:
                self._rows.update_many({"study": gone["study"]}, {"$set": {"pending": True}})


class Instances:
    """The reading side, for the worker and the API."""

    def __init__(self, database: Database) -> None:
        self._rows = database.collection("instances")
        self._studies = database.collection("studies")

    async def get(self, uid: str) -> Instance | None:
        """The instance with this UID, or None.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            row = await self._rows.find_one({"_id": uid})
        return None if row is None else instance_of(row)

    async def named(self, uids: Sequence[str]) -> list[Instance]:
        """Those of these instances that are there.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            return [instance_of(row) async for row in self._rows.find({"_id": {"$in": list(uids)}})]

    async def of_study(self, study: str) -> list[Instance]:
        """All instances of a study, by series and UID.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            rows = await self._rows.find({"study": study}).sort([("series", 1), ("_id", 1)]).to_list(None)
        return [instance_of(row) for row in rows]

    async def located(self, study: str, series: str | None = None, uid: str | None = None) -> list[Instance]:
        """The instances of a study, of one of its series or one of them, by series and UID, without attributes.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        if uid is not None:  # by its key alone: with more criteria MongoDB may choose to go through the whole series
            with answered():
                row = await self._rows.find_one({"_id": uid}, {"attributes": False})
            one = None if row is None else instance_of(row)
            return [one] if one is not None and one.study == study and series in {None, one.series} else []
        criteria = {"study": study} if series is None else {"study": study, "series": series}
        with answered():
            found = self._rows.find(criteria, {"attributes": False})
            rows = await found.sort([("series", 1), ("_id", 1)]).to_list(None)
        return [instance_of(row) for row in rows]

    async def pending_studies(self, quiet_since: datetime) -> list[str]:
        """Studies with images that are not projected yet, and none received after ``quiet_since``.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        stages: list[dict[str, Any]] = [
            {"$match": {"pending": True}},
            {"$group": {"_id": "$study", "last": {"$max": "$received"}}},
            {"$match": {"last": {"$lte": quiet_since}}},
            {"$sort": {"last": 1}},
        ]
        with answered():
            found = [str(row["_id"]) async for row in await self._rows.aggregate(stages)]
            touched = [
                str(row["_id"]) async for row in self._studies.find({"touched": {"$exists": True}}, {"_id": True})
            ]
        return list(dict.fromkeys([*found, *touched]))

    async def touched(self, study: str) -> str | None:
        """The mark of the last decision about a study that is not projected yet; None where there is none.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            row = await self._studies.find_one({"_id": study}, {"touched": True})
        return None if row is None else row.get("touched")

    async def settle(self, study: str, touched: str) -> None:
        """The decision with this mark is projected.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            await self._studies.update_one({"_id": study, "touched": touched}, {"$unset": {"touched": True}})

    async def projected(self, instances: list[Instance], imaging_study: str) -> None:
        """Mark instances as projected into this ImagingStudy.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            uids = [instance.uid for instance in instances]
            await self._rows.update_many(
                {"_id": {"$in": uids}}, {"$set": {"pending": False, "imaging_study": imaging_study}}
            )


def quarantine_row(instance: Instance, reason: str, differs: Sequence[str] = (), state: str = OPEN) -> dict[str, Any]:
    """The row of an image in quarantine; the same bytes for the same reason make the same one."""
    id = sha256(f"{instance.uid}|{instance.sha256}|{reason}".encode()).hexdigest()[:32]
    about = {"reason": reason, "state": state, "differs": list(differs), "decisions": []}
    return {"_id": id, **asdict(instance), **about}


def instance_row(instance: Instance) -> dict[str, Any]:
    """The row of an instance that is to be projected."""
    row = {name: getattr(instance, name) for name in _FIELDS}
    return {"_id": row.pop("uid"), **row, "pending": True}


def instance_of(row: dict[str, Any]) -> Instance:
    """The instance of a row."""
    return Instance(row["_id"], **{name: row[name] for name in _FIELDS if name != "uid" and name in row})


def _named(row: dict[str, Any]) -> Named:
    uid = str(row.get("uid", row["_id"]))
    return Named(uid, str(row["blob"]), str(row["sha256"]), int(row["offset"]), int(row["size"]))
