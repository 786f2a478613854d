"""The resources that were made of documents among the images: which they are, and which a restriction lets through.

An instance's row names the resource (``document``). Rows of before it did are asked for by the identifier that the
resource has in common with its instance.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hayat_fhir.search.entries import key
from hayat_fhir.security.callers import Restriction
from hayat_fhir.store.conditions import visible
from hayat_fhir.store.database import Database
from hayat_fhir.store.faults import answered


class ImagingDocumentRows:
    """Reads and writes what connects an instance with its resource."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, uid: str, reference: str) -> None:
        """This resource (``Type/id``) was made of this instance.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            await self._database.collection("instances").update_one({"_id": uid}, {"$set": {"document": reference}})

    async def identified(self, type: str, system: str, senders: Mapping[str, str]) -> dict[str, list[str]]:
        """By UID, the resources of this type that have it as identifier, and are whose they should be.

        That is the site's, or of whoever sent that instance (``senders``); what others say under the same identifier
        was not made of it. ``system`` is that of the identifiers.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        keys = {key("identifier", f"{system}|urn:oid:{uid}"): uid for uid in senders}
        shown = {"resource.identifier": True, "source": True}
        with answered():
            cursor = self._database.collection(type).find({"index.keys": {"$in": list(keys)}}, shown)
            documents = await cursor.to_list(None)
        found: defaultdict[str, list[str]] = defaultdict(list)
        for document in documents:
            for uid in _uids(document["resource"], system):
                if uid in senders and (document.get("source") or None) in {None, senders[uid]}:
                    found[uid].append(f"{type}/{document['_id']}")
        return found

    async def visible(self, references: Iterable[str], admit: Callable[[str], Restriction | None]) -> frozenset[str]:
        """Those of these resources (``Type/id``) that lie within the restriction of their type, deleted ones too.

        ``admit`` gives the restriction of a type, None where nothing of it may be seen.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        wanted: defaultdict[str, list[str]] = defaultdict(list)
        for reference in references:
            type, _, id = reference.partition("/")
            wanted[type].append(id)
        found: set[str] = set()
        for type, ids in wanted.items():
            restriction = admit(type)
            admitted = None if restriction is None else visible(restriction)
            if admitted is None:
                continue
            with answered():
                cursor = self._database.collection(type).find({"_id": {"$in": ids}, **admitted}, {"_id": True})
                found.update(f"{type}/{one['_id']}" for one in await cursor.to_list(None))
        return frozenset(found)


def _uids(resource: Mapping[str, Any], system: str) -> list[str]:
    return [
        str(one.get("value", "")).removeprefix("urn:oid:")
        for one in resource.get("identifier", ())
        if one.get("system") == system
    ]
