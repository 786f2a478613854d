"""Image instances: one row for each SOP instance, the atom from which imaging studies are projected.

``instances``: ``{_id: SOP Instance UID, study, series, .., blob, sha256, pending}``. ``quarantine``: what contradicts
what is stored, with its bytes; ``store/quarantine.py`` tells of its rows.
The DICOM door writes from threads (``store/incoming_instances.py``); the worker and the API read from their event
loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from hashlib import sha256
from typing import Any

from hayat_fhir.store.database import Database
from hayat_fhir.store.faults import answered

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
    document: str | None = None
    """The resource (``Type/id``) that was made of it, where it is a document: whoever may not see that gets neither."""


_FIELDS = tuple(one.name for one in fields(Instance))


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
