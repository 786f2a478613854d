"""Token parameters: codes, identifiers and booleans, with or without a system.

https://hl7.org/fhir/R4/search.html#token
"""

from __future__ import annotations

from typing import Any

from hayat_fhir.search.collecting import Collector
from hayat_fhir.search.conditions import AnyKey, Not
from hayat_fhir.search.entries import key
from hayat_fhir.search.escaping import split

_ABOUT = frozenset({"CodeableConcept", "Coding", "code", "boolean"})
"""Types whose values repeat over patients, so that ``patient`` and code together must be one key."""


def index(
    code: str,
    value: Any,  # noqa: ANN401 - a FHIR element
    type: str,
    collector: Collector,
    *,
    has_systems: bool = True,
) -> None:
    """Collect the entries of one value of ``type``; ``has_systems``: the parameter's tokens may have one."""
    about = type in _ABOUT
    if not has_systems:
        _plain(code, value, type, collector)
        return
    match type:
        case "CodeableConcept":
            for coding in value.get("coding", ()):
                _token(code, coding.get("system"), coding.get("code"), about, collector)
        case "Coding":
            _token(code, value.get("system"), value.get("code"), about, collector)
        case "Identifier":
            _token(code, value.get("system"), value.get("value"), about, collector)
        case "ContactPoint":
            _token(code, None, value.get("value"), about, collector)
        case "exists":
            _token(code, None, "true" if value else "false", True, collector)
        case _:
            _token(code, None, _text(value), about, collector)


def _plain(code: str, value: Any, type: str, collector: Collector) -> None:  # noqa: ANN401 - a FHIR element
    """The entry of a value of a parameter whose tokens have no systems."""
    if type == "exists":
        text: str | None = "true" if value else "false"
    else:
        text = value.get("value") if type == "ContactPoint" else _text(value)
    if text is not None:
        collector.equal(code, text, about=type in _ABOUT or type == "exists")
        collector.order(code, text)


def condition(code: str, text: str, *, has_systems: bool = True) -> AnyKey:
    """The resources with this token: ``code``, ``system|code``, ``|code`` or ``system|``.

    Raises:
        ValueError: No token at all.
    """
    system, *rest = split(text, "|")
    if len(rest) > 1 or not (system or any(rest)):
        raise ValueError("not a token")
    if not has_systems and rest and not system:
        return AnyKey((key(code, rest[0]),))
    return AnyKey((key(code, system if not rest else f"{system}|{rest[0]}"),))


def existence(code: str, text: str) -> AnyKey | Not:
    """The resources in which something is there (``true``) or not: where the element is absent, nothing is indexed.

    Raises:
        ValueError: No token at all.
    """
    asked = condition(code, text, has_systems=False)
    return Not(AnyKey((key(code, "true"),))) if asked.keys == (key(code, "false"),) else asked


def _token(code: str, system: str | None, value: str | None, about: bool, collector: Collector) -> None:
    if value is not None:
        collector.equal(code, value, about=about)
        collector.equal(code, f"{system or ''}|{value}", about=about)
        collector.order(code, value)
    if system is not None:
        collector.equal(code, f"{system}|")


def _text(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
