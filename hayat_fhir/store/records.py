"""What goes into and comes out of the resource store: frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hayat_fhir.search.entries import IndexEntries

Resource = dict[str, Any]
"""A FHIR resource as parsed JSON: decimals are ``decimal.Decimal``."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of one resource. ``resource`` is None where the version is a deletion."""

    type: str
    id: str
    version: int
    updated: datetime
    resource: Resource | None
    compartments: tuple[str, ...] = ()
    source: str | None = None

    @property
    def deleted(self) -> bool:
        """Whether this version is a deletion."""
        return self.resource is None

    @property
    def reference(self) -> str:
        """``Type/id``."""
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class Change:
    """The one way to write: version ``expected`` of a resource becomes ``expected + 1``.

    ``expected`` 0 means that no document of this id may exist. ``resource`` None deletes. The store sets
    ``id``, ``meta.versionId`` and ``meta.lastUpdated``. ``compartments`` are ``Patient/id`` references;
    ``source`` is the partner that contributed it; ``restricted`` marks confidentiality R or V.
    """

    type: str
    id: str
    expected: int
    resource: Resource | None
    entries: IndexEntries
    compartments: tuple[str, ...] = ()
    source: str | None = None
    restricted: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Some matches of a search in order, and the position after which the next page begins (None: no more).

    A page may hold fewer matches than were asked for although there are more: it is also bounded by bytes.
    """

    matches: list[Stored]
    next: list[Any] | None
