"""What a client asks for in a batch or transaction: the entries of a Bundle, taken apart.

https://hl7.org/fhir/R4/bundle.html, https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.dates import bounds
from hayat_fhir.fhir.preconditions import if_match, only_if_absent

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"})
READING = frozenset({"GET", "HEAD"})
_PRECONDITIONS = ("ifNoneMatch", "ifModifiedSince", "ifMatch", "ifNoneExist")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VERSION = re.compile(r"[0-9]{1,18}")
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ID = re.compile(r"[A-Za-z0-9.\-]{1,64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a batch or transaction: its request, taken apart, and its resource.

    ``id`` and ``version`` come from the request's URL, ``parameters`` from its query. ``absent`` says that a PUT is
    only to create; ``if_none_match`` and ``if_modified_since`` that a read need not answer with what the client has.
    """

    index: int
    method: str
    type: str
    id: str | None = None
    version: int | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    full_url: str | None = None
    resource: dict[str, Any] | None = None
    if_none_exist: str | None = None
    if_match: int | None = None
    absent: bool = False
    if_none_match: str | None = None
    if_modified_since: datetime | None = None

    @property
    def criteria(self) -> str:
        """The query of the URL, as the criteria of a conditional update or deletion."""
        return urlencode(self.parameters)


def entries(bundle: dict[str, Any]) -> list[Entry]:
    """The requests of a transaction Bundle.

    Raises:
        InvalidRequest: An entry is malformed; the issue names it.
    """
    return [_entry(index, entry) for index, entry in enumerate(_listed(bundle))]


def independent_entries(bundle: dict[str, Any]) -> list[Entry | InvalidRequest]:
    """The requests of a batch Bundle, each by itself: in the place of one that is malformed stands its refusal.

    Raises:
        InvalidRequest: There is no list of entries.
    """
    found: list[Entry | InvalidRequest] = []
    for index, entry in enumerate(_listed(bundle)):
        try:
            found.append(_entry(index, entry))
        except InvalidRequest as refusal:
            found.append(refusal)
    return found


def _listed(bundle: dict[str, Any]) -> list[object]:
    found = bundle.get("entry", [])
    if not isinstance(found, list):
        raise InvalidRequest("entry must be an array", code="structure", expression=["Bundle.entry"])
    return found


def _entry(index: int, entry: object) -> Entry:
    place = f"Bundle.entry[{index}]"
    if not isinstance(entry, dict) or not isinstance(entry.get("request"), dict):
        raise InvalidRequest("the entry has no request", code="required", expression=[f"{place}.request"])
    request = entry["request"]
    method = request.get("method")
    if not isinstance(method, str) or method not in METHODS:
        raise InvalidRequest("not a method of a Bundle", code="value", expression=[f"{place}.request.method"])
    resource = entry.get("resource")
    if method in {"POST", "PUT"} and not isinstance(resource, dict):
        raise InvalidRequest("the entry has no resource", code="required", expression=[f"{place}.resource"])
    path, parameters = _url(request.get("url"), f"{place}.request.url")
    type, id, version = path
    if isinstance(resource, dict) and resource.get("resourceType") != type:
        raise InvalidRequest(
            "the resource is not of the type that the URL names", code="invalid", expression=[f"{place}.resource"]
        )
    if method not in READING and (version is not None or (id is not None and (parameters or method == "POST"))):
        raise InvalidRequest("no such interaction", code="not-supported", expression=[f"{place}.request.url"])
    if method == "POST" and parameters:
        raise InvalidRequest("a POST has no parameters here", code="not-supported", expression=[f"{place}.request.url"])
    full_url = _text(entry, "fullUrl", place)
    found = Entry(index, method, type, id, version, parameters, full_url, resource)
    return replace(found, **_preconditions(request, method, f"{place}.request"))


def _preconditions(request: dict[str, Any], method: str, place: str) -> dict[str, Any]:
    """What the request is to depend on, by the names of Entry's fields."""
    found: dict[str, Any] = {}
    for name in _PRECONDITIONS:
        text = _text(request, name, place)
        if text is None:
            continue
        heeded = _heeded(name, method)
        if heeded is None:
            raise InvalidRequest("no such precondition here", code="not-supported", expression=[f"{place}.{name}"])
        field, read = heeded
        try:
            found[field] = read(text)
        except (InvalidRequest, ValueError) as error:
            raise InvalidRequest("it cannot be read", code="value", expression=[f"{place}.{name}"]) from error
    return found


def _heeded(name: str, method: str) -> tuple[str, Callable[[str], object]] | None:
    """The field of Entry for a precondition of this method, and what reads it; None where it has no such one."""
    match name, method:
        case "ifMatch", "PUT" | "PATCH" | "DELETE":
            return "if_match", if_match
        case "ifNoneExist", "POST":
            return "if_none_exist", str
        case "ifNoneMatch", "PUT":
            return "absent", only_if_absent
        case "ifNoneMatch", "GET" | "HEAD":
            return "if_none_match", str
        case "ifModifiedSince", "GET" | "HEAD":
            return "if_modified_since", _moment
        case _:
            return None


def _moment(text: str) -> datetime:
    return _EPOCH + timedelta(milliseconds=bounds(text)[0])


def _url(url: object, place: str) -> tuple[tuple[str, str | None, int | None], tuple[tuple[str, str], ...]]:
    """Type, id, version and query of a relative request URL."""
    if not isinstance(url, str):
        raise InvalidRequest("the request has no URL", code="required", expression=[place])
    path, _, query = url.lstrip("/").partition("?")
    steps = [unquote(step) for step in path.split("/")]
    fits = _TYPE.fullmatch(steps[0]) and (len(steps) == 1 or _ID.fullmatch(steps[1]))
    version = None
    if len(steps) == 4 and steps[2] == "_history" and _VERSION.fullmatch(steps[3]):
        version = int(steps[3])
    elif len(steps) > 2:
        fits = None
    if not fits:
        raise InvalidRequest("not a URL of this server's interactions", code="not-supported", expression=[place])
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), errors="strict")
    except ValueError as error:
        raise InvalidRequest("the query is malformed", code="invalid", expression=[place]) from error
    return (steps[0], steps[1] if len(steps) > 1 else None, version), tuple(pairs)


def _text(owner: dict[str, Any], name: str, place: str) -> str | None:
    value = owner.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest("must be a string", code="structure", expression=[f"{place}.{name}"])
    return value
