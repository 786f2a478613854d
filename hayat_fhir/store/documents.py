"""The form of a version in MongoDB: pure, both ways.

Current version, collection ``<Type>``::

    {_id, version, updated, deleted, restricted, compartments, source?, generation, resource,
     index: {keys, strings, ranges: [{p, lo, hi}], date, order, wide?}}

``compartments`` ends with ``source:<source>`` where there is a source: what a caller may see is then one
question to one index. ``generation`` is that of the rules which ``index`` was made by; documents of before there was
one have none.

Earlier version, collection ``<Type>_history``: the same without ``generation`` and ``index``, and ``_id: {id, v}``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hayat_fhir.search.date import FIRST
from hayat_fhir.search.entries import GENERATION, IndexEntries, Range
from hayat_fhir.store.records import Change, Resource, Stored

Document = dict[str, Any]

NEVER = -(2**63)
"""``index.date`` of a resource without a principal date: sorts before every date."""

ANY, OPEN, BROAD = "any", "open", "broad"
"""Stand in ``index.wide`` beside the keys: ``any`` always, ``open`` where a date has no lower bound.

``broad`` stands there too, and alone for what is not brief, but narrow.
"""

BRIEF, NARROW = 25 * 3_600_000, 32 * 86_400_000
"""Milliseconds: a resource whose principal date is one range of at most this length is not ``broad``, not ``wide``.

The longest day that there is, when the clocks go back, and the longest month.
"""

_NOT_KEPT = frozenset({"_id", "generation", "index"})
"""What of a current version is not in its row in the history."""

WITHOUT_INDEX = {"index": False}
"""Projection of what a reader of resources needs."""


def now() -> datetime:
    """This moment, in UTC, to the millisecond."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def source_mark(source: str) -> str:
    """What stands for a source among the compartments; no reference looks like it."""
    return f"source:{source}"


def to_document(change: Change, updated: datetime) -> Document:
    """The current version that this change makes."""
    version = change.expected + 1
    document: Document = {
        "_id": change.id,
        "version": version,
        "updated": updated,
        "deleted": change.resource is None,
        "restricted": change.restricted,
        "compartments": list(change.compartments),
        "generation": GENERATION,
    }
    if change.source is not None:
        document["source"] = change.source
        document["compartments"].append(source_mark(change.source))
    if change.resource is not None:
        document["resource"] = _stamped(change.resource, change.id, version, updated)
        document["index"] = to_index(change.entries)
    return document


def to_history(document: Mapping[str, Any]) -> Document:
    """The row that keeps a version once another one is current."""
    row: Document = {"_id": {"id": document["_id"], "v": document["version"]}}
    row.update((name, value) for name, value in document.items() if name not in _NOT_KEPT)
    return row


def from_document(type: str, document: Document) -> Stored:
    """The version in this document, current or earlier."""
    id = document["_id"]
    source = document.get("source")
    compartments = document["compartments"]
    return Stored(
        type,
        id if id.__class__ is str else id["id"],
        document["version"],
        document["updated"],
        document.get("resource"),
        tuple(compartments if source is None else compartments[:-1]),
        source or None,  # earlier versions of the software have stored an empty one for what is the site's own
    )


def _stamped(resource: Resource, id: str, version: int, updated: datetime) -> Resource:
    meta = {
        **resource.get("meta", {}),
        "versionId": str(version),
        "lastUpdated": f"{updated:%Y-%m-%dT%H:%M:%S}.{updated.microsecond // 1000:03d}Z",
    }
    return {"resourceType": resource.get("resourceType"), "id": id, "meta": meta, **_without_head(resource)}


def _without_head(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if name not in {"resourceType", "id", "meta"}}


def to_index(entries: IndexEntries) -> Document:
    """The ``index`` of a document, whose form belongs to the rules that ``GENERATION`` counts."""
    index: Document = {
        "keys": entries.keys,
        "strings": entries.strings,
        "ranges": [{"p": r.parameter, "lo": r.low, "hi": r.high} for r in entries.ranges],
        "date": NEVER if entries.date is None else entries.date,
        "order": entries.order,
    }
    width = 0.0 if entries.date is None else _width(entries.date, entries.ranges)
    if width > NARROW:
        is_open = any(entry.low <= FIRST for entry in entries.ranges)
        index["wide"] = (ANY, BROAD, *([OPEN] if is_open else []), *entries.keys)
    elif width > BRIEF:
        index["wide"] = (BROAD,)
    return index


def _width(date: int, ranges: tuple[Range, ...]) -> float:
    """How far behind ``date`` something of the principal date may lie; infinite where it may lie before.

    Which parameter is the principal one is not known here: every parameter that begins at ``date`` must be one
    range.
    """
    candidates = {entry.parameter for entry in ranges if entry.low == date}
    entries = [entry for entry in ranges if entry.parameter in candidates]
    if not entries or len(entries) > len(candidates):
        return math.inf
    return max(entry.high - entry.low for entry in entries)


def later_of(moment: datetime, previous: datetime) -> datetime:
    """``moment``, unless the clock has been set back since ``previous``."""
    return max(moment, previous)
