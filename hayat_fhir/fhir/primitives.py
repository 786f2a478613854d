"""The primitive types of FHIR R4: which JSON value and which form each takes.

https://hl7.org/fhir/R4/datatypes.html#primitive
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

from hayat_fhir.fhir.dates import bounds

Check = Callable[[object], bool]

_INT32 = 2**31
_LONGEST = 2**20

_FORMS = {
    "code": r"[^\s]+(\s[^\s]+)*",
    "id": r"[A-Za-z0-9\-.]{1,64}",
    "uri": r"\S*",
    "url": r"\S*",
    "canonical": r"\S*",
    "oid": r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+",
    "uuid": r"urn:uuid:[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "time": r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?",
    "base64Binary": r"[0-9a-zA-Z+/=\s]*",
}
_DATE_FORMS = {
    "date": r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?",
    "dateTime": r"[0-9]{4}(-[0-9]{2}(-[0-9]{2}(T[0-9:]{8}(\.[0-9]{1,9})?(Z|[+-][0-9:]{5}))?)?)?",
    "instant": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{1,9})?(Z|[+-][0-9:]{5})",
}


def _text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and not value.isspace()


def _form(pattern: str) -> Check:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: isinstance(value, str) and value != "" and compiled.fullmatch(value) is not None


def _date(pattern: str) -> Check:
    form = _form(pattern)

    def check(value: object) -> bool:
        if not form(value):
            return False
        try:
            bounds(str(value))
        except ValueError:
            return False
        return True

    return check


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
    "xhtml": lambda value: isinstance(value, str) and value != "",
    **{type: _form(pattern) for type, pattern in _FORMS.items()},
    **{type: _date(pattern) for type, pattern in _DATE_FORMS.items()},
}
"""Whether a JSON value is one of the type."""
