"""What holds of the codec for every document."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.json import DEPTH, parse, serialize

TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
KEYS = st.text('ab":\\ /\u00e9\u2028\U0001f600', max_size=4) | TEXTS
NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,16})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
SPACE = st.text(" \t\r\n", max_size=2)


@st.composite
def documents(draw: st.DrawFn, inner: st.SearchStrategy[str] | None = None) -> str:
    """The text of a JSON object with distinct keys, with white space anywhere and any spelling of its strings."""
    inner = VALUES if inner is None else inner
    keys = draw(st.lists(KEYS, unique=True, max_size=4))
    members = [f"{draw(spelled(key))}{draw(SPACE)}:{draw(SPACE)}{draw(inner)}{draw(SPACE)}" for key in keys]
    return "{" + draw(SPACE) + ",".join(members) + "}"


@st.composite
def spelled(draw: st.DrawFn, text: str) -> str:
    """A JSON string, with or without escapes."""
    return json.dumps(text, ensure_ascii=draw(st.booleans()))


LEAVES = NUMBERS | TEXTS.flatmap(spelled) | st.sampled_from(["true", "false", "null", '"\\":"', '"a\\\\"'])
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]") | documents(inner),
    max_leaves=8,
)


def exact(text: str | bytes) -> Any:
    """A second reading of JSON that forgets nothing: order, digits, exponents, types."""

    def number(digits: str) -> tuple[str, Any]:
        return "number", Decimal(digits).as_tuple() if Decimal(digits) else (Decimal(digits).as_tuple().exponent)

    return json.loads(text, object_pairs_hook=list, parse_float=number, parse_int=number)


@given(documents())
def test_nothing_is_lost(text: str) -> None:
    """Order of keys, digits and precision of numbers, and every character survive parsing and serialising."""
    assert exact(serialize(parse(text.encode()))) == exact(text)


@given(documents(), KEYS, st.lists(st.sampled_from(["key", "list"]), max_size=10), st.data())
def test_duplicates_are_refused_at_any_depth(text: str, key: str, path: list[str], data: st.DataObject) -> None:
    """Whatever stands around it and however it is spelled, a key that stands twice in an object is found."""
    one, other = data.draw(spelled(key)), data.draw(spelled(key))
    twice = f"{{{one}:{text},{data.draw(spelled(key + 'x'))}:1,{other} :2}}"
    for step in path:
        twice = f'{{"a":{twice},"b":{text}}}' if step == "key" else f'{{"":[0,{twice}]}}'
    with pytest.raises(InvalidRequest, match="twice"):
        parse(twice.encode())


@given(st.binary(max_size=64) | documents().flatmap(lambda text: st.binary(max_size=2).map(text.encode().__add__)))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """There is no third outcome, and what is read is what a strict second reader reads."""
    try:
        value = parse(data)
    except InvalidRequest:
        return
    assert exact(serialize(value)) == exact(data)


@given(st.integers(1, DEPTH + 40), st.booleans())
@example(DEPTH, True)
@example(DEPTH, False)
@example(DEPTH + 1, True)
@example(DEPTH + 1, False)
def test_what_is_accepted_can_be_served(levels: int, arrays: bool) -> None:
    """As many levels as are allowed in are also let out; one more is refused."""
    inner = levels - 1
    text = '{"a":' + ("[" * inner + "]" * inner if arrays else '{"a":' * inner + "1" + "}" * inner) + "}"
    if inner == 0:
        text = '{"a":1}'
    if levels > DEPTH:
        with pytest.raises(InvalidRequest):
            parse(text.encode())
    else:
        assert serialize(parse(text.encode())) == text.encode()
