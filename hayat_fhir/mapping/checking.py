"""Checks a legacy document that somebody sends against its mapping, before anything is made of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from hayat_fhir.errors import InvalidRequest, Issue
from hayat_fhir.mapping.document import DocumentMapping, Field

_DATE = re.compile(r"\d{4}-\d\d-\d\d(T00:00(:00(\.0{1,9})?)?(Z|\+00:00)?)?", re.ASCII)
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)|\d{4}-\d\d-\d\d", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9.\-]{1,64}", re.ASCII)
_MAIL = re.compile(r"[^\s@\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+\.[^\s@\x00-\x1f\x7f]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_MOST_NUMBER = 10**18
_MOST_SHOWN = 64


def checked(mapping: DocumentMapping, document: Mapping[str, Any], *, creating: bool) -> dict[str, Any]:
    """The document as it may be stored: texts without surrounding space, e-mail addresses in one form.

    Raises:
        InvalidRequest: A field is unknown, missing or not of its type; each issue names the field, none a value.
    """
    issues: list[Issue] = []
    found: dict[str, Any] = {}
    for name, value in document.items():
        if name not in mapping.names:
            shown = name if name.isidentifier() and name.isascii() and len(name) <= _MOST_SHOWN else "?"
            issues.append(Issue("structure", "there is no such field", (shown,)))
            continue
        inner = {
            field.name.partition(".")[2]: field
            for field in mapping.fields.values()
            if field.name.startswith(f"{name}.")
        }
        if inner:
            found[name] = _object(name, value, inner, issues)
        else:
            found[name] = _value(mapping.fields[name], value, issues)
    if creating:
        missing = [field.name for field in mapping.fields.values() if field.required and field.name not in document]
        issues += [Issue("required", "this field is needed", (name,)) for name in missing]
    if issues:
        raise InvalidRequest(issues=issues[:50])
    return found


def _object(name: str, value: Any, fields: Mapping[str, Field], issues: list[Issue]) -> dict[str, Any] | None:  # noqa: ANN401 - JSON
    if value is None:
        return None
    if not isinstance(value, dict):
        issues.append(Issue("structure", "must be an object", (name,)))
        return None
    if not value.keys() <= fields.keys():
        issues.append(Issue("structure", f"has only {', '.join(sorted(fields))}", (name,)))
    return {key: _value(fields[key], inner, issues) for key, inner in value.items() if key in fields}


def _value(field: Field, value: Any, issues: list[Issue]) -> Any:  # noqa: ANN401 - any JSON value
    if value is None or value == "":
        if field.required:
            issues.append(Issue("required", "must not be empty", (field.name,)))
        return None
    try:
        return _typed(field, value)
    except ValueError as error:
        issues.append(Issue("value", str(error), (field.name,)))
        return None


def _typed(field: Field, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The value in its form.

    Raises:
        ValueError: It is not of the field's type; the message says what is, and nothing of the value.
    """
    match field.type:
        case "number":
            return _number(value)
        case "date":
            return f"{_moment(value, _DATE, 'must be a date, YYYY-MM-DD')[:10]}T00:00:00.000Z"
        case "datetime":
            return _moment(value, _DATE_TIME, "must be a date and time with its offset from UTC")
        case "id":
            return _id(value)
        case _:
            return _text(field, value)


def _number(value: Any) -> int:  # noqa: ANN401 - any JSON value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        value = int(value)  # what a form field holds
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _MOST_NUMBER:
        raise ValueError("must be a whole number that is not negative, of 18 digits at most")
    return value


def _moment(value: object, form: re.Pattern[str], why: str) -> str:
    if not isinstance(value, str) or form.fullmatch(value) is None:
        raise ValueError(why)
    try:
        if date.fromisoformat(value[:10]).year < 1000:
            raise ValueError(why)
        if len(value) > 10:
            datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(why) from error
    return f"{value[:16]}:00{value[16:]}" if len(value) > 16 and value[16] != ":" else value


def _id(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        value = value.get("_id", value.get("id"))  # a populated document, sent back as it was read
    if not isinstance(value, str) or _ID.fullmatch(value) is None:
        raise ValueError("must be an id")
    return str(value)


def _text(field: Field, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    if len(value) > field.longest:
        raise ValueError(f"must have {field.longest} characters at most")
    if field.write_only:
        return value
    if _CONTROL.search(value):
        raise ValueError("must not hold control characters")
    value = value.strip()
    if field.enum and value not in field.enum:
        raise ValueError(f"must be one of {', '.join(field.enum)}")
    if field.name == "email":
        if _MAIL.fullmatch(value) is None:
            raise ValueError("must be an e-mail address")
        return value.casefold()
    if not value:
        raise ValueError("must not be empty")
    return value


def texts(mapping: DocumentMapping, pairs: Mapping[str, str]) -> dict[str, Any]:
    """The document that the fields of a form are: a dotted or bracketed name is a field of an object.

    Raises:
        InvalidRequest: A name is given as an object and as a field.
    """
    document: dict[str, Any] = {}
    for name, value in pairs.items():
        outer, inner = _form_name(name)
        if inner is None:
            document[outer] = value
        else:
            held = document.setdefault(outer, {})
            if not isinstance(held, dict):
                raise InvalidRequest("a field is given twice", code="structure", expression=["form"])
            held[inner] = value
    for one in mapping.fields.values():
        if isinstance(document.get(one.name), str) and document[one.name] in {"null", "undefined"} and not one.required:
            document[one.name] = None
    return document


_FORM_NAME = re.compile(r"(\w{1,64})(?:\.(\w{1,64})|\[(\w{1,64})\])?", re.ASCII)


def _form_name(name: str) -> tuple[str, str | None]:
    match = _FORM_NAME.fullmatch(name)
    return (name, None) if match is None else (match[1], match[2] or match[3])
