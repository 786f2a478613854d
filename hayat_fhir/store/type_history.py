"""The versions of all resources of a type, latest first: current ones and earlier ones, merged.

Each version is judged by its own compartments, deletions too, as a part of the query.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hayat_fhir.security.callers import Restriction
from hayat_fhir.store.conditions import Filter, instant_of, together, visible
from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import WITHOUT_INDEX, from_document
from hayat_fhir.store.faults import answered
from hayat_fhir.store.indexes import HISTORY, of_resources
from hayat_fhir.store.paging import milliseconds
from hayat_fhir.store.records import Stored

_ORDER = [("updated", -1), ("_id", -1)]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a version stands in the order: when it was made (milliseconds since 1970), and what it is one of."""

    at: int
    type: str
    id: str
    version: int

    @classmethod
    def of(cls, stored: Stored) -> Place:
        """The place of a version."""
        return cls(milliseconds(stored.updated), stored.type, stored.id, stored.version)


class TypeHistory:
    """Reads versions across resources."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def types(self) -> frozenset[str]:
        """The resource types of which anything is stored.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return frozenset(filter(of_resources, await self._database.collection_names()))

    async def page(
        self, type: str, restriction: Restriction, limit: int, after: Place | None = None, since: datetime | None = None
    ) -> list[Stored]:
        """At most ``limit`` versions that come after a place, and were made since a moment.

        Current ones are read before earlier ones: what is replaced in between is found twice, and never missed.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        admitted = visible(restriction)
        if admitted is None:
            return []
        recent: Filter = {} if since is None else {"updated": {"$gte": since}}
        found: dict[tuple[str, int], Stored] = {}
        for name in (type, type + HISTORY):
            last = None if after is None else _beyond(after, type, earlier=name != type)
            criteria = together(admitted, recent, last or {})
            with answered():
                rows = self._database.collection(name).find(criteria, WITHOUT_INDEX).sort(_ORDER).limit(limit)
                for row in await rows.to_list(limit):
                    stored = from_document(type, row)
                    found.setdefault((stored.id, stored.version), stored)
        return sorted(found.values(), key=Place.of, reverse=True)[:limit]


def _beyond(place: Place, type: str, *, earlier: bool) -> Filter:
    """The versions of a type that come after a place, which may be one of another type."""
    moment = instant_of(place.at)
    if type != place.type:
        return {"updated": {"$lte" if type < place.type else "$lt": moment}}
    id: Any = {"id": place.id, "v": place.version} if earlier else place.id
    return {"$or": [{"updated": {"$lt": moment}}, {"updated": moment, "_id": {"$lt": id}}]}
