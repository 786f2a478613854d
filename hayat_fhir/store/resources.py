"""The resource store: one collection per resource type, earlier versions beside it.

Every read carries the caller's restriction as a part of its query: what lies outside is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bson.max_key import MaxKey
from bson.min_key import MinKey

from hayat_fhir.search.conditions import AnyKey, Condition, SortKey
from hayat_fhir.security.callers import Restriction
from hayat_fhir.store import paging
from hayat_fhir.store.commits import Commits, VersionConflict
from hayat_fhir.store.conditions import Filter, matching, together, visible
from hayat_fhir.store.database import Collection, Database
from hayat_fhir.store.documents import WITHOUT_INDEX, Document, from_document
from hayat_fhir.store.faults import answered
from hayat_fhir.store.gathering import gather
from hayat_fhir.store.grouped_reads import GroupedReads
from hayat_fhir.store.indexes import HISTORY
from hayat_fhir.store.records import Change, Page, Resource, Stored

__all__ = ["Resources", "VersionConflict"]

_MATCH = {"index.keys": False, "index.strings": False, "index.ranges": False, "index.order": False, "index.wide": False}
_IDS_AT_ONCE = 1000


class Resources:
    """Reads and writes resources of all types.

    ``principal_dates`` maps a resource type to the search parameter whose lower bound is its ``index.date``;
    a search by that date then reads only that part of the index.
    """

    def __init__(self, database: Database, principal_dates: Mapping[str, str] | None = None) -> None:
        self._database = database
        self._principal_dates = principal_dates or {}
        self._commits = Commits(database)
        self._reads = GroupedReads(database)

    async def read(self, type: str, id: str, restriction: Restriction) -> Stored | None:
        """The current version, which may be a deletion; None where there is none, or it lies outside.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        document = await self._reads.read(type, id, restriction)
        return None if document is None else from_document(type, document)

    async def read_many(
        self,
        references: Sequence[str],
        restrictions: Callable[[str], Restriction | None],
        *,
        deleted: bool = False,
    ) -> list[Stored]:
        """The current versions of these ``Type/id``, each once, in this order; what is missing or outside is left out.

        ``restrictions`` gives the restriction of a type, None where nothing of it may be seen. With ``deleted``
        also deletions are returned.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        wanted: dict[str, list[str]] = {}
        for reference in dict.fromkeys(references):
            type, _, id = reference.partition("/")
            wanted.setdefault(type, []).append(id)
        found: dict[str, Stored] = {}
        for type, ids in wanted.items():
            restriction = restrictions(type)
            admitted = None if restriction is None else visible(restriction)
            if admitted is None:
                continue
            alive: Filter = {} if deleted else {"deleted": False}
            for start in range(0, len(ids), _IDS_AT_ONCE):
                criteria = {"_id": {"$in": ids[start : start + _IDS_AT_ONCE]}, **admitted, **alive}
                with answered():
                    cursor = self._database.collection(type).find(criteria, WITHOUT_INDEX)
                    documents = await cursor.to_list(None)
                found.update((f"{type}/{document['_id']}", from_document(type, document)) for document in documents)
        return [found[reference] for reference in dict.fromkeys(references) if reference in found]

    async def vread(self, type: str, id: str, version: int, restriction: Restriction) -> Stored | None:
        """One version; None where there is none, or it lies outside.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        admitted = visible(restriction)
        if admitted is None:
            return None
        document = await self._database.find_one(type, {"_id": id, "version": version, **admitted})
        if document is None:
            document = await self._database.find_one(type + HISTORY, {"_id": {"id": id, "v": version}, **admitted})
        return None if document is None else from_document(type, document)

    async def history(
        self, type: str, id: str, restriction: Restriction, *, limit: int, before: int | None = None
    ) -> list[Stored]:
        """The versions below ``before`` (None: all), newest first, each judged by its own compartments.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        current = await self.read(type, id, restriction)
        versions: dict[int, Stored] = {}
        if current is not None and (before is None or current.version < before):
            versions[current.version] = current
        admitted = visible(restriction)
        if admitted is None:
            return []
        high: object = MaxKey() if before is None else before
        keys = {"_id": {"$gte": {"id": id, "v": MinKey()}, "$lt": {"id": id, "v": high}}}
        with answered():
            cursor = self._database.collection(type + HISTORY).find({**keys, **admitted})
            rows = await cursor.sort("_id", -1).limit(limit).to_list(limit)
        for row in rows:
            stored = from_document(type, row)
            versions.setdefault(stored.version, stored)
        return list(versions.values())[:limit]

    async def find(
        self,
        type: str,
        condition: Condition,
        restriction: Restriction,
        sort: Sequence[SortKey] = (),
        limit: int = 50,
        after: list[Any] | None = None,
    ) -> Page:
        """At most ``limit`` matches after the position ``after``, newest first where ``sort`` is empty.

        Raises:
            InvalidRequest: ``after`` is not a position in this order.
            Unavailable: MongoDB does not answer.
        """
        scan = paging.scan_for(sort)
        collection = self._database.collection(type)
        if scan is None:
            return await self._find_sorted(type, condition, restriction, sort, limit, after)
        documents: list[Document] = []
        complete = True
        principal = self._principal_dates.get(type)
        for criteria in paging.segments(scan, condition, restriction, after, principal):
            if len(documents) > limit or not complete:
                break
            room = limit + 1 - len(documents)
            cursor = collection.find_raw_batches(criteria, _MATCH, sort=scan.sort, limit=room, batch_size=room + 1)
            complete = await gather(cursor, documents)
        return _page(type, documents, limit, complete, scan.position)

    async def extracts(
        self, type: str, condition: Condition, restriction: Restriction, elements: Sequence[str], limit: int
    ) -> list[Resource]:
        """Of at most ``limit`` matches, in no order, the type, the id and these elements.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        criteria = matching(condition, restriction)
        if criteria is None:
            return []
        shown = {"_id": True, **{f"resource.{name}": True for name in elements}}
        with answered():
            documents = await self._database.collection(type).find(criteria, shown).limit(limit).to_list(limit)
        return [{**document.get("resource", {}), "resourceType": type, "id": document["_id"]} for document in documents]

    async def position(
        self, type: str, condition: Condition, restriction: Restriction, sort: Sequence[SortKey], offset: int
    ) -> list[Any] | None:
        """The position after which a page begins that leaves out the first ``offset`` matches; None: there are no more.

        It costs as much as there is to leave out, in index entries, not in documents.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        scan = paging.scan_for(sort)
        collection = self._database.collection(type)
        if scan is None:
            criteria = matching(condition, restriction)
            if criteria is None:
                return None
            stages = [{"$match": criteria}, *paging.sorting_stages(sort, None), {"$skip": offset - 1}, {"$limit": 1}]
            with answered():
                first = await collection.aggregate([*stages, {"$project": {"s": True}}], allowDiskUse=True)
                found = await first.to_list(1)
            return paging.sorted_position(found[0]) if found else None
        principal = self._principal_dates.get(type)
        left = offset
        for part in paging.segments(scan, condition, restriction, None, principal):
            cursor = collection.find(part, {"index.date": True, "updated": True}, sort=scan.sort, limit=left)
            with answered():
                documents = await cursor.to_list(None)
            left -= len(documents)
            if not left:
                return scan.position(documents[-1])
        return None

    async def count(self, type: str, condition: Condition, restriction: Restriction) -> int:
        """How many resources meet the condition within the restriction.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        collection = self._database.collection(type)
        plain = restriction.everything and not (restriction.restricted or restriction.hidden or restriction.opened)
        if plain and isinstance(condition, AnyKey):
            return await self._count_by_keys(collection, condition)
        total = 0
        for criteria in paging.counted(condition, restriction, self._principal_dates.get(type)):
            with answered():
                total += await collection.count_documents(criteria)
        return total

    async def withheld(self, compartment: str, types: Sequence[str]) -> bool:
        """Whether any resource of these types in this compartment (``Patient/id``) is labelled restricted.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._any(types, {"restricted": True, "deleted": False, "compartments": compartment})

    async def contributed_by_others(self, compartment: str, types: Sequence[str], source: str | None) -> bool:
        """Whether any resource of these types in this compartment is of another source than this.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._any(types, {"source": {"$ne": source}, "deleted": False, "compartments": compartment})

    async def _any(self, types: Sequence[str], criteria: Filter) -> bool:
        first, *rest = types
        found: list[dict[str, Any]] = [{"$match": criteria}, {"$limit": 1}]
        shown = {"$project": {"_id": True}}
        unions = [
            {"$unionWith": {"coll": self._database.collection(type).name, "pipeline": [*found, shown]}} for type in rest
        ]
        with answered():
            cursor = await self._database.collection(first).aggregate([*found, shown, *unions, {"$limit": 1}])
            return bool(await cursor.to_list(1))

    async def commit(self, changes: Sequence[Change]) -> list[Stored]:
        """Make all changes, or none; returns the new versions in the order of the changes.

        Raises:
            VersionConflict: A resource is not at the version that its change expects.
            InvalidRequest: A value cannot be stored.
            TooLarge: A resource is larger than 16 MB as BSON.
            Unavailable: MongoDB does not answer; whether the changes took effect is not known.
        """
        return await self._commits.commit(changes)

    async def _count_by_keys(self, collection: Collection, condition: AnyKey) -> int:
        """All minus the restricted: the first is counted in the index alone, the second are few."""
        everything = matching(condition, Restriction(everything=True, restricted=True))
        if everything is None:
            return 0
        with answered():
            total: int = await collection.count_documents(everything)
            hidden: int = await collection.count_documents(together(everything, {"restricted": True}))
        return max(total - hidden, 0)

    async def _find_sorted(
        self,
        type: str,
        condition: Condition,
        restriction: Restriction,
        sort: Sequence[SortKey],
        limit: int,
        after: list[Any] | None,
    ) -> Page:
        criteria = matching(condition, restriction)
        if criteria is None:
            return Page([], None)
        stages = [{"$match": criteria}, *paging.sorting_stages(sort, after), {"$limit": limit + 1}]
        pipeline = [*stages, {"$project": WITHOUT_INDEX}]
        documents: list[Document] = []
        with answered():
            cursor = await self._database.collection(type).aggregate_raw_batches(pipeline, allowDiskUse=True)
        complete = await gather(cursor, documents)
        return _page(type, documents, limit, complete, paging.sorted_position)


def _page(
    type: str, documents: list[Document], limit: int, complete: bool, position: Callable[[Document], list[Any]]
) -> Page:
    matches = [from_document(type, document) for document in documents[:limit]]
    more = len(documents) > limit or not complete
    return Page(matches, position(documents[len(matches) - 1]) if more and matches else None)
