"""Rows of imaging studies that an earlier version of the software has projected, and their replacement."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from hayat_fhir.store.database import Database
from hayat_fhir.store.faults import answered
from hayat_fhir.store.imaging_studies import ImagingStudyRow, to_document
from hayat_fhir.store.index_renewal import IMAGING, NOT_LATER, due_criteria

_BATCH = 50


@dataclass(frozen=True, slots=True)
class DueRow:
    """The row of a study (Study Instance UID) that is to be renewed, and the id of its ImagingStudy."""

    study: str
    imaging_study: str
    series: list[dict[str, Any]]
    """Its series as they were: another projection makes others."""


class ImagingRowRenewal:
    """Finds such rows and replaces them; who does that knows the images of the study."""

    def __init__(self, database: Database) -> None:
        self._rows = database.collection(IMAGING)

    async def batches(self, *, everything: bool = False) -> AsyncGenerator[list[DueRow], None]:
        """The rows that are due; with ``everything`` also those of the present rules.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        shown = {"imaging_study": True, "series": True}
        cursor = self._rows.find(due_criteria(everything), shown, batch_size=_BATCH)
        try:
            with answered():
                while rows := await cursor.to_list(_BATCH):
                    yield [DueRow(row["_id"], row["imaging_study"], row["series"]) for row in rows]
        finally:
            await cursor.close()

    async def replace(self, due: DueRow, row: ImagingStudyRow) -> bool:
        """Replace a row; False where it has gone or been projected anew meanwhile, or is of later rules.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        same = {"_id": due.study, "series": due.series, **NOT_LATER}
        with answered():
            done = await self._rows.replace_one(same, to_document(row))
        return done.matched_count > 0
