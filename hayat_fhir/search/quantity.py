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


def index(code: str, value: Any, type: str, collector: Collector) -> None:  # noqa: ANN401 - a FHIR element
    """Collect the entries of one value of ``type``."""
    if type == "Range":
        found = number.ends(value)
        if found is not None:
            _collect(code, [value[end] for end in ("low", "high") if end in value], found, collector)
            collector.order(code, found[0])
        return
    if type == "SampledData":
        value = value.get("origin", {})
    amount = value.get("value")
    if amount is None:
        return
    low = high = float(amount)
    match value.get("comparator"):
        case "<" | "<=":
            low = number.LEAST
        case ">" | ">=":
            high = number.MOST
    _collect(code, [value], (low, high), collector)
    collector.order(code, float(amount))


def condition(code: str, text: str) -> Condition:
    """The resources whose quantity stands to ``[prefix]number[|system|unit]`` as the prefix says.

    Raises:
        ValueError: Not a quantity, or a system without a unit of it.
    """
    amount, *unit = split(text, "|")
    if len(unit) not in {0, 2} or (unit and unit[0] and not unit[1]):
        raise ValueError("not a quantity")
    name = f"{code}|{unit[0]}|{unit[1]}" if unit and unit[1] else code
    return number.condition(name, amount)


def _collect(code: str, given: Iterable[dict[str, Any]], ends: tuple[float, float], collector: Collector) -> None:
    """The entries of one interval that is given by these quantities: one for each way of naming their unit."""
    for name in _names(code, given):
        collector.interval(name, *ends)


def _names(code: str, given: Iterable[dict[str, Any]]) -> Iterable[str]:
    """The parameter by each way of naming the units, once each, and always in the same order."""
    names = [code]
    for value in given:
        if "currency" in value:
            names += [f"{code}|{_CURRENCY}|{value['currency']}", f"{code}||{value['currency']}"]
        if "code" in value:
            names += [f"{code}|{value.get('system', '')}|{value['code']}", f"{code}||{value['code']}"]
        if "unit" in value:
            names.append(f"{code}||{value['unit']}")
    return dict.fromkeys(names)
