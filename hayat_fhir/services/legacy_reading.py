"""Legacy documents as views of FHIR resources: listed, read and put together.

Which resources are meant, in which order and on which page is decided by MongoDB on the search index, within what
the caller may see; here the parts of those few are fetched and made into documents.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from hayat_fhir.errors import Forbidden, NotFound
from hayat_fhir.mapping import paths
from hayat_fhir.mapping.document import DocumentMapping, Field, Part
from hayat_fhir.search.indexing import Indexer
from hayat_fhir.search.parameters import SearchParameters
from hayat_fhir.search.query import parse
from hayat_fhir.security.callers import Caller, Restriction, Role
from hayat_fhir.security.legacy_access import Action, Entity, check
from hayat_fhir.security.personnel import ROLE_TAGS
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Access, Auditing
from hayat_fhir.services.legacy_criteria import LegacyCriteria
from hayat_fhir.services.legacy_query import Wanted
from hayat_fhir.store.accounts import Accounts
from hayat_fhir.store.records import Resource, Stored
from hayat_fhir.store.resources import Resources

_MOST_PARTS = 20
"""Resources of one part for each document, on average."""

Document = dict[str, Any]
Parts = dict[str, list[Stored]]


class LegacyReading:
    """Lists and reads the documents of ``/api/v1``."""

    def __init__(
        self,
        mappings: Mapping[str, DocumentMapping],
        resources: Resources,
        policy: Policy,
        parameters: SearchParameters,
        indexer: Indexer,
        auditing: Auditing,
        accounts: Accounts,
        base_url: str,
        default_photo: str,
    ) -> None:
        self.mappings = mappings
        self._resources = resources
        self._policy = policy
        self._parameters = parameters
        self._indexer = indexer
        self._auditing = auditing
        self._accounts = accounts
        self._base_url = base_url
        self.default_photo = default_photo
        self._criteria = LegacyCriteria(resources, policy, parameters, indexer, accounts, base_url)
        self._by_type = {
            mappings[name].type: mappings[name] for name in ("staff", "doctor", "patient", "specialization")
        }

    async def page(self, caller: Caller, entity: Entity, wanted: Wanted) -> list[Document]:
        """One page of the documents that are asked for.

        Raises:
            InvalidRequest: A field that cannot be filtered or sorted by, or a value that is none of its.
            Forbidden: The caller may not list these.
        """
        mapping = self.mappings[entity]
        asked = urlencode([(f"{c.field}[{c.operator}]" if c.operator else c.field, c.value) for c in wanted.criteria])
        async with self._auditing.access(caller, "search-type", query=f"{mapping.type}?{asked}") as access:
            check(caller, entity, Action.LIST, mapping.type)
            restriction = self._policy.restriction(caller, Interaction.SEARCH, mapping.type)
            condition, sort = await self._criteria.compiled(caller, mapping, wanted)
            after = None
            if wanted.offset:
                place = await self._resources.position(mapping.type, condition, restriction, sort, wanted.offset)
                if place is None:
                    return []
                after = place
            page = await self._resources.find(mapping.type, condition, restriction, sort, wanted.limit, after)
            return await self.documents(caller, entity, page.matches, access)

    async def read(self, caller: Caller, entity: Entity, ids: Sequence[str]) -> list[Document]:
        """The documents with these ids, in this order; those that are not there are left out of several.

        Raises:
            NotFound: None of them is there, or the caller may not know of it.
            Forbidden: The caller may not read these.
        """
        mapping = self.mappings[entity]
        references = [f"{mapping.type}/{id}" for id in ids]
        async with self._auditing.access(caller, "read", *references) as access:
            for id in ids:
                check(caller, entity, Action.READ, mapping.type, id)
            restriction = self._policy.restriction(caller, Interaction.READ, mapping.type)
            found = await self._resources.read_many(references, lambda _: restriction)
            found = [stored for stored in found if is_a(mapping, stored.resource)]
            if not found:
                raise NotFound("no such resource")
            return await self.documents(caller, entity, found, access)

    async def documents(
        self, caller: Caller, entity: Entity, mains: Sequence[Stored], access: Access
    ) -> list[Document]:
        """The documents whose main resources these are."""
        mapping = self.mappings[entity]
        parts = await self.parts(caller, mapping, mains)
        documents: list[Document] = []
        for main in mains:
            access.touched(main)
            held = {name: [s.resource or {} for s in found] for name, found in parts[main.id].items()}
            documents.append({"_id": main.id, "id": main.id, **mapping.to_legacy(held)})
        await self._populate(caller, mapping, mains, parts, documents)
        if caller.role is Role.STAFF:
            await self._add_personnel(mapping, mains, documents)
        if "photo" in mapping.fields:
            for document in documents:
                document.setdefault("photo", self.default_photo)
        return documents

    async def parts(self, caller: Caller, mapping: DocumentMapping, mains: Sequence[Stored]) -> dict[str, Parts]:
        """For each main resource, by id, the resources of each part that the caller may see, newest first."""
        found: dict[str, Parts] = {main.id: {mapping.main: [main]} for main in mains}
        independent = [part for part in mapping.parts.values() if part.criteria is not None]
        await asyncio.gather(*(self._by_criteria(caller, part, mains, found) for part in independent))
        for part in mapping.parts.values():
            if part.source is not None:
                await self._by_reference(caller, part, found)
        return found

    async def _by_criteria(self, caller: Caller, part: Part, mains: Sequence[Stored], found: dict[str, Parts]) -> None:
        restriction = self.visible(caller, part.type)
        if restriction is None or not mains:
            return
        pairs = [pair.split("=", 1) for pair in (part.criteria or "").split("&")]
        name = next(name for name, value in pairs if "{id}" in value)
        query = [
            (key, ",".join(value.replace("{id}", main.id) for main in mains) if key == name else value)
            for key, value in pairs
        ]
        condition = parse(part.type, query, self._parameters, base_url=self._base_url).condition
        page = await self._resources.find(part.type, condition, restriction, (), _MOST_PARTS * len(mains), None)
        for stored in page.matches:
            for id in self._ids(stored, name):
                if id in found:
                    found[id].setdefault(part.name, []).append(stored)

    async def _by_reference(self, caller: Caller, part: Part, found: dict[str, Parts]) -> None:
        """The resources that another part refers to; of several only those with the part's code."""
        holder, path = part.source or ("", ())
        leads: dict[str, list[str]] = {}
        for id, parts in found.items():
            for stored in parts.get(holder, ()):
                references = [item.get("reference") for item in paths.every(stored.resource, path)]
                leads.setdefault(id, []).extend(text for text in references if isinstance(text, str))
        wanted = [text for texts in leads.values() for text in texts if text.startswith(f"{part.type}/")]
        known = await self._resources.read_many(wanted, lambda type: self.visible(caller, type))
        by_reference = {stored.reference: stored for stored in known if _has_code(part, stored.resource)}
        for id, texts in leads.items():
            held = [by_reference[text] for text in texts if text in by_reference]
            if held:
                found[id][part.name] = held

    async def _populate(
        self,
        caller: Caller,
        mapping: DocumentMapping,
        mains: Sequence[Stored],
        parts: Mapping[str, Parts],
        documents: Sequence[Document],
    ) -> None:
        """Put what an id names in its place: always an object, whatever has become of what it names."""
        fields = [field for field in mapping.fields.values() if field.populated]
        wanted = {f"{f.details.target}/{d[f.name]}" for f in fields for d in documents if f.name in d}
        if not fields:
            return
        known = await self._resources.read_many(sorted(wanted), lambda type: self.visible(caller, type))
        by_reference = {stored.reference: stored.resource or {} for stored in known}
        for main, document in zip(mains, documents, strict=True):
            for field in fields:
                id = document.get(field.name, "")
                resource = by_reference.get(f"{field.details.target}/{id}")
                shown = self._shown(field, resource, _display(field, parts[main.id]))
                document[field.name] = {"_id": id, "id": id, **shown}

    def _shown(self, field: Field, resource: Resource | None, display: str) -> Document:
        target = self._by_type[field.details.target]
        legacy = target.to_legacy({target.main: [resource]}) if resource is not None else {}
        shown = {name: legacy.get(name, "") for name in field.populated}
        if "photo" in shown:
            shown["photo"] = shown["photo"] or self.default_photo
        if not shown[field.populated[0]]:
            shown[field.populated[0]] = display
        return shown

    async def _add_personnel(
        self, mapping: DocumentMapping, mains: Sequence[Stored], documents: Sequence[Document]
    ) -> None:
        """What is kept with the account, of the documents that have such fields."""
        names = [f.name for f in mapping.fields.values() if f.part is None and not f.write_only]
        if not names:
            return
        kept = await self._accounts.personnel([main.reference for main in mains])
        for main, document in zip(mains, documents, strict=True):
            held = kept.get(main.reference, {})
            document.update({name: held[name] for name in names if name in held})

    def name_of(self, stored: Stored) -> str:
        """What people call this resource; empty for one that has no name."""
        target = self._by_type.get(stored.type)
        if target is None:
            return ""
        first = next(iter(target.fields))
        return str(target.to_legacy({target.main: [stored.resource or {}]}).get(first, ""))

    def _ids(self, stored: Stored, parameter: str) -> Iterable[str]:
        """The ids of the main resources that a part belongs to."""
        if parameter == "identifier":
            return [identifier.get("value", "") for identifier in (stored.resource or {}).get("identifier", ())]
        references = self._indexer.references(stored.resource or {}, parameter)
        return [text.partition("/")[2] for text in references]

    def visible(self, caller: Caller, type: str) -> Restriction | None:
        """What of a type the caller may see; None where that is nothing."""
        try:
            return self._policy.restriction(caller, Interaction.SEARCH, type)
        except Forbidden:
            return None


def is_a(mapping: DocumentMapping, resource: Resource | None) -> bool:
    """Whether a resource of the mapping's type is one of its documents."""
    if mapping.tag is None:
        return True
    tags = (resource or {}).get("meta", {}).get("tag", ())
    return any((tag.get("system"), tag.get("code")) == (ROLE_TAGS, mapping.tag) for tag in tags)


def _has_code(part: Part, resource: Resource | None) -> bool:
    if part.code is None:
        return True
    codings = (resource or {}).get("code", {}).get("coding", ())
    return any((coding.get("system"), coding.get("code")) == part.code for coding in codings)


def _display(field: Field, parts: Parts) -> str:
    """What a reference calls its target, or the first one beside it does."""
    held = next(iter(parts.get(field.part or "", ())), None)
    if held is None:
        return ""
    elements = [paths.get(held.resource, field.path), *paths.every(held.resource, field.path)]
    texts = (element.get("display") for element in elements if isinstance(element, dict))
    return next(filter(None, texts), "")
