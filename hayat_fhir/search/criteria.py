"""One search criterion, ``name[:modifier]=value,value``, as a condition; and the conditions put together well.

https://hl7.org/fhir/R4/search.html#combining
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.search import date, number, quantity, reference, string, token, uri
from hayat_fhir.search.conditions import AnyKey, AnyOf, Bounds, Condition, Ids, Not, Text, Updated
from hayat_fhir.search.entries import within
from hayat_fhir.search.escaping import parts, unescaped
from hayat_fhir.search.indexing import present_key
from hayat_fhir.search.parameters import SearchParameter, SearchParameters

_ABOUT = frozenset({"CodeableConcept", "Coding", "code", "boolean", "exists"})
_MODIFIERS = {
    "token": frozenset({"not"}),
    "string": frozenset({"exact", "contains"}),
    "reference": frozenset({"identifier"}),
}
_PATIENT = frozenset({"patient", "subject"})
_MOST_VALUES = 1000


@dataclass(frozen=True, slots=True)
class Criterion:
    """A condition, and what the planner may use: the patient it fixes, or whether its keys exist per patient."""

    condition: Condition
    patient: str | None = None
    about: bool = False


def condition(type: str, name: str, value: str, parameters: SearchParameters, *, base_url: str, now: int) -> Criterion:
    """The criterion of one parameter of a query string.

    Raises:
        InvalidRequest: The modifier or the value is not one of this parameter.
    """
    code, _, modifier = name.partition(":")
    parameter = parameters.get(type, code)
    values = parts(value, ",")
    if parameter is None or not (parameter.searchable or code in {"_id", "_lastUpdated"}):
        raise _refused(name, "this parameter is not supported", "not-supported")
    if not value or "" in values or len(values) > _MOST_VALUES:
        raise _refused(name, "no value, an empty one, or too many", "value")
    if modifier == "missing":
        return Criterion(_missing(parameter, name, value))
    _check_modifier(parameter, name, modifier)
    try:
        if code == "_id":
            return Criterion(Ids(tuple(unescaped(text) for text in values)))
        if code == "_lastUpdated":
            return Criterion(_any([_updated(text) for text in values]))
        return _criterion(parameter, modifier or None, values, base_url, now)
    except ValueError as error:
        raise _refused(name, "not a value of this parameter", "value") from error


def planned(criteria: Sequence[Criterion]) -> list[Condition]:
    """The conditions, all of which must hold.

    Where one fixes the patient and others ask for codes, the codes are asked for under that patient: one index
    scan finds what otherwise needs the intersection of two.
    """
    patient = next((criterion for criterion in criteria if criterion.patient is not None), None)
    if patient is None or patient.patient is None or not any(criterion.about for criterion in criteria):
        return [criterion.condition for criterion in criteria]
    found: list[Condition] = []
    for criterion in criteria:
        if criterion.about and isinstance(criterion.condition, AnyKey):
            found.append(AnyKey(tuple(within(patient.patient, plain) for plain in criterion.condition.keys)))
        elif criterion is not patient:
            found.append(criterion.condition)
    return found


def _criterion(
    parameter: SearchParameter, modifier: str | None, values: Sequence[str], base_url: str, now: int
) -> Criterion:
    code = parameter.code
    match parameter.type:
        case "token":
            keys = AnyKey(tuple(key for text in values for key in token.condition(code, text).keys))
            if modifier == "not":
                return Criterion(Not(keys))
            systems_only = any(text.endswith("|") for text in values)
            return Criterion(keys, about=not systems_only and _about(parameter))
        case "reference":
            keys = AnyKey(
                tuple(key for text in values for key in reference.condition(parameter, text, modifier, base_url).keys)
            )
            return Criterion(keys, _patient(parameter, modifier, values, base_url))
        case "uri":
            return Criterion(AnyKey(tuple(key for text in values for key in uri.condition(code, text).keys)))
        case "string":
            return Criterion(_any([string.condition(code, text, modifier) for text in values]))
        case "date":
            return Criterion(_any([date.condition(code, unescaped(text), now) for text in values]))
        case "quantity":
            return Criterion(_any([quantity.condition(code, text) for text in values]))
        case _:
            return Criterion(_any([number.condition(code, unescaped(text)) for text in values]))


def _about(parameter: SearchParameter) -> bool:
    """Whether all values of a token parameter are indexed under their patient too."""
    return all(path.type in _ABOUT for path in parameter.paths)


def _patient(parameter: SearchParameter, modifier: str | None, values: Sequence[str], base_url: str) -> str | None:
    """The one patient that a criterion fixes, where it does."""
    if parameter.code not in _PATIENT or len(values) != 1 or modifier == "identifier":
        return None
    names = reference.named(parameter, values[0], modifier, base_url)
    return names[0] if len(names) == 1 and names[0].startswith("Patient/") else None


def _check_modifier(parameter: SearchParameter, name: str, modifier: str) -> None:
    if not modifier or modifier in _MODIFIERS.get(parameter.type, ()):
        return
    if parameter.type == "reference" and (modifier in parameter.targets or "*" in parameter.targets):
        return
    raise _refused(name, "this modifier is not supported here", "not-supported")


def _missing(parameter: SearchParameter, name: str, value: str) -> Condition:
    if value not in {"true", "false"}:
        raise _refused(name, "must be true or false", "value")
    present: Condition
    match parameter.type:
        case "string":
            present = Text(parameter.code, "")
        case "date" | "number" | "quantity":
            present = Bounds(parameter.code)
        case _:
            present = AnyKey((present_key(parameter.code),))
    return Not(present) if value == "true" else present


def _updated(text: str) -> Condition:
    """``_lastUpdated`` stands in the document itself: one instant, compared with an interval."""
    bounds = date.condition("_lastUpdated", unescaped(text), 0)
    if not isinstance(bounds, Bounds):
        inner = [part for part in bounds.parts if isinstance(part, Not)] if hasattr(bounds, "parts") else []
        return Not(_as_updated(inner[0].part)) if inner else bounds
    return _as_updated(bounds)


def _as_updated(bounds: Condition) -> Condition:
    if not isinstance(bounds, Bounds):
        return bounds
    lows = [
        limit + is_open
        for limit, is_open in ((bounds.low_min, bounds.low_min_open), (bounds.high_min, bounds.high_min_open))
        if limit is not None
    ]
    highs = [
        limit - is_open
        for limit, is_open in ((bounds.low_max, bounds.low_max_open), (bounds.high_max, bounds.high_max_open))
        if limit is not None
    ]
    return Updated(round(max(lows)) if lows else None, round(min(highs)) if highs else None)


def _any(conditions: list[Condition]) -> Condition:
    return conditions[0] if len(conditions) == 1 else AnyOf(tuple(conditions))


def _refused(name: str, why: str, code: str) -> InvalidRequest:
    plain = name if name.replace(":", "").replace("-", "").replace("_", "").isalnum() and len(name) < 128 else "?"
    return InvalidRequest(why, code=code, expression=[f"parameter: {plain}"])
