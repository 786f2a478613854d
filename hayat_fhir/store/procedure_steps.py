"""Performed procedure steps: what modalities say that they are doing.

``procedure_steps``: ``{_id: SOP Instance UID, peer, state, attributes, revision, pending}``, ``pending`` until the
revision has become FHIR.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymongo.errors import DuplicateKeyError

from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import now
from hayat_fhir.store.faults import answered

Attributes = dict[str, Any]
"""DICOM JSON."""


@dataclass(frozen=True, slots=True)
class ProcedureStep:
    """One step as the modality last described it. ``state`` is its Performed Procedure Step Status."""

    uid: str
    peer: str
    state: str
    attributes: Attributes
    revision: int = 1


class ProcedureSteps:
    """One row for each step."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.collection("procedure_steps")

    async def add(self, step: ProcedureStep) -> bool:
        """A step begins; False where there is one with this UID.

        Raises:
            Unavailable: MongoDB does not answer.
            TooLarge: It is too large to store.
        """
        rows = await self._database.prepared("procedure_steps")
        row = {
            "_id": step.uid,
            "peer": step.peer,
            "state": step.state,
            "attributes": step.attributes,
            "revision": step.revision,
            "pending": True,
            "at": now(),
        }
        with answered():
            try:
                await rows.insert_one(row)
            except DuplicateKeyError:
                return False
        return True

    async def get(self, uid: str) -> ProcedureStep | None:
        """The step with this UID, or None.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            row = await self._rows.find_one({"_id": uid})
        return None if row is None else _step(row)

    async def change(self, step: ProcedureStep) -> bool:
        """The next revision of a step; False where it has been changed meanwhile.

        Raises:
            Unavailable: MongoDB does not answer.
            TooLarge: It is too large to store.
        """
        change = {
            "state": step.state,
            "attributes": step.attributes,
            "revision": step.revision,
            "pending": True,
            "at": now(),
        }
        with answered():
            done = await self._rows.update_one({"_id": step.uid, "revision": step.revision - 1}, {"$set": change})
        return bool(done.matched_count)

    async def pending(self, limit: int = 100) -> list[ProcedureStep]:
        """Steps that have changed since they became FHIR, the oldest first.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            rows = await self._rows.find({"pending": True}).sort("at", 1).limit(limit).to_list(limit)
        return [_step(row) for row in rows]

    async def told(self, step: ProcedureStep) -> None:
        """This revision has become FHIR.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            await self._rows.update_one({"_id": step.uid, "revision": step.revision}, {"$unset": {"pending": ""}})


def _step(row: dict[str, Any]) -> ProcedureStep:
    return ProcedureStep(row["_id"], row["peer"], row["state"], row["attributes"], row["revision"])
