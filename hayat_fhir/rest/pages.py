"""Bundles with links to themselves and to their next page; links use the configured base URL only.

https://hl7.org/fhir/R4/http.html#paging
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from hayat_fhir.fhir.bundles import history, searchset
from hayat_fhir.services.everything import EverythingPage
from hayat_fhir.services.interactions import HistoryPage
from hayat_fhir.services.searching import SearchResult
from hayat_fhir.services.type_histories import Versions
from hayat_fhir.store.records import Stored

_CURSOR = "_cursor"


class Pages:
    """Builds result Bundles; ``base_url`` is the FHIR base of this site."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def searchset(self, type: str, result: SearchResult) -> dict[str, Any]:
        """One page of a search."""
        bundle = searchset(
            self.base_url,
            [_pair(stored) for stored in result.matches],
            [_pair(stored) for stored in result.included],
            total=result.total,
        )
        pairs = [pair for pair in result.query.pairs if pair[0] != _CURSOR]
        return self._linked(bundle, type, pairs, result.query.cursor, result.cursor)

    def everything(self, id: str, pairs: Sequence[tuple[str, str]], page: EverythingPage) -> dict[str, Any]:
        """One page of a patient's history."""
        bundle = searchset(self.base_url, [_pair(stored) for stored in page.resources], [], total=None)
        cursor = dict(pairs).get(_CURSOR)
        rest = [pair for pair in pairs if pair[0] != _CURSOR]
        return self._linked(bundle, f"Patient/{id}/$everything", rest, cursor, page.cursor)

    def history(self, reference: str, page: HistoryPage, count: int, before: int | None) -> dict[str, Any]:
        """One page of a resource's versions."""
        bundle = history(self.base_url, page.versions)
        return self._linked(
            bundle,
            f"{reference}/_history",
            [("_count", str(count))],
            None if before is None else str(before),
            None if page.before is None else str(page.before),
        )

    def changes(
        self, path: str, pairs: Sequence[tuple[str, str]], page: Versions, cursor: str | None
    ) -> dict[str, Any]:
        """One page of the versions of a type or of the system."""
        return self._linked(history(self.base_url, page.versions), path, pairs, cursor, page.cursor)

    def _linked(
        self,
        bundle: dict[str, Any],
        path: str,
        pairs: Sequence[tuple[str, str]],
        cursor: str | None,
        following: str | None,
    ) -> dict[str, Any]:
        links = [{"relation": "self", "url": self._url(path, pairs, cursor)}]
        if cursor is not None:
            links.append({"relation": "first", "url": self._url(path, pairs, None)})
        if following is not None:
            links.append({"relation": "next", "url": self._url(path, pairs, following)})
        entries = bundle.pop("entry", None)
        bundle["link"] = links
        if entries:
            bundle["entry"] = entries
        return bundle

    def _url(self, path: str, pairs: Sequence[tuple[str, str]], cursor: str | None) -> str:
        query = [*pairs, (_CURSOR, cursor)] if cursor is not None else pairs
        return f"{self.base_url}/{path}?{urlencode(query)}" if query else f"{self.base_url}/{path}"


def _pair(stored: Stored) -> tuple[str, dict[str, Any]]:
    return stored.reference, stored.resource or {}
