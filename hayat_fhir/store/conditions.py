"""From a search condition and a caller's restriction to one MongoDB filter: pure.

The restriction is a part of the filter of every query. What is outside of it never leaves the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from hayat_fhir.search.conditions import (
    AllOf,
    AnyKey,
    AnyOf,
    Bounds,
    Condition,
    Ids,
    InCompartment,
    Not,
    Text,
    Updated,
)
from hayat_fhir.security.callers import Restriction
from hayat_fhir.store.documents import source_mark

Filter = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = chr(0x10FFFF)


def visible(restriction: Restriction) -> Filter | None:
    """What the restriction admits, deleted versions included; None where it admits nothing."""
    criteria: Filter = {} if restriction.restricted else {"restricted": False}
    if restriction.opened and not restriction.restricted:
        criteria = {"$or": [{"restricted": False}, {"compartments": {"$in": sorted(restriction.opened)}}]}
    if restriction.everything:
        return {**criteria, "compartments": {"$nin": sorted(restriction.hidden)}} if restriction.hidden else criteria
    admitted = [*restriction.compartments, *map(source_mark, restriction.sources)]
    if not admitted:
        return None
    if restriction.hidden:
        return {**criteria, "compartments": {"$in": admitted, "$nin": sorted(restriction.hidden)}}
    return {**criteria, "compartments": admitted[0] if len(admitted) == 1 else {"$in": admitted}}


def matching(condition: Condition, restriction: Restriction, keys: str = "index.keys") -> Filter | None:
    """The documents that meet the condition, are visible and not deleted; None where there can be none.

    ``keys`` is the field that holds the hashed keys.
    """
    admitted = visible(restriction)
    wanted = _filter(condition, keys)
    if admitted is None or wanted is None:
        return None
    alive: Filter = {} if _implies_alive(condition) else {"deleted": False}
    return together(wanted, admitted, alive)


def conjuncts(condition: Condition) -> Iterator[Condition]:
    """The conditions that must all hold, one by one."""
    if isinstance(condition, AllOf):
        for part in condition.parts:
            yield from conjuncts(part)
    else:
        yield condition


def together(*filters: Filter) -> Filter:
    """All of these filters, as flat as their names allow."""
    merged: Filter = {}
    rest: list[Filter] = []
    for criteria in filters:
        if merged.keys().isdisjoint(criteria):
            merged.update(criteria)
        else:
            rest.append(criteria)
    if not rest:
        return merged
    return {"$and": [merged, *rest]}


def instant_of(milliseconds: int) -> datetime:
    """Milliseconds since 1970 as an aware datetime, at most the last and at least the first that there is."""
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if milliseconds > 0 else datetime.min.replace(tzinfo=UTC)


def _filter(condition: Condition, field: str) -> Filter | None:
    """None: nothing can meet the condition; an empty filter: everything does."""
    match condition:
        case AnyKey(keys):
            return {field: keys[0] if len(keys) == 1 else {"$in": list(keys)}} if keys else None
        case Text():
            return {"index.strings": _text(condition)}
        case Bounds():
            return {"index.ranges": {"$elemMatch": _bounds(condition)}}
        case Ids(ids):
            return {"_id": ids[0] if len(ids) == 1 else {"$in": list(ids)}} if ids else None
        case InCompartment(reference):
            return {"compartments": reference}
        case Updated(low, high):
            limits = [("$gte", low), ("$lte", high)]
            between = {name: instant_of(limit) for name, limit in limits if limit is not None}
            return {"updated": between} if between else {}
        case AllOf(parts):
            return _all(parts, field)
        case AnyOf(parts):
            return _any(parts, field)
        case Not(part):
            inner = _filter(part, field)
            return {} if inner is None else {"$nor": [inner]}


def _all(parts: tuple[Condition, ...], field: str) -> Filter | None:
    filters: list[Filter] = []
    for part in parts:
        criteria = _filter(part, field)
        if criteria is None:
            return None
        filters.append(criteria)
    return together(*filters)


def _any(parts: tuple[Condition, ...], field: str) -> Filter | None:
    filters = [criteria for part in parts if (criteria := _filter(part, field)) is not None]
    if not filters:
        return None
    if len(filters) == 1:
        return filters[0]
    return {} if {} in filters else {"$or": filters}


def _text(text: Text) -> object:
    entry = f"{text.parameter}|{text.value}"
    if text.mode == "exact":
        return entry
    if text.mode == "contains":
        return {"$regex": f"^{re.escape(text.parameter)}\\|.*{re.escape(text.value)}", "$options": "s"}
    return {"$elemMatch": {"$gte": entry, "$lt": entry + _LAST}}


def _bounds(bounds: Bounds) -> Filter:
    """The limits of one range; since low <= high, a limit of the one also limits the other."""
    low, high = _Limits(), _Limits()
    low.at_least(bounds.low_min, bounds.low_min_open)
    low.at_most(bounds.low_max, bounds.low_max_open)
    high.at_least(bounds.high_min, bounds.high_min_open)
    high.at_most(bounds.high_max, bounds.high_max_open)
    if bounds.low_max is None:
        low.at_most(bounds.high_max, bounds.high_max_open)
    if bounds.high_min is None:
        high.at_least(bounds.low_min, bounds.low_min_open)
    criteria: Filter = {"p": bounds.parameter}
    if low.limits:
        criteria["lo"] = low.limits
    if high.limits:
        criteria["hi"] = high.limits
    return criteria


class _Limits:
    """Comparison operators on one number."""

    def __init__(self) -> None:
        self.limits: Filter = {}

    def at_least(self, limit: float | None, exclusive: bool) -> None:
        if limit is not None:
            self.limits["$gt" if exclusive else "$gte"] = limit

    def at_most(self, limit: float | None, exclusive: bool) -> None:
        if limit is not None:
            self.limits["$lt" if exclusive else "$lte"] = limit


def _implies_alive(condition: Condition) -> bool:
    """Whether a deleted version, which has no index entries, cannot meet the condition."""
    match condition:
        case AnyKey() | Text() | Bounds():
            return True
        case AllOf(parts):
            return any(_implies_alive(part) for part in parts)
        case AnyOf(parts):
            return all(_implies_alive(part) for part in parts)
        case _:
            return False
