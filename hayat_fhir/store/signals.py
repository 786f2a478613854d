"""Messages between API processes: rows that a change stream hands on, and that MongoDB removes after a minute."""

from __future__ import annotations

from typing import Any

from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import now
from hayat_fhir.store.faults import answered

SIGNALS = "signals"
EVERYBODY = "*"


class Signals:
    """Sends; ``changes`` receives."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def send(self, process: str, message: dict[str, Any]) -> None:
        """Hand a message to one process, or to ``EVERYBODY``.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        rows = await self._database.prepared(SIGNALS)
        with answered():
            await rows.insert_one({"to": process, "at": now(), "message": message})
