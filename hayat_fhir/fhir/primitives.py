"""The primitive types of FHIR R4: which JSON value and which form each takes.

https://hl7.org/fhir/R4/datatypes.html#primitive
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal

from hayat_fhir.fhir.narrative import is_safe

Check = Callable[[object], bool]

_INT32 = 2**31
_LONGEST = 2**20
"""Characters of a string, and of the types made of it."""
_LONGEST_LINK = 2**26
"""Characters of a link, which may carry data itself: as long as the largest body."""
_DAYS_OF_ANY_MONTH = 28

_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]{1,9})?"
_ZONE = r"(Z|[+-](0[0-9]:[0-5][0-9]|1[0-3]:[0-5][0-9]|14:00))"
_YEAR, _MONTH, _DAY = r"(?!0000)[0-9]{4}", r"(0[1-9]|1[0-2])", r"(0[1-9]|[12][0-9]|3[01])"

# Possessive (++, *+): no state is kept to go back to, so that a long value costs no memory.
_FORMS = {
    "code": r"[^\s]++(?:\s[^\s]++)*+",
    "id": r"[A-Za-z0-9\-.]{1,64}",
    "oid": r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*+))++",
    "uuid": r"urn:uuid:[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "time": _TIME,
}
_DATE_FORMS = {
    "date": rf"{_YEAR}(-{_MONTH}(-{_DAY})?)?",
    "dateTime": rf"{_YEAR}(-{_MONTH}(-{_DAY}(T{_TIME}{_ZONE})?)?)?",
    "instant": rf"{_YEAR}-{_MONTH}-{_DAY}T{_TIME}{_ZONE}",
}
_BASE64 = re.compile(r"[0-9a-zA-Z+/]*={0,2}")


def _text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and not value.isspace()


def _form(pattern: str, longest: int) -> Check:
    matches = re.compile(pattern, re.ASCII).fullmatch
    return lambda value: isinstance(value, str) and len(value) <= longest and matches(value) is not None


def _date(pattern: str) -> Check:
    matches = re.compile(pattern, re.ASCII).fullmatch
    return lambda value: isinstance(value, str) and matches(value) is not None and _is_day(value)


def _is_day(text: str) -> bool:
    """Whether the month has the day that a well-formed date names."""
    if len(text) < len("2026-01-29") or int(text[8:10]) <= _DAYS_OF_ANY_MONTH:
        return True
    try:
        date(int(text[:4]), int(text[5:7]), int(text[8:10]))
    except ValueError:
        return False
    return True


def _base64(value: object) -> bool:
    if not isinstance(value, str) or not value.isascii():
        return False
    packed = "".join(value.split())
    return packed != "" and len(packed) % 4 == 0 and _BASE64.fullmatch(packed) is not None


def _integer(least: int) -> Check:
    return lambda value: type(value) is int and least <= value < _INT32


CHECKS: dict[str, Check] = {
    "boolean": lambda value: type(value) is bool,
    "integer": _integer(-_INT32),
    "unsignedInt": _integer(0),
    "positiveInt": _integer(1),
    "decimal": lambda value: type(value) in (int, Decimal),
    "string": _text,
    "markdown": _text,
    "xhtml": lambda value: isinstance(value, str) and is_safe(value),
    "base64Binary": _base64,
    **{type: _form(pattern, _LONGEST) for type, pattern in _FORMS.items()},
    **{type: _form(r"\S+", _LONGEST_LINK) for type in ("uri", "url", "canonical")},
    **{type: _date(pattern) for type, pattern in _DATE_FORMS.items()},
}
"""Whether a JSON value is one of the type; of xhtml, whether it is inert as well."""
