"""What the search index holds of one resource: plain values, computed without I/O.

The store keeps them in the resource's own document under a handful of fixed indexes, so that a new
search parameter needs no new index.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b

OF_MANY_PATIENTS = frozenset({"AuditEvent", "Provenance"})
"""Types whose resources may be about hundreds of patients: their keys do not exist per patient."""

GENERATION = 2
"""Of the rules by which what is stored is found: how a resource becomes index entries, and these the ``index`` of its
document, and how images become the row by which DICOM clients find their study.

Raise it by one with every change of the rules: of the table of search parameters, of what an entry looks like, of what
stands beside the entries. What is stored keeps the entries of its own time, which a search by the new rules misses
without a word: documents of an earlier generation are indexed again, by the worker of the site or by ``hayat reindex``.
"""

_REMEMBERED = 2**16


@lru_cache(_REMEMBERED)
def key(*parts: str) -> int:
    """Hash the parts of an index key to a signed 64-bit integer; the parts are kept apart by a unit separator."""
    digest = blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def within(patient: str, plain: int) -> int:
    """The key ``plain`` once more, for resources about this patient (``Patient/id``) only."""
    return plain ^ key("within", patient)


@dataclass(frozen=True, slots=True)
class Range:
    """One date, number or quantity as an interval: dates in milliseconds since 1970 UTC, both ends inclusive.

    ``parameter`` is the search parameter's code; a quantity has one entry per way of naming its unit:
    ``code``, ``code|system|unit``, ``code||unit``.
    """

    parameter: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class IndexEntries:
    """All index entries of one resource.

    ``keys``: hashed equality keys (token, reference, uri, exact string, presence of a parameter), and those of
    codes once more under the patient the resource is about. ``strings``: ``code|normalised text``, for prefix
    search. ``ranges``: intervals. ``date``: the lower bound of the resource's principal date, milliseconds, or
    None. ``order``: for each sortable parameter its value, or ``[least, greatest]`` where it has several.
    """

    keys: tuple[int, ...] = ()
    strings: tuple[str, ...] = ()
    ranges: tuple[Range, ...] = ()
    date: int | None = None
    order: dict[str, object] = field(default_factory=dict)
