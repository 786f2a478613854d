"""The order of a search, and the pages of it: pure.

A page begins after a position (keyset paging), so that no page costs more than the first, and writes between
two pages neither repeat nor skip a resource that stays where it is. Resources without the sort value come
last; equal ones are in the order of their ids.

Where one index serves the order, a page is read as one or more ranges of it, one after the other
(``Scan``). Any other order is computed by the database for each page (``sorting_stages``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.search.conditions import AnyKey, Bounds, Condition, SortKey
from hayat_fhir.security.callers import Restriction
from hayat_fhir.store.conditions import Filter, conjuncts, instant_of, matching, together
from hayat_fhir.store.documents import ANY, BRIEF, BROAD, NARROW, NEVER, OPEN, Document

_DATE = "index.date"
_FIELDS = {"_id": "_id", "_lastUpdated": "updated"}


@dataclass(frozen=True, slots=True)
class Scan:
    """An order that one index serves: by ``field``, then by id in the same direction."""

    field: str
    descending: bool

    @property
    def sort(self) -> list[tuple[str, int]]:
        """The sort specification of each range."""
        direction = -1 if self.descending else 1
        return [("_id", direction)] if self.field == "_id" else [(self.field, direction), ("_id", direction)]

    def position(self, document: Document) -> list[Any]:
        """Where a document stands in this order, as plain JSON values."""
        match self.field:
            case "_id":
                return [document["_id"]]
            case "updated":
                return [milliseconds(document["updated"]), document["_id"]]
            case _:
                return [document["index"]["date"], document["_id"]]


@dataclass(frozen=True, slots=True)
class _Range:
    """Documents whose field lies in [low, high], inclusive (None: unlimited), and of those only ``ids``."""

    low: int | None = None
    high: int | None = None
    ids: Filter | None = None

    def within(self, low: int | None, high: int | None) -> _Range | None:
        """The part of it inside of these limits, or None where that is empty."""
        lows = [limit for limit in (self.low, low) if limit is not None]
        highs = [limit for limit in (self.high, high) if limit is not None]
        part = _Range(max(lows, default=None), min(highs, default=None), self.ids)
        return None if part.low is not None and part.high is not None and part.low > part.high else part

    def filter(self, field: str) -> Filter:
        """As a filter on ``field``."""
        limits = [("$gte", self.low), ("$lte", self.high)]
        given = {name: limit for name, limit in limits if limit is not None}
        if self.low is not None and self.low == self.high:
            given = {"$eq": self.low}
        if field == "updated":
            given = {name: instant_of(limit) for name, limit in given.items()}  # type: ignore[misc]
        return {**({field: given} if given else {}), **({"_id": self.ids} if self.ids else {})}


def scan_for(sort: Sequence[SortKey]) -> Scan | None:
    """The scan that serves this order, newest first where there is none given; None where no index does."""
    if not sort:
        return Scan(_DATE, descending=True)
    first, rest = sort[0], sort[1:]
    field = _DATE if first.principal else _FIELDS.get(first.parameter)
    by_id = bool(rest) and rest[0].parameter == "_id" and rest[0].descending == first.descending
    if field is None or (rest and field != "_id" and not by_id):
        return None
    return Scan(field, first.descending)


def segments(
    scan: Scan, condition: Condition, restriction: Restriction, after: list[Any] | None, principal: str | None
) -> list[Filter]:
    """The filters whose matches, one after the other, are all that comes after the position.

    ``principal``: the search parameter whose lower bound is ``index.date``. Its limits in the condition narrow
    the range of the index that is read.

    Raises:
        InvalidRequest: ``after`` is not a position in this order.
    """
    base = matching(condition, restriction)
    if base is None:
        return []
    if scan.field == "_id":
        return [together(base, {"_id": _beyond(scan, after[-1])}) if after else base]
    ranges = _ranges(scan, after)
    if scan.field == _DATE and principal is not None:
        window = _window(condition, principal)
        if window is not None:
            return _windowed(scan, condition, restriction, ranges, window)
    return [together(base, part.filter(scan.field)) for part in ranges]


def counted(condition: Condition, restriction: Restriction, principal: str | None) -> list[Filter]:
    """Disjoint filters that together hold all matches, each served by an index."""
    return segments(Scan(_DATE, descending=True), condition, restriction, None, principal)


def sorting_stages(sort: Sequence[SortKey], after: list[Any] | None) -> list[Document]:
    """Aggregation stages that put matches in this order and begin after the position.

    Each match gets ``s``: its sort values, None where it has none, with the id at the end.

    Raises:
        InvalidRequest: ``after`` is not a position in this order.
    """
    keys = [*sort, SortKey("_id")]
    stages: list[Document] = [{"$set": {"s": [_value(key) for key in keys]}}]
    names = [f"s{number}" for number in range(len(keys))]
    stages.append({"$set": {name: {"$arrayElemAt": ["$s", n]} for n, name in enumerate(names)}})
    stages.append({"$set": {f"{name}m": {"$eq": [f"${name}", None]} for name in names}})
    if after is not None:
        stages.append({"$match": {"$expr": {"$or": list(_after(keys, after))}}})
    order: dict[str, int] = {}
    for name, key in zip(names, keys, strict=True):
        order[f"{name}m"] = 1
        order[name] = -1 if key.descending else 1
    stages.append({"$sort": order})
    return stages


def sorted_position(document: Document) -> list[Any]:
    """Where a document that went through ``sorting_stages`` stands, as plain JSON values."""
    return [milliseconds(value) if isinstance(value, datetime) else value for value in document["s"]]


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970 UTC."""
    return round(moment.timestamp() * 1000)


def _beyond(scan: Scan, id: Any) -> Filter:  # noqa: ANN401 - whatever the cursor holds
    if not isinstance(id, str):
        raise InvalidRequest("not a position in this search", code="value")
    return {"$lt" if scan.descending else "$gt": id}


def _ranges(scan: Scan, after: list[Any] | None) -> list[_Range]:
    """The ranges of the field that come after the position, in order."""
    last = NEVER if scan.field == _DATE else None
    if after is None:
        if scan.descending or last is None:
            return [_Range()]
        return [_Range(low=last + 1), _Range(last, last)]
    if len(after) != 2 or not isinstance(after[0], int):
        raise InvalidRequest("not a position in this search", code="value")
    value = after[0]
    ranges = [_Range(value, value, _beyond(scan, after[1]))]
    if value == last:
        return ranges
    if scan.descending:
        return [*ranges, _Range(high=value - 1)]
    return [*ranges, _Range(low=value + 1), *([_Range(last, last)] if last is not None else [])]


@dataclass(frozen=True, slots=True)
class _Window:
    """Between which dates (None: any) everything lies that meets a condition: of the brief, and of the narrow."""

    brief: int | None
    narrow: int | None
    high: int | None


def _window(condition: Condition, principal: str) -> _Window | None:
    """The window of the condition; None where there is none."""
    lows: list[float] = []
    reaching: list[float] = []
    highs: list[float] = []
    for part in conjuncts(condition):
        if isinstance(part, Bounds) and part.parameter == principal:
            lows += [limit for limit in (part.low_min,) if limit is not None]
            reaching += [limit for limit in (part.high_min,) if limit is not None]
            highs += [limit for limit in (part.low_max, part.high_max) if limit is not None]
    brief, narrow = (max([*lows, *(limit - width for limit in reaching)], default=None) for width in (BRIEF, NARROW))
    found = _Window(_integer(brief), _integer(narrow), _integer(min(highs, default=None)))
    return None if found.narrow is None and found.high is None else found


def _integer(limit: float | None) -> int | None:
    return None if limit is None or abs(limit) >= -NEVER else int(limit)


def _windowed(
    scan: Scan,
    condition: Condition,
    restriction: Restriction,
    ranges: Iterable[_Range],
    window: _Window,
) -> list[Filter]:
    """The ranges inside of the window; of what lies before or after it, only wide resources can reach into it.

    With a key and no upper limit they are read as one: few wide resources have the key. Otherwise one after the other,
    so that none is read further than the page needs: of what narrow resources alone reach from, the broad ones are
    read, whose keys stand in ``index.keys`` only; of what is behind, those without a beginning.
    """
    brief = matching(condition, restriction) or {}
    keyed = any(isinstance(part, AnyKey) for part in conjuncts(condition))
    wide = (matching(condition, restriction, "index.wide") or {}) if keyed else brief
    as_one = keyed and window.high is None
    low = window.narrow if as_one or window.brief is None else window.brief
    filters: list[Filter] = []
    for part in ranges:
        before = part.within(None, window.narrow - 1) if window.narrow is not None else None
        reaching = part.within(window.narrow, low - 1) if low is not None and low != window.narrow else None
        inside = part.within(low, window.high)
        above = None if window.high is None else max(window.high + 1, window.high if low is None else low)
        behind = part.within(above, None) if above is not None else None
        found = [
            together({} if keyed else {"index.wide": ANY}, wide, before.filter(scan.field)) if before else None,
            together({"index.wide": BROAD}, brief, reaching.filter(scan.field)) if reaching else None,
            together(brief, inside.filter(scan.field)) if inside else None,
            together({"index.wide": OPEN}, wide, behind.filter(scan.field)) if behind else None,
        ]
        ordered = [part for part in (reversed(found) if scan.descending else found) if part is not None]
        filters += [{"$or": ordered}] if as_one and len(ordered) > 1 else ordered
    return filters


def _value(key: SortKey) -> Document | str:
    """The expression for a document's value under one sort rule: the least one, or descending the greatest."""
    if key.parameter in _FIELDS:
        return f"${_FIELDS[key.parameter]}"
    if key.principal:
        return {"$cond": [{"$gt": [f"${_DATE}", NEVER]}, f"${_DATE}", None]}
    stored = {"$ifNull": [{"$getField": {"field": {"$literal": key.parameter}, "input": "$index.order"}}, None]}
    chosen = {"$arrayElemAt": ["$$v", -1 if key.descending else 0]}
    return {"$let": {"vars": {"v": stored}, "in": {"$cond": [{"$isArray": "$$v"}, chosen, "$$v"]}}}


def _after(keys: Sequence[SortKey], after: list[Any]) -> Iterable[Document]:
    """One alternative for each sort rule: equal in all before it, and beyond in it."""
    if len(after) != len(keys):
        raise InvalidRequest("not a position in this search", code="value")
    equal: list[Document] = []
    for number, (key, value) in enumerate(zip(keys, after, strict=True)):
        name = f"$s{number}"
        if value is None:
            equal.append({"$eq": [f"{name}m", True]})
            continue
        literal = {"$literal": instant_of(value) if key.parameter == "_lastUpdated" else value}
        further = {"$lt" if key.descending else "$gt": [name, literal]}
        yield {"$and": [*equal, {"$or": [f"{name}m", {"$and": [{"$not": [f"{name}m"]}, further]}]}]}
        equal.append({"$eq": [name, literal]})
