"""A second reading of conditions, on plain entries: what the store must find."""

from __future__ import annotations

from hayat_fhir.search.conditions import AllOf, AnyKey, AnyOf, Bounds, Condition, Not, Text
from hayat_fhir.search.entries import IndexEntries, Range


def holds(condition: Condition, entries: IndexEntries) -> bool:
    """Whether a resource with these entries meets the condition."""
    match condition:
        case AnyKey():
            return not set(condition.keys).isdisjoint(entries.keys)
        case Text():
            return any(_text(condition, entry) for entry in entries.strings)
        case Bounds():
            return any(entry.parameter == condition.parameter and _within(condition, entry) for entry in entries.ranges)
        case AllOf():
            return all(holds(part, entries) for part in condition.parts)
        case AnyOf():
            return any(holds(part, entries) for part in condition.parts)
        case Not():
            return not holds(condition.part, entries)
        case _:
            raise NotImplementedError(type(condition).__name__)


def _text(condition: Text, entry: str) -> bool:
    parameter, _, text = entry.partition("|")
    if parameter != condition.parameter:
        return False
    return condition.value in text if condition.mode == "contains" else text.startswith(condition.value)


def _within(bounds: Bounds, entry: Range) -> bool:
    return (
        _above(entry.low, bounds.low_min, is_open=bounds.low_min_open)
        and _below(entry.low, bounds.low_max, is_open=bounds.low_max_open)
        and _above(entry.high, bounds.high_min, is_open=bounds.high_min_open)
        and _below(entry.high, bounds.high_max, is_open=bounds.high_max_open)
    )


def _above(value: float, limit: float | None, *, is_open: bool) -> bool:
    return limit is None or (value > limit if is_open else value >= limit)


def _below(value: float, limit: float | None, *, is_open: bool) -> bool:
    return limit is None or (value < limit if is_open else value <= limit)
