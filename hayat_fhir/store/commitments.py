"""Storage commitments: what peers asked this site to vouch for, and what this site asked of its partners.

``commitments``: ``{_id: {peer, transaction}, failed, committed, due, attempts}``, one for each request of a peer until
its report has been delivered. ``commitment_requests``: ``{_id: Transaction UID, partner, references, committed,
failed}``, one for each request to a partner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import now
from hayat_fhir.store.faults import answered

Reference = tuple[str, str]
"""SOP Class UID and SOP Instance UID."""
_LEASE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Commitment:
    """The answer to a peer's request: what is in custody, and what is not, with the failure reason."""

    peer: str
    transaction: str
    committed: tuple[Reference, ...]
    failed: tuple[tuple[str, str, int], ...]
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class CommitmentRequest:
    """What a partner was asked to commit to, and what it has said: nothing yet where it is not ``answered``."""

    transaction: str
    partner: str
    references: tuple[Reference, ...]
    answered: bool = False
    committed: frozenset[str] = field(default_factory=frozenset)
    failed: Mapping[str, int] = field(default_factory=dict)


class Commitments:
    """Reports that are owed to peers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.collection("commitments")

    async def add(self, commitment: Commitment, wait: timedelta) -> bool:
        """Owe a report from ``wait`` on; False where one with this transaction is owed already.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        rows = await self._database.prepared("commitments")
        row = {
            "_id": {"peer": commitment.peer, "transaction": commitment.transaction},
            "committed": [list(one) for one in commitment.committed],
            "failed": [list(one) for one in commitment.failed],
            "attempts": 0,
            "due": now() + wait,
        }
        with answered():
            try:
                await rows.insert_one(row)
            except DuplicateKeyError:
                return False
        return True

    async def lease(self) -> Commitment | None:
        """A report that is due; it falls due again unless it is ended.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        change = {"$set": {"due": now() + _LEASE}, "$inc": {"attempts": 1}}
        with answered():
            row = await self._rows.find_one_and_update(
                {"due": {"$lte": now()}}, change, sort=[("due", 1)], return_document=ReturnDocument.AFTER
            )
        return None if row is None else _commitment(row)

    async def postpone(self, commitment: Commitment, until: datetime) -> None:
        """It could not be delivered.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            await self._rows.update_one({"_id": _id(commitment)}, {"$set": {"due": until}})

    async def end(self, commitment: Commitment) -> None:
        """It has been delivered, or nobody will take it any more.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            await self._rows.delete_one({"_id": _id(commitment)})


class CommitmentRequests:
    """What partners were asked to commit to."""

    def __init__(self, database: Database) -> None:
        self._rows = database.collection("commitment_requests")

    async def add(self, transaction: str, partner: str, references: Sequence[Reference]) -> None:
        """A partner is about to be asked.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        row = {"_id": transaction, "partner": partner, "references": [list(one) for one in references], "at": now()}
        with answered():
            await self._rows.insert_one(row)

    async def answer(self, transaction: str, partner: str, committed: Sequence[str], failed: Mapping[str, int]) -> bool:
        """A partner has answered; False where it was not asked this, or not for these instances.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        found = await self.get(transaction)
        if found is None or found.partner != partner:
            return False
        if not {*committed, *failed} <= {uid for _, uid in found.references}:
            return False
        change = {"answered": True, "committed": list(committed), "failed": [[u, r] for u, r in failed.items()]}
        with answered():
            await self._rows.update_one({"_id": transaction}, {"$set": change})
        return True

    async def get(self, transaction: str) -> CommitmentRequest | None:
        """The request with this Transaction UID, or None.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            row = await self._rows.find_one({"_id": transaction})
        if row is None:
            return None
        return CommitmentRequest(
            row["_id"],
            row["partner"],
            tuple((sop_class, uid) for sop_class, uid in row["references"]),
            bool(row.get("answered")),
            frozenset(row.get("committed", ())),
            {uid: int(reason) for uid, reason in row.get("failed", ())},
        )


def _id(commitment: Commitment) -> dict[str, str]:
    return {"peer": commitment.peer, "transaction": commitment.transaction}


def _commitment(row: dict[str, Any]) -> Commitment:
    return Commitment(
        row["_id"]["peer"],
        row["_id"]["transaction"],
        tuple((sop_class, uid) for sop_class, uid in row["committed"]),
        tuple((sop_class, uid, int(reason)) for sop_class, uid, reason in row["failed"]),
        row["attempts"],
    )
