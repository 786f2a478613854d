"""What a resource says has one digest wherever it is kept."""

from __future__ import annotations

from typing import Any

import pytest

from hayat_fhir.fhir.digests import canonical, content_digest
from hayat_fhir.fhir.json import parse

REPORT = b"""{"resourceType":"DiagnosticReport","id":"1","meta":{"versionId":"3"},"status":"final",
"identifier":[{"system":"urn:x","value":"1"}],"code":{"text":"CT"},"subject":{"reference":"Patient/1","display":"P"},
"text":{"status":"generated","div":"<div><a href=\\"Patient/1\\">P</a></div>"},"conclusion":"No finding",
"valueQuantity":{"value":1.50}}"""


def variant(old: bytes, new: bytes) -> dict[str, Any]:
    """The report with one change."""
    assert old in REPORT
    return parse(REPORT.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (b'"id":"1"', b'"id":"other"', True),
        (b'"versionId":"3"', b'"versionId":"4"', True),
        (b'"value":"1"', b'"value":"2"', True),
        (b'"reference":"Patient/1"', b'"reference":"Patient/99"', True),
        (b'href=\\"Patient/1\\"', b'href=\\"Patient/99\\"', True),
        (b'"display":"P"', b'"display":"Q"', False),
        (b">P<", b">Q<", False),
        (b"No finding", b"A finding", False),
        (b"1.50", b"1.5", False),
        (b'"final"', b'"amended"', False),
    ],
)
def test_content_counts_and_nothing_else(old: bytes, new: bytes, *, same: bool) -> None:
    """Ids, versions, identifiers and references are each site's own."""
    assert (content_digest(variant(old, new)) == content_digest(parse(REPORT))) is same


def test_the_order_of_members_does_not_count() -> None:
    """Objects are ordered at every depth, arrays are not."""
    assert canonical({"b": [{"d": 1, "c": 2}], "a": None}) == b'{"a":null,"b":[{"c":2,"d":1}]}'
