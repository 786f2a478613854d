"""Whether two resources say the same."""

from __future__ import annotations

from typing import Any

import pytest

from hayat_fhir.fhir.canonical import same_content
from hayat_fhir.fhir.json import parse

ONE = b'{"resourceType":"Observation","meta":{"profile":["p"]},"valueQuantity":{"value":1.0,"unit":"mg"},"n":1}'


def variant(old: bytes, new: bytes) -> dict[str, Any]:
    """The resource with one change."""
    assert old in ONE
    return parse(ONE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (b'"n":1', b'"n":1', True),
        (b'{"profile"', b'{"versionId":"7","lastUpdated":"2026-11-23T10:00:00.000Z","profile"', True),
        (b'{"profile":["p"]}', b'{"profile":["q"]}', False),
        (b'{"profile":["p"]}', b'{"profile":["p"],"source":"s"}', False),
        (b"1.0", b"1.00", False),
        (b"1.0", b"1", False),
        (b'"n":1', b'"n":true', False),
        (b'"n":1', b'"n":"1"', False),
        (b'"unit":"mg"', b'"unit":"g"', False),
        (b',"n":1', b"", False),
    ],
    ids=range(10),
)
def test_same_content(old: bytes, new: bytes, same: bool) -> None:
    """Only what the server sets may differ; decimals count with their precision, values with their type."""
    assert same_content(parse(ONE), variant(old, new)) is same
    assert same_content(variant(old, new), parse(ONE)) is same


def test_order_and_empty_meta_do_not_count() -> None:
    """The order of the elements says nothing, nor does a meta in which only the server's own is left."""
    assert same_content({"resourceType": "Basic", "id": "1"}, {"id": "1", "resourceType": "Basic"})
    assert same_content({"id": "1", "meta": {"versionId": "1"}}, {"id": "1"})
