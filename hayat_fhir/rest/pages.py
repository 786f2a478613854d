"""Bundles with links to themselves and to their next page; links use the configured base URL only.

https://hl7.org/fhir/R4/http.html#paging
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hayat_fhir.fhir.bundles import CURSOR, history, linked, searchset
from hayat_fhir.services.everything import EverythingPage
from hayat_fhir.services.interactions import HistoryPage
from hayat_fhir.services.type_histories import Versions


class Pages:
    """Builds result Bundles; ``base_url`` is the FHIR base of this site."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def everything(self, id: str, pairs: Sequence[tuple[str, str]], page: EverythingPage) -> dict[str, Any]:
        """One page of a patient's history."""
        found = [(stored.reference, stored.resource or {}) for stored in page.resources]
        bundle = searchset(self.base_url, found, [], total=None)
        cursor = dict(pairs).get(CURSOR)
        rest = [pair for pair in pairs if pair[0] != CURSOR]
        return linked(bundle, f"{self.base_url}/Patient/{id}/$everything", rest, cursor, page.cursor)

    def history(self, reference: str, page: HistoryPage, count: int, before: int | None) -> dict[str, Any]:
        """One page of a resource's versions."""
        bundle = history(self.base_url, page.versions)
        return linked(
            bundle,
            f"{self.base_url}/{reference}/_history",
            [("_count", str(count))],
            None if before is None else str(before),
            None if page.before is None else str(page.before),
        )

    def changes(
        self, path: str, pairs: Sequence[tuple[str, str]], page: Versions, cursor: str | None
    ) -> dict[str, Any]:
        """One page of the versions of a type or of the system."""
        return linked(history(self.base_url, page.versions), f"{self.base_url}/{path}", pairs, cursor, page.cursor)
