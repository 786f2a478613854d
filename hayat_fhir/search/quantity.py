"""Quantity parameters: a number, and where it matters its unit.

https://hl7.org/fhir/R4/search.html#quantity
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hayat_fhir.search import number
from hayat_fhir.search.collecting import Collector
from hayat_fhir.search.conditions import Condition
from hayat_fhir.search.escaping import split

_CURRENCY = "urn:iso:std:iso:4217"
_LEAST, _MOST = -1e308, 1e308


def index(code: str, value: Any, type: str, collector: Collector) -> None:  # noqa: ANN401 - a FHIR element
    """Collect the entries of one value of ``type``."""
    if type == "Range":
        number.interval(code, value, collector)
        return
    if type == "SampledData":
        value = value.get("origin", {})
    amount = value.get("value")
    if amount is None:
        return
    low = high = float(amount)
    match value.get("comparator"):
        case "<" | "<=":
            low = _LEAST
        case ">" | ">=":
            high = _MOST
    for name in _names(code, value):
        collector.interval(name, low, high)
    collector.order(code, float(amount))


def condition(code: str, text: str) -> Condition:
    """The resources whose quantity stands to ``[prefix]number[|system|unit]`` as the prefix says.

    Raises:
        ValueError: Not a quantity.
    """
    amount, *unit = split(text, "|")
    if len(unit) not in {0, 2}:
        raise ValueError("not a quantity")
    name = f"{code}|{unit[0]}|{unit[1]}" if unit and unit[1] else code
    return number.condition(name, amount)


def _names(code: str, value: dict[str, Any]) -> Iterable[str]:
    """The parameter by each way of naming the unit, once each, and always in the same order."""
    if "currency" in value:
        currency = value["currency"]
        return code, f"{code}|{_CURRENCY}|{currency}", f"{code}||{currency}"
    names = [code]
    if "code" in value:
        names += [f"{code}|{value.get('system', '')}|{value['code']}", f"{code}||{value['code']}"]
    if "unit" in value:
        names.append(f"{code}||{value['unit']}")
    return dict.fromkeys(names)
