"""The forms of the primitive types."""

from __future__ import annotations

import tracemalloc
from decimal import Decimal
from typing import Any

import pytest

from hayat_fhir.fhir.primitives import CHECKS


@pytest.mark.parametrize(
    ("type", "value"),
    [
        ("base64Binary", "YWJj"),
        ("base64Binary", "YW\nI="),
        ("boolean", False),
        ("canonical", "http://x.example/a|1.0"),
        ("code", "a b"),
        ("date", "2024-02-29"),
        ("date", "2026-11"),
        ("dateTime", "2026-11-23T10:00:00.123456789-13:59"),
        ("dateTime", "2016-12-31T23:59:60+14:00"),
        ("decimal", 1),
        ("decimal", Decimal("1.00")),
        ("id", "-.A" + "1" * 61),
        ("instant", "2026-11-23T10:00:00Z"),
        ("integer", -(2**31)),
        ("integer", 2**31 - 1),
        ("markdown", "# a\n\tb"),
        ("oid", "urn:oid:2.16.840.0"),
        ("positiveInt", 1),
        ("time", "23:59:60.5"),
        ("unsignedInt", 0),
        ("uri", "urn:x:\u00e9"),
        ("uuid", "urn:uuid:0c3201bd-1cbf-4d64-b04d-cd9187a4c6e0"),
    ],
)
def test_accepted(type: str, value: Any) -> None:
    """What R4 allows."""
    assert CHECKS[type](value)


@pytest.mark.parametrize(
    ("type", "value"),
    [
        ("base64Binary", ""),
        ("base64Binary", "YWJ"),
        ("base64Binary", "Y=Jj"),
        ("base64Binary", "YWJj===="),
        ("base64Binary", "YW\u00a0Jj"),
        ("base64Binary", "YW_j"),
        ("boolean", 1),
        ("boolean", "true"),
        ("code", ""),
        ("code", " a"),
        ("code", "a "),
        ("code", "a\t\tb"),
        ("date", "2023-02-29"),
        ("date", "2026-13"),
        ("date", "2026-1-1"),
        ("date", "20261123"),
        ("date", "0000-01-01"),
        ("date", "\uff12026"),
        ("date", "2026-11-23T10:00:00Z"),
        ("dateTime", "2026-11-23T10:00:00"),
        ("dateTime", "2026-11-23T10:00Z"),
        ("dateTime", "2026-11-23T24:00:00Z"),
        ("dateTime", "2026-11-23T10:00:00+14:01"),
        ("dateTime", "2026-11-23T10:00:00.Z"),
        ("decimal", True),
        ("decimal", "1"),
        ("decimal", 1.5),
        ("id", ""),
        ("id", "a" * 65),
        ("id", "a_b"),
        ("id", "a/b"),
        ("id", "a\n"),
        ("instant", "2026-11-23"),
        ("integer", 2**31),
        ("integer", -(2**31) - 1),
        ("integer", True),
        ("integer", Decimal(1)),
        ("oid", "2.16.840"),
        ("oid", "urn:oid:3.1"),
        ("oid", "urn:oid:2.01"),
        ("positiveInt", 0),
        ("string", ""),
        ("string", " \n"),
        ("string", 1),
        ("time", "24:00:00"),
        ("time", "10:00"),
        ("unsignedInt", -1),
        ("uri", ""),
        ("uri", "a b"),
        ("uuid", "urn:uuid:0c3201bd"),
        ("uuid", "0c3201bd-1cbf-4d64-b04d-cd9187a4c6e0"),
        ("xhtml", "x"),
        ("xhtml", {}),
    ],
)
def test_refused(type: str, value: Any) -> None:
    """What R4 does not, whatever the models behind the table might say."""
    assert not CHECKS[type](value)


def test_lengths_are_bounded_without_a_cost() -> None:
    """Strings and what is made of them end at 1 MB, links may be longer; a long value costs no memory to refuse."""
    assert CHECKS["string"]("x" * 2**20)
    assert not CHECKS["string"]("x" * (2**20 + 1))
    assert CHECKS["uri"]("data:," + "x" * 2**21)
    tracemalloc.start()
    try:
        assert not CHECKS["code"]("a " * 500_000)
        assert not CHECKS["oid"]("urn:oid:1" + ".1" * 500_000 + "x")
        assert not CHECKS["code"]("a " * 5_000_000 + "a")
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()
