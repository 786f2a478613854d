"""Image instances as they come in: written from the threads of the DICOM door, many at once in one command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.database import Database as SyncDatabase
from pymongo.errors import OperationFailure

from hayat_fhir.store.blob_reconciliation import Named
from hayat_fhir.store.faults import answered
from hayat_fhir.store.group_commit import Committing, GroupCommit
from hayat_fhir.store.identities import Identities
from hayat_fhir.store.insertion import Insertion, encoded
from hayat_fhir.store.instances import Instance, instance_row, quarantine_row

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
_NO_SUCH_INDEX = 27
_NAMED = {"uid": True, "blob": True, "sha256": True, "offset": True, "size": True}


class IncomingInstances:
    """The writing side, for the threads of the DICOM door."""

    def __init__(self, database: SyncDatabase[dict[str, Any]]) -> None:
        self._rows = database["instances"]
        self._quarantine = database["quarantine"]
        self.identities = Identities(database)
        self._adding = GroupCommit(Insertion(self._rows))

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

    def add(self, instance: Instance) -> Committing[RawBSONDocument, bool]:
        """Begin to make the row durable; the result is False where there is one with this UID already.

        That may be this one. What several threads add at the same time becomes durable together. The result, which
        must be asked for, raises Unavailable where MongoDB does not answer.

        Raises:
            InvalidRequest: It cannot be stored.
        """
        return self._adding.submit(encoded(instance_row(instance), self._rows))

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


def _named(row: dict[str, Any]) -> Named:
    uid = str(row.get("uid", row["_id"]))
    return Named(uid, str(row["blob"]), str(row["sha256"]), int(row["offset"]), int(row["size"]))
