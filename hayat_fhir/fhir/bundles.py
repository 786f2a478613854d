"""Bundles that are answers: searchsets, histories, and the responses to batches and transactions.

https://hl7.org/fhir/R4/bundle.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urlencode

from hayat_fhir.fhir.dates import instant

CURSOR = "_cursor"
"""The parameter of a link to another page."""


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


def linked(
    bundle: dict[str, Any],
    url: str,
    pairs: Sequence[tuple[str, str]],
    cursor: str | None,
    following: str | None,
) -> dict[str, Any]:
    """The page of a search or history with links to itself, to the first one and to the next one.

    ``url`` is that of the search without its parameters, ``cursor`` and ``following`` this page's and the next one's.
    https://hl7.org/fhir/R4/http.html#paging
    """

    def page(cursor: str | None) -> str:
        query = [*pairs, (CURSOR, cursor)] if cursor is not None else pairs
        return f"{url}?{urlencode(query)}" if query else url

    links = [{"relation": "self", "url": page(cursor)}]
    if cursor is not None:
        links.append({"relation": "first", "url": page(None)})
    if following is not None:
        links.append({"relation": "next", "url": page(following)})
    found = bundle.pop("entry", None)
    bundle["link"] = links
    if found:
        bundle["entry"] = found
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


def _now() -> str:
    return instant(datetime.now(UTC))
