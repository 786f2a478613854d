"""What has become of each image that was sent to a partner.

``deliveries``: ``{_id: {partner, uid}, study, sha256, state, status, at}``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pymongo import UpdateOne

from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import now
from hayat_fhir.store.faults import answered
from hayat_fhir.store.figures import added


class State(StrEnum):
    """How far an image has come."""

    SENT = "sent"
    """The partner answered its C-STORE with success; nothing proves that it kept it."""
    COMMITTED = "committed"
    """The partner has vouched for it by storage commitment."""
    VERIFIED = "verified"
    """It was read back from the partner, and its bytes are those that were sent."""
    ALTERED = "altered"
    """It was read back from the partner, and its bytes are others."""
    REFUSED = "refused"
    """The partner refused it, or does not vouch for it."""


ARRIVED = frozenset({State.SENT, State.COMMITTED, State.VERIFIED, State.ALTERED})
PROVEN = frozenset({State.COMMITTED, State.VERIFIED})


@dataclass(frozen=True, slots=True)
class Delivered:
    """One image at one partner. ``status`` is the DIMSE status or failure reason that the partner gave."""

    uid: str
    study: str
    sha256: str
    state: State
    status: int | None = None


class Deliveries:
    """One row for each partner and image."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.collection("deliveries")

    async def record(self, partner: str, delivered: Sequence[Delivered]) -> None:
        """These images have come as far as this.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        if not delivered:
            return
        rows = await self._database.prepared("deliveries")
        moment = now()
        changes = [
            UpdateOne(
                {"_id": {"partner": partner, "uid": one.uid}},
                {
                    "$set": {
                        "study": one.study,
                        "sha256": one.sha256,
                        "state": str(one.state),
                        "status": one.status,
                        "at": moment,
                    }
                },
                upsert=True,
            )
            for one in delivered
        ]
        with answered():
            await rows.bulk_write(changes, ordered=False)
            by_state = Counter(str(one.state) for one in delivered)
            counted = [added("hayat_dicom_deliveries", number, (("state", of),)) for of, number in by_state.items()]
            await self._database.collection("figures").bulk_write(counted, ordered=False)

    async def of(self, partner: str, uids: Sequence[str]) -> dict[str, Delivered]:
        """What is known of these images at a partner, by UID.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        criteria = {"_id": {"$in": [{"partner": partner, "uid": uid} for uid in uids]}}
        with answered():
            return {row["_id"]["uid"]: _delivered(row) for row in await self._rows.find(criteria).to_list(None)}


def _delivered(row: dict[str, Any]) -> Delivered:
    return Delivered(row["_id"]["uid"], row["study"], row["sha256"], State(row["state"]), row.get("status"))
