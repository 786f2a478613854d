"""Date parameters: intervals against intervals.

https://hl7.org/fhir/R4/search.html#date
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hayat_fhir.fhir.dates import bounds
from hayat_fhir.search.collecting import Collector
from hayat_fhir.search.conditions import AllOf, Bounds, Condition, Not
from hayat_fhir.search.prefix import prefixed

FIRST, LAST = -(2**53), 2**53
"""What stands for an open end: beyond every date, and exact in a double."""

_APPROXIMATE = 0.1


def index(code: str, value: Any, type: str, collector: Collector) -> None:  # noqa: ANN401 - a FHIR element
    """Collect the entries of one value of ``type``.

    Raises:
        ValueError: Not a date.
    """
    for low, high in _intervals(value, type):
        collector.interval(code, low, high)
        collector.order(code, low if low != FIRST else high)


def condition(code: str, text: str, now: int) -> Condition:
    """The resources whose interval stands to the given one as the prefix says; ``now`` in milliseconds, for ``ap``.

    Raises:
        ValueError: Not a date.
    """
    prefix, rest = prefixed(text)
    low, high = bounds(rest.replace(" ", "+"))
    match prefix:
        case "eq":
            return Bounds(code, low_min=low, high_max=high)
        case "ne":
            return AllOf((Bounds(code), Not(Bounds(code, low_min=low, high_max=high))))
        case "gt":
            return Bounds(code, high_min=high, high_min_open=True)
        case "ge":
            return Bounds(code, high_min=low)
        case "lt":
            return Bounds(code, low_max=low, low_max_open=True)
        case "le":
            return Bounds(code, low_max=high)
        case "sa":
            return Bounds(code, low_min=high, low_min_open=True)
        case "eb":
            return Bounds(code, high_max=low, high_max_open=True)
        case _:
            margin = round(abs(now - low) * _APPROXIMATE)
            return Bounds(code, low_max=high + margin, high_min=low - margin)


def _intervals(value: Any, type: str) -> Iterator[tuple[int, int]]:  # noqa: ANN401 - a FHIR element
    match type:
        case "Period":
            start, end = value.get("start"), value.get("end")
            if start or end:
                yield bounds(start)[0] if start else FIRST, bounds(end)[1] if end else LAST
        case "Timing":
            events = [bounds(event) for event in value.get("event", ()) if event is not None]
            if events:
                yield min(low for low, _ in events), max(high for _, high in events)
            period = value.get("repeat", {}).get("boundsPeriod")
            if period:
                yield from _intervals(period, "Period")
        case _:
            if isinstance(value, str) and value[:1].isdigit():
                yield bounds(value)
