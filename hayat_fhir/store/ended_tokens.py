"""Tokens that their holders have ended before their time."""

from __future__ import annotations

from datetime import UTC, datetime

from hayat_fhir.store.database import Database
from hayat_fhir.store.faults import answered


class EndedTokens:
    """One row per token; MongoDB removes it some time after the token has expired."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def end(self, jti: str, expires: float) -> None:
        """End a token; ``expires`` (seconds since 1970) is when it would end by itself.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        rows = await self._database.prepared("ended_tokens")
        until = datetime.fromtimestamp(expires, UTC)
        with answered():
            await rows.update_one({"_id": jti}, {"$set": {"expires": until}}, upsert=True)

    async def ended(self, jti: str) -> bool:
        """Whether a token has been ended.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            return await self._database.collection("ended_tokens").find_one({"_id": jti}) is not None
