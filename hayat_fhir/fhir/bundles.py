"""Bundles: what a client asks for in a batch or transaction, and the answers that are Bundles.

https://hl7.org/fhir/R4/bundle.html, https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlencode

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.dates import instant

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"})
_ETAG = re.compile(r'(?:W/)?"([0-9]{1,18})"')
_VERSION = re.compile(r"[0-9]{1,18}")
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ID = re.compile(r"[A-Za-z0-9.\-]{1,64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a batch or transaction: its request, taken apart, and its resource.

    ``id`` and ``version`` come from the request's URL, ``parameters`` from its query.
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

    @property
    def criteria(self) -> str:
        """The query of the URL, as the criteria of a conditional update or deletion."""
        return urlencode(self.parameters)


class Version(Protocol):
    """One version of a resource, as the store keeps it."""

    @property
    def reference(self) -> str:
        """``Type/id``."""

    @property
    def version(self) -> int:
        """The version number."""

    @property
    def updated(self) -> datetime:
        """When it was made."""

    @property
    def resource(self) -> dict[str, Any] | None:
        """Its content; None where it is a deletion."""


def entries(bundle: dict[str, Any]) -> list[Entry]:
    """The requests of a batch or transaction Bundle.

    Raises:
        InvalidRequest: An entry is malformed; the issue names it.
    """
    found = bundle.get("entry", [])
    if not isinstance(found, list):
        raise InvalidRequest("entry must be an array", code="structure", expression=["Bundle.entry"])
    return [_entry(index, entry) for index, entry in enumerate(found)]


def searchset(
    base_url: str,
    matches: Sequence[tuple[str, dict[str, Any]]],
    included: Sequence[tuple[str, dict[str, Any]]],
    *,
    total: int | None,
) -> dict[str, Any]:
    """A searchset of (``Type/id``, resource) pairs."""
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "timestamp": _now()}
    if total is not None:
        bundle["total"] = total
    shown = [
        {"fullUrl": f"{base_url}/{reference}", "resource": resource, "search": {"mode": mode}}
        for mode, pairs in (("match", matches), ("include", included))
        for reference, resource in pairs
    ]
    if shown:
        bundle["entry"] = shown
    return bundle


def history(base_url: str, versions: Iterable[Version]) -> dict[str, Any]:
    """A history Bundle of versions, in the order given."""
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "history", "timestamp": _now()}
    shown = [_history_entry(base_url, version) for version in versions]
    if shown:
        bundle["entry"] = shown
    return bundle


def response_bundle(type: str, answers: list[dict[str, Any]]) -> dict[str, Any]:
    """A ``transaction-response`` or ``batch-response`` with one answer for each entry, in order."""
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": type}
    if answers:
        bundle["entry"] = answers
    return bundle


def response_entry(
    status: str, reference: str, version: int, updated: datetime, resource: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The answer to one entry: status, Location (relative), ETag, and the resource where it is asked for."""
    answer: dict[str, Any] = {"resource": resource} if resource is not None else {}
    answer["response"] = {
        "status": status,
        "location": f"{reference}/_history/{version}",
        "etag": f'W/"{version}"',
        "lastModified": instant(updated),
    }
    return answer


def _history_entry(base_url: str, version: Version) -> dict[str, Any]:
    type = version.reference.split("/", maxsplit=1)[0]
    if version.resource is None:
        request, status = {"method": "DELETE", "url": version.reference}, "204"
    elif version.version == 1:
        request, status = {"method": "POST", "url": type}, "201"
    else:
        request, status = {"method": "PUT", "url": version.reference}, "200"
    entry: dict[str, Any] = {"fullUrl": f"{base_url}/{version.reference}"}
    if version.resource is not None:
        entry["resource"] = version.resource
    response = {"status": status, "etag": f'W/"{version.version}"', "lastModified": instant(version.updated)}
    return {**entry, "request": request, "response": response}


def _entry(index: int, entry: object) -> Entry:
    place = f"Bundle.entry[{index}]"
    if not isinstance(entry, dict) or not isinstance(entry.get("request"), dict):
        raise InvalidRequest("the entry has no request", code="required", expression=[f"{place}.request"])
    request = entry["request"]
    method, url = request.get("method"), request.get("url")
    if not isinstance(method, str) or method not in METHODS:
        raise InvalidRequest("not a method of a Bundle", code="value", expression=[f"{place}.request.method"])
    resource = entry.get("resource")
    if method in {"POST", "PUT"} and not isinstance(resource, dict):
        raise InvalidRequest("the entry has no resource", code="required", expression=[f"{place}.resource"])
    path, parameters = _url(url, f"{place}.request.url")
    type, id, version = path
    if isinstance(resource, dict) and resource.get("resourceType") != type:
        raise InvalidRequest(
            "the resource is not of the type that the URL names", code="invalid", expression=[f"{place}.resource"]
        )
    return Entry(
        index,
        method,
        type,
        id,
        version,
        parameters,
        _text(entry, "fullUrl", place),
        resource,
        _text(request, "ifNoneExist", f"{place}.request"),
        _if_match(_text(request, "ifMatch", f"{place}.request"), place),
    )


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


def _if_match(text: str | None, place: str) -> int | None:
    if text is None:
        return None
    match = _ETAG.fullmatch(text)
    if match is None:
        raise InvalidRequest("not an ETag of this server", code="value", expression=[f"{place}.request.ifMatch"])
    return int(match[1])


def _now() -> str:
    return instant(datetime.now(UTC))
