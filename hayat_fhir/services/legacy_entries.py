"""From the resources that a legacy document makes to the entries of the transaction that stores them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from hayat_fhir.fhir.bundle_requests import Entry
from hayat_fhir.mapping import paths
from hayat_fhir.mapping.document import PLACEHOLDER, DocumentMapping, Part
from hayat_fhir.security.personnel import ROLE_TAGS
from hayat_fhir.services.drafting import new_id
from hayat_fhir.store.records import Resource, Stored

_SPECIAL = str.maketrans({character: f"\\{character}" for character in ",|$\\"})


def entries_of(
    mapping: DocumentMapping,
    id: str,
    written: Mapping[str, Resource | None],
    parts: Mapping[str, list[Stored]],
) -> list[Entry]:
    """The entries of the transaction; new resources get their ids here, so that others can refer to them."""
    entries: list[Entry] = []
    names = {f"{PLACEHOLDER}{mapping.main}": f"{mapping.type}/{id}"}
    for name, resource in written.items():
        part = mapping.parts[name]
        old = _same(resource, parts.get(name, ()))
        if part.shared is not None:
            names[f"{PLACEHOLDER}{name}"] = f"urn:uuid:{new_id()}"
        elif name != mapping.main:
            names[f"{PLACEHOLDER}{name}"] = f"{part.type}/{old.id if old else new_id()}"
    for name, resource in written.items():
        part = mapping.parts[name]
        if resource is None:
            entries += [Entry(len(entries), "DELETE", s.type, s.id, if_match=s.version) for s in parts[name][:1]]
            continue
        old = _same(resource, parts.get(name, ()))
        whole = _named(resource, names, id)
        if mapping.tag is not None and part.shared is None and old is None:
            whole["meta"] = {"tag": [{"system": ROLE_TAGS, "code": mapping.tag}]}
        entries.append(_entry(len(entries), part, whole, names[f"{PLACEHOLDER}{name}"], old))
    return entries


def name_references(mapping: DocumentMapping, written: Mapping[str, Resource | None], names: Mapping[str, str]) -> None:
    """Let references say what they lead to: it is still known when that is gone."""
    for field in mapping.fields.values():
        element = paths.get(written.get(field.part or ""), field.path) if field.type == "id" else None
        if element is not None and names.get(element.get("reference", "")):
            element["display"] = names[element["reference"]]


def _entry(index: int, part: Part, resource: Resource, reference: str, old: Stored | None) -> Entry:
    if part.shared is not None:
        parameter, path = part.shared
        value = quote(str(paths.get(resource, path)).translate(_SPECIAL))
        return Entry(
            index, "POST", part.type, full_url=reference, resource=resource, if_none_exist=f"{parameter}:exact={value}"
        )
    id = reference.partition("/")[2]
    resource["id"] = id
    return Entry(index, "PUT", part.type, id, resource=resource, if_match=old.version if old else None)


def _same(resource: Resource | None, held: list[Stored] | tuple[Stored, ...]) -> Stored | None:
    """The stored resource that this is a new version of."""
    id = (resource or {}).get("id")
    return next((stored for stored in held if stored.id == id), None)


def _named(resource: Resource, names: Mapping[str, str], id: str) -> Resource:
    """The resource with placeholders replaced by what they stand for."""
    whole: Resource = _replaced(resource, {**names, f"{PLACEHOLDER}id": id})
    return whole


def _replaced(node: Any, names: Mapping[str, str]) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(node, dict):
        return {
            key: names.get(value, value)
            if key in {"reference", "value"} and isinstance(value, str)
            else _replaced(value, names)
            for key, value in node.items()
        }
    return [_replaced(item, names) for item in node] if isinstance(node, list) else node
