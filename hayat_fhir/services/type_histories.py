"""The history of a type and of the whole system, within what the caller may see.

https://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from urllib.parse import urlencode

from hayat_fhir.errors import Forbidden, InvalidRequest
from hayat_fhir.fhir.dates import bounds
from hayat_fhir.search.cursor import decode, encode
from hayat_fhir.security.callers import Caller, Restriction
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.store.conditions import instant_of
from hayat_fhir.store.records import Stored
from hayat_fhir.store.type_history import Place, TypeHistory

_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Versions:
    """One page, latest first; ``cursor`` continues it, None: no more."""

    versions: list[Stored]
    cursor: str | None


class TypeHistories:
    """Reads what has changed. ``secret`` authenticates page cursors."""

    def __init__(self, rows: TypeHistory, policy: Policy, auditing: Auditing, secret: bytes) -> None:
        self._rows = rows
        self._policy = policy
        self._auditing = auditing
        self._secret = secret

    async def of_type(
        self, caller: Caller, type: str, count: int, since: str | None = None, cursor: str | None = None
    ) -> Versions:
        """The versions of a type.

        Raises:
            InvalidRequest: ``since`` is no instant, or a foreign cursor.
            Forbidden: The type is outside the caller's role or scopes.
        """
        async with self._auditing.access(caller, "history-type", query=_asked(f"{type}/_history", since)) as access:
            restriction = self._policy.restriction(caller, Interaction.HISTORY, type)
            page = await self._page(caller, {type: restriction}, count, since, cursor, type)
            access.patients.update(patient for stored in page.versions for patient in stored.compartments)
            return page

    async def of_system(
        self, caller: Caller, count: int, since: str | None = None, cursor: str | None = None
    ) -> Versions:
        """The versions of all types that the caller may see anything of.

        Raises:
            InvalidRequest: ``since`` is no instant, or a foreign cursor.
        """
        async with self._auditing.access(caller, "history-system", query=_asked("_history", since)) as access:
            permitted: dict[str, Restriction] = {}
            for type in await self._rows.types():
                try:
                    permitted[type] = self._policy.restriction(caller, Interaction.HISTORY, type)
                except Forbidden:
                    continue
            page = await self._page(caller, permitted, count, since, cursor, "")
            access.patients.update(patient for stored in page.versions for patient in stored.compartments)
            return page

    async def _page(
        self,
        caller: Caller,
        permitted: dict[str, Restriction],
        count: int,
        since: str | None,
        cursor: str | None,
        what: str,
    ) -> Versions:
        binding = "\x1f".join(["history", caller.subject, *sorted(caller.scopes), what, since or ""]).encode()
        after = Place(*decode(self._secret, binding, cursor)) if cursor is not None else None
        begin = None if since is None else _instant(since)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def read(type: str, restriction: Restriction) -> Sequence[Stored]:
            async with gate:
                return await self._rows.page(type, restriction, count + 1, after, begin)

        read_all = (read(type, restriction) for type, restriction in sorted(permitted.items()))
        found = [stored for rows in await asyncio.gather(*read_all) for stored in rows]
        versions = sorted(found, key=Place.of, reverse=True)
        if len(versions) <= count:
            return Versions(versions, None)
        last = Place.of(versions[count - 1])
        return Versions(versions[:count], encode(self._secret, binding, astuple(last)))


def _instant(text: str) -> datetime:
    try:
        low, _ = bounds(text)
    except ValueError as error:
        raise InvalidRequest("_since is not an instant", code="value", expression=["parameter: _since"]) from error
    return instant_of(low)


def _asked(path: str, since: str | None) -> str:
    return f"{path}?{urlencode({'_since': since})}" if since else path
