"""The rules of the index change only together with their number."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from hayat_fhir import definitions
from hayat_fhir.fhir.json import parse
from hayat_fhir.search.entries import GENERATION
from hayat_fhir.search.indexing import Indexer
from hayat_fhir.services.imaging_rows import imaging_study_row
from hayat_fhir.store.documents import to_index
from hayat_fhir.store.imaging_studies import to_document
from hayat_fhir.store.instances import Instance
from hayat_fhir.store.records import Stored

_EXAMPLES = Path(__file__).parents[1] / "fhir" / "examples"
_PERIODS = ("2026-01-10T10:00:00Z", "2026-01-10T10:00:00+03:00", "2026-01-10", "2026-01", "2026")
_MADE = (2, "a8292635")
"""The generation, and the digest of what its rules make of the examples."""
_TABLE = (2, "4ac27630")
"""The generation, and the digest of its table of search parameters."""

_ROWS = (2, "05752a63")
"""The generation, and the digest of what its rules make of an image."""


def _resources() -> list[dict[str, Any]]:
    """The standard's examples, Observations whose dates are of every length, and a range of quantities."""
    examples = [parse(path.read_bytes()) for path in sorted(_EXAMPLES.glob("*.json"))]
    periods = [{"effectiveDateTime": moment} for moment in _PERIODS]
    periods += [{"effectivePeriod": {name: moment}} for moment in _PERIODS for name in ("start", "end")]
    periods += [{"effectivePeriod": {"start": "2026-01-01", "end": end}} for end in ("2026-01-20", "2026-03-01")]
    about = {"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/p1"}}
    ends = {"low": {"value": 30, "unit": "years", "system": "http://unitsofmeasure.org", "code": "a"}}
    ranges = {"resourceType": "Condition", "subject": {"reference": "Patient/p1"}, "onsetRange": ends}
    return [*examples, *({**about, **period} for period in periods), ranges]


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


def test_rows_of_imaging_studies_and_generation_change_together() -> None:
    """What DICOM clients search by is a part of the rules: it is made again with the same number."""
    header = {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Y\u0131lmaz^Ay\u015fe"}]},
        "00100020": {"vr": "LO", "Value": ["4711"]},
        "00080020": {"vr": "DA", "Value": ["20260302"]},
        "00080050": {"vr": "SH", "Value": ["A1"]},
        "00080060": {"vr": "CS", "Value": ["CT"]},
        "00081030": {"vr": "LO", "Value": ["Head  without contrast"]},
    }
    at = datetime(2026, 3, 2, tzinfo=UTC)
    places = ("1.2.3", "1.2.3.4", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1", "00", 1, "b", 0, "p", "s", "4711")
    stored = Stored("ImagingStudy", "i", 1, at, {"resourceType": "ImagingStudy"}, ("Patient/p1",), "p")
    details = {"1.2.3.4.5": {"RequestAttributesSequence": [{"RequestedProcedureID": "R1"}]}}
    row = imaging_study_row([Instance("1.2.3.4.5", *places, at, header)], stored, details)
    digest = sha256(json.dumps(to_document(row), sort_keys=True).encode()).hexdigest()
    assert (GENERATION, digest[:8]) == _ROWS
