"""The closed set of transforms between a legacy field and a FHIR element, each in both directions.

``to_fhir`` gets the legacy value and the element that stands there now, and gives the new element; ``to_legacy``
gives the legacy value of an element, None where the element says nothing that the field could hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any

Codes = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Details:
    """What a row says beside its transform: a table of codes, the type that a reference points to."""

    codes: Codes
    target: str


@dataclass(frozen=True, slots=True)
class Pair:
    """One transform in both directions. ``type`` is the legacy field's: string, number, date, datetime or id."""

    to_fhir: Callable[[Any, Any, Details], Any]
    to_legacy: Callable[[Any, Details], Any]
    type: str = "string"


def _same(value: Any, current: Any, details: Details) -> Any:  # noqa: ANN401 - any JSON value
    del current, details
    return value


def _text(element: Any, details: Details) -> str | None:  # noqa: ANN401 - any JSON value
    del details
    return element if isinstance(element, str) else None


def _to_code(value: Any, current: Any, details: Details) -> str:  # noqa: ANN401 - any JSON value
    del current
    return str(details.codes[value]["code"])


def _from_code(element: Any, details: Details) -> str | None:  # noqa: ANN401 - any JSON value
    return next((name for name, code in details.codes.items() if code["code"] == element), None)


def _to_number_text(value: Any, current: Any, details: Details) -> str:  # noqa: ANN401 - any JSON value
    del current, details
    return str(value)


def _from_number_text(element: Any, details: Details) -> int | None:  # noqa: ANN401 - any JSON value
    del details
    if not isinstance(element, str) or not element.isascii() or not element.isdigit():
        return None
    return int(element) if len(element) <= 18 and str(int(element)) == element else None


def _to_date(value: Any, current: Any, details: Details) -> str:  # noqa: ANN401 - any JSON value
    del current, details
    return str(value)[:10]


def _from_date(element: Any, details: Details) -> str | None:  # noqa: ANN401 - any JSON value
    del details
    if not isinstance(element, str):
        return None
    year, _, rest = element.partition("-")
    month, _, day = rest.partition("-")
    try:
        return f"{date(int(year), int(month or 1), int(day or 1)).isoformat()}T00:00:00.000Z"
    except ValueError:
        return None


def _to_date_time(value: Any, current: Any, details: Details) -> str:  # noqa: ANN401 - any JSON value
    del current, details
    return str(value)


def _from_date_time(element: Any, details: Details) -> str | None:  # noqa: ANN401 - any JSON value
    if not isinstance(element, str):
        return None
    if "T" not in element:
        return _from_date(element, details)
    try:
        moment = datetime.fromisoformat(element).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


_NAME_PARTS = ("family", "_family", "given", "_given", "prefix", "_prefix", "suffix", "_suffix", "_text")


def _to_human_name(value: Any, current: Any, details: Details) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """The parts go where the whole changes: they would name somebody else."""
    del details
    kept = {name: part for name, part in (current or {}).items() if name not in _NAME_PARTS}
    return {**kept, "text": value}


def _from_human_name(element: Any, details: Details) -> str | None:  # noqa: ANN401 - any JSON value
    del details
    if not isinstance(element, dict):
        return None
    parts = (*element.get("prefix", ()), *element.get("given", ()), element.get("family"), *element.get("suffix", ()))
    return element.get("text") or " ".join(part for part in parts if part) or None


def _to_concept(value: Any, current: Any, details: Details) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """The codes go where the text changes: they would say something else."""
    del details
    return {**{name: part for name, part in (current or {}).items() if name not in {"coding", "_text"}}, "text": value}


def _from_concept(element: Any, details: Details) -> str | None:  # noqa: ANN401 - any JSON value
    del details
    if not isinstance(element, dict):
        return None
    codings = element.get("coding", ())
    found = (coding.get(name) for name in ("display", "code") for coding in codings)
    return element.get("text") or next(filter(None, found), None)


def _to_coded(value: Any, current: Any, details: Details) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    del current
    code = details.codes[value]
    return {"coding": [{name: code[name] for name in ("system", "code", "display")}], "text": value}


def _from_coded(element: Any, details: Details) -> str | None:  # noqa: ANN401 - any JSON value
    if not isinstance(element, dict):
        return None
    given = {(coding.get("system"), coding.get("code")) for coding in element.get("coding", ())}
    for name, code in details.codes.items():
        known = {(code["system"], code["code"]), *((other["system"], other["code"]) for other in code.get("also", ()))}
        if given & known:
            return name
    return None


def _to_reference(value: Any, current: Any, details: Details) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    del current
    return {"reference": f"{details.target}/{value}"}


def _from_reference(element: Any, details: Details) -> str | None:  # noqa: ANN401 - any JSON value
    text = element.get("reference") if isinstance(element, dict) else None
    if not isinstance(text, str):
        return None
    type, _, id = text.partition("/_history/")[0].partition("/")
    return id if type == details.target and id else None


PAIRS: Mapping[str, Pair] = MappingProxyType(
    {
        "text": Pair(_same, _text),
        "code": Pair(_to_code, _from_code),
        "number_text": Pair(_to_number_text, _from_number_text, "number"),
        "date": Pair(_to_date, _from_date, "date"),
        "date_time": Pair(_to_date_time, _from_date_time, "datetime"),
        "human_name": Pair(_to_human_name, _from_human_name),
        "concept_text": Pair(_to_concept, _from_concept),
        "coded_concept": Pair(_to_coded, _from_coded),
        "reference": Pair(_to_reference, _from_reference, "id"),
    }
)
"""All transforms by the names that mapping files use."""
