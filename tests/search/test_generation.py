"""The rules of the index change only together with their number."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from hayat_fhir import definitions
from hayat_fhir.fhir.json import parse
from hayat_fhir.search.entries import GENERATION
from hayat_fhir.search.indexing import Indexer
from hayat_fhir.store.documents import to_index

_EXAMPLES = Path(__file__).parents[1] / "fhir" / "examples"
_PERIODS = ("2026-01-10T10:00:00Z", "2026-01-10T10:00:00+03:00", "2026-01-10", "2026-01", "2026")
_MADE = (1, "6bc63523")
"""The generation, and the digest of what its rules make of the examples."""
_TABLE = (1, "4ac27630")
"""The generation, and the digest of its table of search parameters."""


def _resources() -> list[dict[str, Any]]:
    """The standard's examples, and Observations whose dates are of every length."""
    examples = [parse(path.read_bytes()) for path in sorted(_EXAMPLES.glob("*.json"))]
    periods = [{"effectiveDateTime": moment} for moment in _PERIODS]
    periods += [{"effectivePeriod": {name: moment}} for moment in _PERIODS for name in ("start", "end")]
    periods += [{"effectivePeriod": {"start": "2026-01-01", "end": end}} for end in ("2026-01-20", "2026-03-01")]
    about = {"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/p1"}}
    return [*examples, *({**about, **period} for period in periods)]


def test_rules_and_generation_change_together(indexer: Indexer) -> None:
    """What stands in the database was made by the rules of its generation: other rules are another generation.

    Where this fails, raise ``GENERATION`` and put what is said here into ``_MADE``: sites then index again what they
    hold. What has been raised since the last release need not be raised again.
    """
    digest = sha256()
    for resource in _resources():
        digest.update(json.dumps(to_index(indexer.index(resource, "x")), sort_keys=True).encode())
    assert (GENERATION, digest.hexdigest()[:8]) == _MADE


def test_table_and_generation_change_together() -> None:
    """The table of search parameters is a part of the rules, also what no example has."""
    rows = json.dumps(sorted(map(json.dumps, definitions.load().search_parameters)))
    assert (GENERATION, sha256(rows.encode()).hexdigest()[:8]) == _TABLE
