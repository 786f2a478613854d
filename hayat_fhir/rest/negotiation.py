"""What a client can read and how it wants to be answered: Accept, ``_format``, ``_pretty``, Content-Type and Prefer.

JSON is the only syntax, https://hl7.org/fhir/R4/http.html#mime-type; Prefer is RFC 7240 with FHIR's own values,
https://hl7.org/fhir/R4/http.html#ops.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from hayat_fhir.errors import InvalidRequest, NotAcceptable, UnsupportedMedia

FHIR_JSON = "application/fhir+json"
_JSON = "application/json"
_FORMATS = {
    "json": FHIR_JSON,
    "text/json": FHIR_JSON,
    "application/json+fhir": FHIR_JSON,
    FHIR_JSON: FHIR_JSON,
    _JSON: _JSON,
}
_WILDCARDS = frozenset({"*/*", "application/*"})
_VERSIONS = frozenset({"4.0", "4.0.1"})
_TRUE = frozenset({"true", "1", ""})
_FALSE = frozenset({"false", "0"})

Return = Literal["minimal", "representation", "OperationOutcome"]


@dataclass(frozen=True, slots=True)
class Preference:
    """What ``Prefer`` asks for; a preference that is not known is ignored, as RFC 7240 has it."""

    returns: Return = "representation"
    lenient: bool = False


@lru_cache(maxsize=256)
def preference(header: str) -> Preference:
    """Read a Prefer header; of repeated preferences the first counts."""
    found: dict[str, str] = {}
    for part in header.replace(";", ",").split(","):
        name, _, value = part.partition("=")
        found.setdefault(name.strip().lower(), value.strip().strip('"'))
    returns: Return = "representation"
    match found.get("return", "").lower():
        case "minimal":
            returns = "minimal"
        case "operationoutcome":
            returns = "OperationOutcome"
    return Preference(returns, found.get("handling", "").lower() == "lenient")


@lru_cache(maxsize=256)
def accepted(header: str) -> str:
    """The media type to answer with, for an Accept header; empty accepts everything.

    Raises:
        NotAcceptable: JSON is not among what the client accepts.
    """
    best, best_weight = "", 0.0
    for offer in header.split(",") if header.strip() else [FHIR_JSON]:
        media, parameters = _parameters(offer)
        answer = FHIR_JSON if media in _WILDCARDS else _FORMATS.get(media)
        weight = _weight(parameters.get("q", "1"))
        if answer is None or parameters.get("fhirversion", "4.0") not in _VERSIONS or weight <= best_weight:
            continue
        best, best_weight = answer, weight
    if not best:
        raise NotAcceptable("only application/fhir+json is spoken here")
    return best


@lru_cache(maxsize=256)
def asked_format(value: str) -> str:
    """The media type to answer with, for a ``_format`` parameter, which overrides Accept.

    Raises:
        NotAcceptable: Not a JSON form.
    """
    media, parameters = _parameters(value.replace(" ", "+"))
    if media not in _FORMATS or parameters.get("fhirversion", "4.0") not in _VERSIONS:
        raise NotAcceptable("only the JSON format is spoken here")
    return _FORMATS[media]


def asked_pretty(value: str) -> bool:
    """Read a ``_pretty`` parameter.

    Raises:
        InvalidRequest: Neither true nor false.
    """
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise InvalidRequest("_pretty is true or false", code="value")


@lru_cache(maxsize=256)
def check_json(content_type: str) -> None:
    """Accept the Content-Type of a JSON body.

    Raises:
        UnsupportedMedia: Missing, not JSON, not UTF-8, or another FHIR version.
    """
    media, parameters = _parameters(content_type)
    if (
        media not in _FORMATS
        or "/" not in media
        or parameters.get("charset", "utf-8").lower() not in {"utf-8", "utf8"}
        or parameters.get("fhirversion", "4.0") not in _VERSIONS
    ):
        raise UnsupportedMedia("a body is application/fhir+json in UTF-8")


def is_form(content_type: str) -> bool:
    """Whether a body is ``application/x-www-form-urlencoded`` in UTF-8."""
    media, parameters = _parameters(content_type)
    return media == "application/x-www-form-urlencoded" and parameters.get("charset", "utf-8").lower() == "utf-8"


def _parameters(text: str) -> tuple[str, dict[str, str]]:
    """Split a media type from its parameters, names in lower case."""
    media, *rest = text.split(";")
    found: dict[str, str] = {}
    for part in rest:
        name, _, value = part.partition("=")
        found[name.strip().lower()] = value.strip().strip('"')
    return media.strip().lower(), found


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0
