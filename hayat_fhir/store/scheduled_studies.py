"""Study Instance UIDs that worklists have given out for orders whose id does not follow from the UID.

``scheduled_studies``: ``{_id: Study Instance UID, order: id of the ServiceRequest, at}``.
"""

from __future__ import annotations

from collections.abc import Mapping

from pymongo import UpdateOne

from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import now
from hayat_fhir.store.faults import answered


class ScheduledStudies:
    """The way back from the study to the order."""

    def __init__(self, database: Database) -> None:
        self._rows = database.collection("scheduled_studies")

    async def keep(self, orders: Mapping[str, str]) -> None:
        """Keep the ids of orders by the UIDs under which they are given out.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        if not orders:
            return
        at = now()
        with answered():
            await self._rows.bulk_write(
                [
                    UpdateOne({"_id": study}, {"$setOnInsert": {"order": order, "at": at}}, upsert=True)
                    for study, order in orders.items()
                ],
                ordered=False,
            )

    async def order(self, study: str) -> str | None:
        """The id of the order that was given out under this UID, if it is kept.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            row = await self._rows.find_one({"_id": study})
        return None if row is None else str(row["order"])
