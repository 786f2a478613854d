"""Tickets to the signalling server: each good for one connection, of one peer id, within a minute."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import now
from hayat_fhir.store.faults import answered

TICKETS = "tickets"
SECONDS = 60


@dataclass(frozen=True, slots=True)
class Ticket:
    """Whom a ticket lets in, to which consultation, and under which peer id.

    ``epoch`` is that of the account, and ``session`` the id of the session, with which it was asked for.
    """

    peer: str
    consultation: str
    account: str
    reference: str
    name: str
    role: str
    epoch: int = 0
    session: str = ""
    expires: datetime | None = None


class Tickets:
    """One row per ticket, under the digest of its token: the token itself is not stored."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.collection(TICKETS)

    async def add(self, token: str, ticket: Ticket) -> None:
        """Store a new ticket, good for ``SECONDS``.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        rows = await self._database.prepared(TICKETS)
        row = {name: getattr(ticket, name) for name in _FIELDS}
        with answered():
            await rows.insert_one({"_id": _digest(token), **row, "expires": now() + timedelta(seconds=SECONDS)})

    async def use(self, token: str) -> Ticket | None:
        """Take a ticket out of the store; None where there is none (any more), or its time is over.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            row: dict[str, Any] | None = await self._rows.find_one_and_delete(
                {"_id": _digest(token), "expires": {"$gt": now()}}
            )
        return None if row is None else Ticket(**{name: row[name] for name in (*_FIELDS, "expires")})


_FIELDS = ("peer", "consultation", "account", "reference", "name", "role", "epoch", "session")


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
