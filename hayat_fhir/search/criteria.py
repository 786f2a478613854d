"""One search criterion, ``name[:modifier]=value,value``, as a condition; and the conditions put together well.

https://hl7.org/fhir/R4/search.html#combining
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.search import date, number, quantity, reference, string, token, uri
from hayat_fhir.search.conditions import (
    EVERYTHING,
    NOTHING,
    AllOf,
    AnyKey,
    AnyOf,
    Bounds,
    Condition,
    Ids,
    Not,
    Text,
    Updated,
)
from hayat_fhir.search.entries import OF_MANY_PATIENTS, within
from hayat_fhir.search.escaping import parts, unescaped
from hayat_fhir.search.indexing import BY_SERVER, present_key
from hayat_fhir.search.parameters import SearchParameter, SearchParameters

_ABOUT = frozenset({"CodeableConcept", "Coding", "code", "boolean"})
_MODIFIERS = {
    "token": frozenset({"not"}),
    "string": frozenset({"exact", "contains"}),
    "reference": frozenset({"identifier"}),
}
_PATIENT = frozenset({"patient", "subject"})
_MOST_VALUES = 1000


@dataclass(frozen=True, slots=True)
class Criterion:
    """A condition, and what the planner may use: the patients it names, or whether its keys exist per patient."""

    condition: Condition
    patients: tuple[str, ...] = ()
    about: bool = False


def condition(type: str, name: str, value: str, parameters: SearchParameters, *, base_url: str, now: int) -> Criterion:
    """The criterion of one parameter of a query string.

    Raises:
        InvalidRequest: The modifier or the value is not one of this parameter.
    """
    code, _, modifier = name.partition(":")
    parameter = parameters.get(type, code)
    values = parts(value, ",")
    if parameter is None or not (parameter.searchable or code in BY_SERVER):
        raise _refused(name, "this parameter is not supported", "not-supported")
    if not value or "" in values or len(values) > _MOST_VALUES:
        raise _refused(name, "no value, an empty one, or too many", "value")
    if parameter.components:
        if modifier:
            raise _refused(name, "this parameter has no modifiers", "not-supported")
        found = [_composite(type, parameter, name, text, parameters, base_url=base_url, now=now) for text in values]
        return Criterion(_any(found))
    others = parameters.joined(type).get(code)
    if others:
        named = [f"{other}:{modifier}" if modifier else other for other in others]
        criteria = [condition(type, one, value, parameters, base_url=base_url, now=now) for one in named]
        return _joined(criteria, every=modifier == "not" or (modifier == "missing" and value == "true"))
    if modifier == "missing":
        return Criterion(_missing(parameter, name, value))
    _check_modifier(parameter, name, modifier)
    try:
        if code == "_id":
            ids = Ids(tuple(unescaped(text) for text in values))
            return Criterion(Not(ids) if modifier == "not" else ids)
        if code == "_lastUpdated":
            return Criterion(_any([_updated(text, now) for text in values]))
        return _criterion(type, parameter, modifier or None, values, base_url, now)
    except ValueError as error:
        raise _refused(name, "not a value of this parameter", "value") from error


def _composite(
    type: str,
    composite: SearchParameter,
    name: str,
    text: str,
    parameters: SearchParameters,
    *,
    base_url: str,
    now: int,
) -> Condition:
    """One value of a composite, ``value$value``: each of its components is met.

    https://hl7.org/fhir/R4/search.html#composite
    """
    given = parts(text, "$")
    if len(given) != len(composite.components):
        raise _refused(name, "not as many values, joined by $, as the parameter has components", "value")
    inner = [
        condition(type, code, value, parameters, base_url=base_url, now=now).condition
        for code, value in zip(composite.components, given, strict=True)
    ]
    return AllOf(tuple(inner))


def _joined(criteria: Sequence[Criterion], *, every: bool) -> Criterion:
    """The criterion of a parameter that is others put together: one of them is met, or all of them are."""
    conditions = [criterion.condition for criterion in criteria]
    if every:
        return Criterion(AllOf(tuple(conditions)))
    keys = [key for one in conditions if isinstance(one, AnyKey) for key in one.keys]
    if all(isinstance(one, AnyKey) for one in conditions):
        return Criterion(AnyKey(tuple(keys)), about=all(criterion.about for criterion in criteria))
    return Criterion(_any(conditions))


def planned(criteria: Sequence[Criterion]) -> list[Condition]:
    """The conditions, all of which must hold.

    Where one names patients and others ask for codes, the codes are asked for under those patients: one index
    scan finds what otherwise needs the intersection of two.
    """
    named = next((criterion for criterion in criteria if criterion.patients), None)
    asked = [(criterion, _under(named, criterion)) for criterion in criteria]
    if named is None or not any(under for _, under in asked):
        return [criterion.condition for criterion in criteria]
    return [under or criterion.condition for criterion, under in asked if criterion is not named]


def _under(named: Criterion | None, criterion: Criterion) -> AnyKey | None:
    """The keys of a criterion under the patients that another one names; None where there are none, or too many."""
    condition = criterion.condition
    if named is None or not criterion.about or not isinstance(condition, AnyKey):
        return None
    if len(named.patients) * len(condition.keys) > _MOST_VALUES:
        return None
    return AnyKey(tuple(within(patient, plain) for patient in named.patients for plain in condition.keys))


def _criterion(
    type: str, parameter: SearchParameter, modifier: str | None, values: Sequence[str], base_url: str, now: int
) -> Criterion:
    code = parameter.code
    match parameter.type:
        case "token" if parameter.of_every_resource:
            found = _any([token.existence(code, text) for text in values])
            return Criterion(Not(found) if modifier == "not" else found)
        case "token":
            keys = AnyKey(tuple(key for text in values for key in _token(parameter, text).keys))
            if modifier == "not":
                return Criterion(Not(keys))
            systems_only = any(text.endswith("|") for text in values)
            return Criterion(keys, about=not systems_only and _about(type, parameter))
        case "reference":
            return _reference(parameter, modifier, values, base_url)
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


def _token(parameter: SearchParameter, text: str) -> AnyKey:
    return token.condition(parameter.code, text, has_systems=parameter.has_systems)


def _about(type: str, parameter: SearchParameter) -> bool:
    """Whether all values of a token parameter are indexed under their patient too."""
    return type not in OF_MANY_PATIENTS and all(path.type in _ABOUT for path in parameter.paths)


def _reference(parameter: SearchParameter, modifier: str | None, values: Sequence[str], base_url: str) -> Criterion:
    if modifier == "identifier":
        return Criterion(AnyKey(tuple(reference.identified(parameter, text) for text in values)))
    named = [reference.named(parameter, text, modifier, base_url) for text in values]
    keys = AnyKey(tuple(reference.reference_key(parameter.code, name) for names in named for name in names))
    one_each = all(len(names) == 1 and names[0].startswith("Patient/") for names in named)
    patients = tuple(names[0] for names in named) if parameter.code in _PATIENT and one_each else ()
    return Criterion(keys, patients)


def _check_modifier(parameter: SearchParameter, name: str, modifier: str) -> None:
    if not modifier or modifier in _MODIFIERS.get(parameter.type, ()):
        return
    if parameter.type == "reference" and (modifier in parameter.targets or "*" in parameter.targets):
        return
    raise _refused(name, "this modifier is not supported here", "not-supported")


def _missing(parameter: SearchParameter, name: str, value: str) -> Condition:
    if value not in {"true", "false"}:
        raise _refused(name, "must be true or false", "value")
    if parameter.code in BY_SERVER or parameter.of_every_resource:
        return NOTHING if value == "true" else EVERYTHING
    present: Condition
    match parameter.type:
        case "string":
            present = Text(parameter.code, "")
        case "date" | "number" | "quantity":
            present = Bounds(parameter.code)
        case _:
            present = AnyKey((present_key(parameter.code),))
    return Not(present) if value == "true" else present


def _updated(text: str, now: int) -> Condition:
    """``_lastUpdated`` stands in the document itself: one instant, compared with an interval."""
    bounds = date.condition("_lastUpdated", unescaped(text), now)
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
