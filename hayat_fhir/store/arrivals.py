"""When studies arrived, and how far they have come: one row each, kept by the projection, read by the staff.

``arrivals``: ``{_id: Study Instance UID, first, last, imaging_study, patient, sender, modalities, instances, bytes}``.
Both moments are indexed, so that the latest and those of a range of days are read alone, however many there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pymongo import DESCENDING

from hayat_fhir.store.database import Database
from hayat_fhir.store.faults import answered


@dataclass(frozen=True, slots=True)
class Arrival:
    """A study that arrived: ``first`` and ``last`` are when its first and its last image did so far.

    ``patient`` refers to the Patient, ``sender`` is the id of the partner's Organization, empty where it is none.
    """

    study: str
    first: datetime
    last: datetime
    imaging_study: str
    patient: str
    sender: str
    modalities: tuple[str, ...]
    instances: int
    bytes: int


class Arrivals:
    """The rows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.collection("arrivals")

    async def put(self, arrival: Arrival) -> None:
        """Make a row, or bring it up to date.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        rows = await self._database.prepared("arrivals")
        document = asdict(arrival)
        study = document.pop("study")
        with answered():
            await rows.replace_one({"_id": study}, {**document, "modalities": list(arrival.modalities)}, upsert=True)

    async def latest(self, count: int) -> list[Arrival]:
        """Those to which an image came last.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            rows = await self._rows.find().sort("last", DESCENDING).limit(count).to_list(count)
        return [_arrival(row) for row in rows]


def _arrival(row: Mapping[str, Any]) -> Arrival:
    values = {name: row[name] for name in Arrival.__slots__ if name not in {"study", "modalities"}}
    return Arrival(study=row["_id"], modalities=tuple(row["modalities"]), **values)
