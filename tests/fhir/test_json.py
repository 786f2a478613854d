"""The lossless codec."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hayat_fhir.errors import InvalidRequest, TooLarge
from hayat_fhir.fhir.json import parse, serialize

NUMBERS = ["1.00", "0.10000000000000000001", "1.20E+3", "0.0000001", "123456789012345678", "-0.0", "1E+2", "0.1e-3"]

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.decimals(-(10**12), 10**12, places=5)
    | st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('abc"\\:{} é', max_size=5), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize("number", NUMBERS)
def test_decimals_keep_their_digits(number: str) -> None:
    """What goes in as a decimal comes out with the same value and precision."""
    data = b'{"value":' + number.encode() + b"}"

    again = parse(serialize(parse(data)))

    assert again == parse(data)
    assert str(again["value"]) == str(Decimal(number)) or again["value"] == int(number)
    if number in {"1.00", "0.10000000000000000001", "1.20E+3", "0.0000001"}:
        assert serialize(parse(data)) == data


@given(st.dictionaries(st.text('abc"\\:{} é', max_size=5), VALUES, max_size=5))
def test_round_trip(value: dict[str, Any]) -> None:
    """Everything that can be parsed is written as it was: digits, order of keys, Unicode."""
    once = serialize(value)
    assert serialize(parse(once)) == once
    assert list(parse(once)) == list(value)


@pytest.mark.parametrize(
    "data",
    [
        b'{"gender":"male","gender":"female"}',
        b'{"a":[{"b":{"c":1,"c":2}}]}',
        b'{"a" : 1, "a":2}',
        b'{"a":"x\\":","a":1}',
        b'{"value":NaN}',
        b'{"value":Infinity}',
        b'{"value":1e400}',
        b'{"value":1e99999999999999999999}',
        b'{"value":-1E-99999999999999999999}',
        b'{"value":123456789012345678901234567890}',
        b'{"value":-9223372036854775809}',
        b'{"value":1.00000000000000000000000000000000001}',
        b'{"value":9223372036854775808}',
        b'{"name":"\xff\xfe"}',
        b'{"\xff":1}',
        b'{"name":"\xed\xa0\x80"}',
        b'{"\\u0000":1}',
        b'{"a":1,"\\u0061":2}',
        b'{"":1,"":2}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"name":"\\ud800"}',
        b'{"name":"a\\u0000b"}',
        b'{"a":1} {"b":2}',
        b'{"a":1}x',
        b'{"a":1,}',
        b'// comment\n{"a":1}',
        b"[]",
        b'"text"',
        b"",
        b"[" * 100_000,
        b'{"a":' * 300 + b"1" + b"}" * 300,
    ],
    ids=range(31),
)
def test_refusals(data: bytes) -> None:
    """What is ambiguous, not JSON, or beyond what can be kept is refused, without repeating it."""
    with pytest.raises(InvalidRequest) as caught:
        parse(data)
    assert "gender" not in caught.value.issues[0].diagnostics


def test_a_colon_after_a_quote_in_a_string_is_no_duplicate() -> None:
    """Texts that look like keys are not counted as keys."""
    assert parse(b'{"a":"x\\":y","b":"\\" :"}') == {"a": 'x":y', "b": '" :'}


def test_size() -> None:
    """More than the limit is refused before it is looked at."""
    with pytest.raises(TooLarge):
        parse(b'{"a":"' + b"x" * 100 + b'"}', limit=50)
