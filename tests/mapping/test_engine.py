"""The mapping files and the engine that runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hayat_fhir import definitions
from hayat_fhir.errors import ConfigurationError
from hayat_fhir.mapping.context import Context
from hayat_fhir.mapping.engine import compiled
from hayat_fhir.mapping.moments import date_time
from hayat_fhir.mapping.transforms import TRANSFORMS
from hayat_fhir.mapping_files import compiled_mappings

EXAMPLES = sorted((Path(__file__).parents[2] / "mappings" / "dicom" / "examples").glob("*.json"))
MAPPERS = compiled_mappings(definitions.load()).tables


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path: Path) -> None:
    """Each example beside the mapping files comes out as it says."""
    example = json.loads(path.read_text())
    mapper = MAPPERS[example["mapping"]][example["table"]]
    assert mapper.apply(example["source"], Context()) == example["expected"]


def test_every_mapping_has_an_example() -> None:
    """A mapping file without an example is not tested by anybody."""
    shown = {json.loads(path.read_text())["mapping"] for path in EXAMPLES}
    assert shown == set(MAPPERS)


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ({"from": "A"}, "always to"),
        ({"to": "a"}, "either from or constant"),
        ({"from": "A", "to": "a", "constant": 1}, "either from or constant"),
        ({"from": "A", "to": "A..b"}, "not a path"),
        ({"from": "A", "to": "a", "transform": "eval"}, "no such transform"),
        ({"from": "A", "to": "a", "codes": "absent"}, "mappings/codes/absent.toml"),
        ({"from": "A", "to": "a", "code": "x"}, "only"),
        ("text", "only"),
    ],
)
def test_a_wrong_row_is_named(row: object, word: str) -> None:
    """File, table and row stand in the message."""
    with pytest.raises(ConfigurationError, match=r"mappings/dicom/x\.toml: study\[1\]") as caught:
        compiled("dicom/x", {"study": [{"from": "B", "to": "b"}, row]}, {})
    assert word in str(caught.value)


@pytest.mark.parametrize(
    ("values", "zone", "expected"),
    [
        (["20261120", "093000", "+0300"], None, "2026-11-20T09:30:00+03:00"),
        (["20261120", "093000", None], None, "2026-11-20"),
        (["20261120", "093000", None], ZoneInfo("Europe/Istanbul"), "2026-11-20T09:30:00+03:00"),
        (["2026.11.20", "09:30", None], ZoneInfo("Europe/Istanbul"), "2026-11-20T09:30:00+03:00"),
        (["20261120", "246060", "+0000"], None, "2026-11-20"),
        (["20261120", "235960", "+0000"], None, "2026-11-20T23:59:59+00:00"),
        (["20261120", None, "+0000"], None, "2026-11-20"),
        (["19700000", "093000", "+0000"], None, None),
        ([None, "093000", "+0000"], None, None),
        (["20261120", "093000", "+1400"], None, "2026-11-20T09:30:00+14:00"),
        (["20261120", "093000", "+9999"], None, "2026-11-20"),
        (["20261120", "093000", "-1500"], ZoneInfo("Europe/Istanbul"), "2026-11-20"),
        (["20261120", "093000", "+0\u066300"], None, "2026-11-20"),
        (["\u0662\u0660\u0662\u06661120", "093000", "+0300"], None, None),
        (["19000101", "120000", None], ZoneInfo("Europe/Istanbul"), "1900-01-01"),
    ],
)
def test_times_need_an_offset(values: list[Any], zone: ZoneInfo | None, expected: str | None) -> None:
    """A time whose offset nobody knows is left out: a FHIR dateTime with a time needs one."""
    assert date_time(values, Context(zone)) == expected


NAMES = st.text() | st.sampled_from(["CodeValue", "CodeMeaning", "CodingSchemeDesignator", "Alphabetic", "Ideographic"])
PLAIN = st.none() | st.text() | st.integers() | st.floats() | st.just(10**400)
ODD = PLAIN | st.dictionaries(NAMES, PLAIN | st.lists(PLAIN))


@given(st.sampled_from(sorted(TRANSFORMS)), st.lists(ODD, min_size=1, max_size=3))
def test_no_value_breaks_a_transform(name: str, values: list[Any]) -> None:
    """Whatever another hospital's device wrote, a transform says something or nothing."""
    TRANSFORMS[name](values, Context())


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("concept", {"CodeMeaning": []}, None),
        ("concept", {"CodeValue": ["1"], "CodingSchemeDesignator": []}, {"coding": [{"code": "1"}]}),
        ("concept", {"CodeValue": [" a  b "], "CodeMeaning": [None]}, {"coding": [{"code": "a b"}]}),
        ("concept", {"CodeValue": [None], "CodeMeaning": ["x"]}, {"text": "x"}),
        ("human_names", {"Alphabetic": None}, None),
        ("unsigned_int", 10**400, None),
        ("text", "a\0b\x07", "a b"),
        ("code", "a\x01b", {"display": "a b"}),
    ],
)
def test_what_cannot_be_understood_is_left_out(name: str, value: Any, expected: Any) -> None:
    """Empty values, control characters and broken codes do not reach a resource."""
    assert TRANSFORMS[name]([value], Context()) == expected
