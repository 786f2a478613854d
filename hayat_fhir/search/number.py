"""Number parameters, and the arithmetic that quantities share: a number means what its digits say.

``100`` is [99.5, 100.5), ``1e2`` is [95, 105). https://hl7.org/fhir/R4/search.html#number
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from hayat_fhir.search.collecting import Collector
from hayat_fhir.search.conditions import AllOf, Bounds, Condition, Not
from hayat_fhir.search.prefix import prefixed

LEAST, MOST = -1e308, 1e308
"""What stands for an open end: beyond every number that a resource may have."""

_APPROXIMATE = Decimal("0.1")
_MOST_EXPONENT = 300
_LONGEST = 64


def index(code: str, value: Any, type: str, collector: Collector) -> None:  # noqa: ANN401 - a FHIR element
    """Collect the entries of one value of ``type``."""
    found = ends(value) if type == "Range" else (float(value), float(value))
    if found is not None:
        collector.interval(code, *found)
        collector.order(code, found[0])


def ends(value: dict[str, Any]) -> tuple[float, float] | None:
    """The least and the greatest number of a Range, open where it has no such end; None: it has neither."""
    low, high = (value.get(end, {}).get("value") for end in ("low", "high"))
    if low is None and high is None:
        return None
    return LEAST if low is None else float(low), MOST if high is None else float(high)


def condition(code: str, text: str) -> Condition:
    """The resources whose number stands to the given one as the prefix says.

    Raises:
        ValueError: Not a number.
    """
    prefix, rest = prefixed(text)
    value = number_of(rest)
    half = Decimal(5).scaleb(_exponent(value) - 1)
    if prefix == "ap":
        margin = max(abs(value) * _APPROXIMATE, half)
        return Bounds(code, high_min=float(value - margin), low_max=float(value + margin))
    near = Bounds(code, low_min=float(value - half), high_max=float(value + half), high_max_open=True)
    exact = float(value)
    match prefix:
        case "eq":
            return near
        case "ne":
            return AllOf((Bounds(code), Not(near)))
        case "gt":
            return Bounds(code, high_min=exact, high_min_open=True)
        case "ge":
            return Bounds(code, high_min=exact)
        case "lt":
            return Bounds(code, low_max=exact, low_max_open=True)
        case "le":
            return Bounds(code, low_max=exact)
        case "sa":
            return Bounds(code, low_min=exact, low_min_open=True)
        case _:
            return Bounds(code, high_max=exact, high_max_open=True)


def number_of(text: str) -> Decimal:
    """The decimal that a search value spells.

    Raises:
        ValueError: Not a number, or one beyond what a double can hold.
    """
    try:
        value = Decimal(text) if len(text) <= _LONGEST and text.isascii() and "_" not in text else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite() or abs(value.adjusted()) > _MOST_EXPONENT:
        raise ValueError("not a number")
    return value


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0
