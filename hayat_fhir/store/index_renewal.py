"""Indexing again what earlier rules have indexed: the ``index`` of a document is replaced, and nothing else of it.

What is left to do stands in the documents themselves, so that any process may go on at any time. A document that
somebody else has written meanwhile is left alone, and so is one of later rules: processes of several versions of this
software may run at once.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import bson
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from hayat_fhir.search.entries import GENERATION, IndexEntries
from hayat_fhir.store.database import CODEC_OPTIONS, Collection, Database
from hayat_fhir.store.documents import Document, to_index
from hayat_fhir.store.faults import answered, too_large
from hayat_fhir.store.indexes import of_resources
from hayat_fhir.store.records import Resource

MakeEntries = Callable[[Resource, str], IndexEntries]
"""From a resource and its logical id to its entries; what cannot be indexed is refused (InvalidRequest)."""

IMAGING = "imaging_studies"
"""The other collection that is searched by entries of its own: see ``store/imaging_renewal.py``."""

_BATCH = 200
_OUTDATED = {"generation": {"$not": {"$gte": GENERATION}}}
NOT_LATER = {"generation": {"$not": {"$gt": GENERATION}}}
"""A document that this version of the software may renew."""
_SHOWN = {"version": True, "generation": True, "resource": True, "index": True}


@dataclass(frozen=True, slots=True)
class Renewed:
    """What has become of one batch: how many documents have a new ``index``, or had it already, by the present rules.

    ``refused`` are the ids of those that the present rules cannot index; they stay as they are. What others have
    written meanwhile is not counted.
    """

    done: int
    refused: tuple[str, ...] = ()


class IndexRenewal:
    """Finds and renews the documents of earlier rules."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def prepare(self) -> None:
        """Have the indexes by which outdated documents are found; may take long on a large database.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        await self._database.ensure_indexes()

    async def due(self, *, everything: bool = False) -> dict[str, int]:
        """How many documents of each collection that is searched would be looked at; zeros included.

        The collections are those of the resource types, and ``IMAGING``.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        names = await self._database.collection_names()
        types = sorted(name for name in names if of_resources(name) or name == IMAGING)
        if not types:
            return {}
        first, *rest = (_counted(type, everything) for type in types)
        unions = [{"$unionWith": {"coll": type, "pipeline": part}} for type, part in zip(types[1:], rest, strict=True)]
        with answered():
            cursor = await self._database.collection(types[0]).aggregate([*first, *unions])
            counts = {row["type"]: row["count"] for row in await cursor.to_list(None)}
        return {type: counts.get(type, 0) for type in types}

    async def renew(self, type: str, make: MakeEntries, *, everything: bool = False) -> AsyncGenerator[Renewed, None]:
        """Renew the outdated documents of a type, batch by batch; with ``everything`` also those of the present rules.

        Raises:
            Unavailable: MongoDB does not answer; what has been renewed stays so.
        """
        collection = self._database.collection(type)
        cursor: Any = collection.find_raw_batches(due_criteria(everything), _SHOWN, batch_size=_BATCH)
        try:
            with answered():
                async for batch in cursor:
                    yield await _renewed(collection, bson.decode_all(batch, CODEC_OPTIONS), make)
        finally:
            await cursor.close()


def due_criteria(everything: bool) -> Document:
    """What is to be renewed: what is outdated, or all that this version may renew."""
    return NOT_LATER if everything else _OUTDATED


def _counted(type: str, everything: bool) -> tuple[Document, ...]:
    """The stages that count what is due of a type: from its index alone."""
    return {"$match": due_criteria(everything)}, {"$count": "count"}, {"$set": {"type": type}}


async def _renewed(collection: Collection, documents: Sequence[Document], make: MakeEntries) -> Renewed:
    refused: list[str] = []
    updates: list[tuple[str, UpdateOne]] = []
    done = 0
    for document in documents:
        try:
            changed = _changed(document, make)
        except Exception:  # noqa: BLE001 - a boundary: one resource must not keep all others from being found
            refused.append(document["_id"])
            continue
        if changed:
            same = {"_id": document["_id"], "version": document["version"], **NOT_LATER}
            updates.append((document["_id"], UpdateOne(same, {"$set": changed})))
        else:
            done += 1
    if updates:
        matched, failed = await _written(collection, [update for _, update in updates])
        done += matched
        refused += [updates[place][0] for place in failed]
    return Renewed(done, tuple(refused))


def _changed(document: Document, make: MakeEntries) -> Document:
    """The fields that differ from what the present rules say."""
    right: Document = {"generation": GENERATION}
    if "resource" in document:
        right["index"] = _as_stored(to_index(make(document["resource"], document["_id"])))
    return {name: value for name, value in right.items() if document.get(name) != value}


def _as_stored(value: Any) -> Any:  # noqa: ANN401 - any BSON value
    """The value as it comes back from the database, where there are no tuples."""
    if isinstance(value, dict):
        return {name: _as_stored(part) for name, part in value.items()}
    return [_as_stored(part) for part in value] if isinstance(value, tuple | list) else value


async def _written(collection: Collection, updates: Sequence[UpdateOne]) -> tuple[int, list[int]]:
    """How many documents have been written, and the places of those that would have become too large."""
    try:
        done = await collection.bulk_write(updates, ordered=False)
    except BulkWriteError as error:
        details = error.details or {}
        faults = details.get("writeErrors", [])
        if details.get("writeConcernErrors") or not all(too_large(fault["code"]) for fault in faults):
            raise
        return details["nMatched"], [fault["index"] for fault in faults]
    return done.matched_count, []
