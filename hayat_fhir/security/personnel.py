"""Who works at the site without being a doctor: entries that the directory does not show to everybody.

The access table of the legacy routes leaves the staff to the staff; through ``/fhir`` it is the same.
"""

from __future__ import annotations

from typing import Any

ROLE_TAGS = "urn:hayat:role"
"""System of the tag that says whether a Practitioner of the site is a doctor or staff."""

STAFF_TAG = "staff"
PERSONNEL = "personnel"
"""Stands among the compartments of such an entry; no reference looks like it."""

PERSONNEL_TYPES = frozenset({"Practitioner", "PractitionerRole"})


def marks(resource: dict[str, Any]) -> tuple[str, ...]:
    """What stands among the compartments of this resource beside its patients."""
    if resource.get("resourceType") not in PERSONNEL_TYPES:
        return ()
    tags = resource.get("meta", {}).get("tag", ())
    is_staff = any(tag.get("system") == ROLE_TAGS and tag.get("code") == STAFF_TAG for tag in tags)
    return (PERSONNEL,) if is_staff else ()


def without_roles(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource as another hospital's: who is a doctor or staff there is neither here, and cannot be called."""
    meta = resource.get("meta", {})
    tags = meta.get("tag", ())
    kept = [tag for tag in tags if tag.get("system") != ROLE_TAGS]
    if len(kept) == len(tags):
        return resource
    rest = {name: value for name, value in meta.items() if name != "tag"} | ({"tag": kept} if kept else {})
    return {name: value for name, value in resource.items() if name != "meta"} | ({"meta": rest} if rest else {})
