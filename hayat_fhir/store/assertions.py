"""Client assertions that have been used: each ``jti`` of an issuer buys one token.

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
"""

from __future__ import annotations

from datetime import datetime

from pymongo.errors import DuplicateKeyError

from hayat_fhir.store.database import Database
from hayat_fhir.store.faults import answered


class Assertions:
    """One row per used assertion; MongoDB removes it some time after the assertion has expired."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def use(self, issuer: str, jti: str, expires: datetime) -> bool:
        """Whether this is the first use. ``expires``: until when the assertion itself is valid, leeway included.

        Raises:
            Unavailable: MongoDB does not answer; then the assertion must not be accepted.
        """
        rows = await self._database.prepared("assertions")
        with answered():
            try:
                await rows.insert_one({"_id": {"iss": issuer, "jti": jti}, "expires": expires})
            except DuplicateKeyError:
                return False
        return True
