"""Attribute matching: what a key asks for, and what meets it."""

from __future__ import annotations

from datetime import date
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hayat_fhir.dicom.information_model import Level, query
from hayat_fhir.dicom.matching import MOST_VALUES, admits, conditions, fuzzy, normal, normal_values
from hayat_fhir.errors import InvalidRequest, TooLarge

TEXT = st.text("abC^ .-]\\", max_size=12).map(str.strip)
PATTERN = st.text("abC^.-?*", min_size=1, max_size=8)


@given(PATTERN, TEXT)
def test_wildcards_are_those_of_the_standard(pattern: str, value: str) -> None:
    """``*`` and ``?`` match as a shell's do, and every other character only itself."""
    assert admits(conditions("LO", pattern), [value]) is fnmatchcase(value, pattern) or set(pattern) == {"*"}


@given(st.text(max_size=20) | st.text("aB0\0=^ \uff1d\uff3e\u2260\u1e9e\u0130\u0345", max_size=12))
@example("0\0=")
@example("A\uff1dB")
@example("A\uff3e")
def test_a_name_matches_itself_in_any_case(name: str) -> None:
    """Whatever the name, folding it twice changes nothing, and it is found in upper and in lower case."""
    for folded in normal("PN", name):
        assert normal("PN", folded) == [folded]
        if not set(folded) & set("*?\\"):
            assert admits(conditions("PN", folded.upper()), [folded])


DATE = st.dates(date(1000, 1, 1)).map("{:%Y%m%d}".format)


@given(DATE, DATE, DATE)
def test_ranges_of_dates(low: str, high: str, value: str) -> None:
    """A range includes both its ends, and an open end excludes nothing."""
    assert admits(conditions("DA", f"{low}-{high}"), [value]) is (low <= value <= high)
    assert admits(conditions("DA", f"{low}-"), [value]) is (low <= value)
    assert admits(conditions("DA", f"-{high}"), [value]) is (value <= high)


@pytest.mark.parametrize(
    ("vr", "key", "value", "expected"),
    [
        ("PN", "yamada*", {"Alphabetic": "Yamada^Tarou", "Ideographic": "\u5c71\u7530^\u592a\u90ce"}, True),
        ("PN", "\u5c71\u7530*", {"Alphabetic": "Yamada^Tarou", "Ideographic": "\u5c71\u7530^\u592a\u90ce"}, True),
        ("PN", "x=\u5c71\u7530*", {"Alphabetic": "Yamada^Tarou", "Ideographic": "\u5c71\u7530^\u592a\u90ce"}, False),
        ("PN", "AYSE^IREM", {"Alphabetic": "Ay\u015fe^\u0130rem"}, True),
        ("PN", "ay\u015fe^\u0131rem", {"Alphabetic": "AYSE^IREM"}, True),
        ("PN", "Doe^John^^^", {"Alphabetic": "DOE^JOHN"}, True),
        ("LO", "DOE", "doe", False),
        ("IS", "01", 1, True),
        ("DA", "2024.01.05", "20240105", True),
        ("TM", "10", "103000", True),
        ("TM", "1015-", "101459.999", False),
        ("UI", ["1.2", "1.3"], "1.3", True),
        ("UI", "1.2*", "1.23", False),
        ("CS", "", "anything", True),
        ("CS", "CT", None, False),
    ],
)
def test_examples(vr: str, key: Any, value: Any, expected: bool) -> None:
    """One example of each rule."""
    element = {"vr": vr, "Value": [] if value is None else [value]}
    assert admits(conditions(vr, key), normal_values(element)) is expected


@pytest.mark.parametrize(
    ("vr", "key", "error"),
    [
        ("DA", "2024", InvalidRequest),
        ("DA", "-", InvalidRequest),
        ("TM", "25:0x", InvalidRequest),
        ("UI", ["1.2"] * (MOST_VALUES + 1), TooLarge),
        ("LO", "a*" * 17, TooLarge),
    ],
)
def test_refused_keys(vr: str, key: Any, error: type[Exception]) -> None:
    """What is no value of its VR, or too much of it, is refused without being repeated."""
    with pytest.raises(error) as raised:
        conditions(vr, key, "Key")
    assert str(key)[:8] not in str(raised.value)


def test_patterns_try_nothing_twice() -> None:
    """A pattern of many wildcards over a long value ends: it does not go back over what it has tried."""
    assert not admits(conditions("LO", "*a*a*a*a*a*a*a*a*a*b"), ["a" * 16_000])


def test_levels_of_a_model() -> None:
    """A query names a level of its model, and the study that it is about."""
    study = ("0020000D", "UI", "1.2.3")
    assert query("SERIES", {"StudyInstanceUID": study}, Level.STUDY).unique(Level.STUDY) == ("1.2.3",)
    for level, elements in (("PATIENT", {}), ("series", {"StudyInstanceUID": study}), ("IMAGE", {}), ("", {})):
        with pytest.raises(InvalidRequest):
            query(level, elements, Level.STUDY)


@pytest.mark.parametrize(
    ("asked", "name", "alike"),
    [
        ("smith john", "Smith^John^A", True),
        ("Johm*", "Smith^John", True),
        ("smiht", "Smith^John", True),
        ("smyth", "Smith^John", True),
        ("müller", "MULLER^HANS", True),
        ("Y\u0131lmaz", "YILMAZ^AL\u0130", True),
        ("ann", "Smith^Joanne", False),
        ("smith mary", "Smith^John", False),
        ("smth jhn", "Jones^Mary", False),
        (".*", "Smith^John", False),
    ],
)
def test_names_that_are_alike(asked: str, name: str, *, alike: bool) -> None:
    """Words in any order, beginning alike but for one letter; nothing in them is a pattern of the server's."""
    wanted = tuple(map(fuzzy, conditions("PN", asked)))
    assert admits(wanted, normal("PN", name)) is alike


def test_fuzzy_matching_takes_its_time_in_proportion() -> None:
    """Long names against long questions are no way to keep the server busy."""
    (wanted,) = map(fuzzy, conditions("PN", " ".join("abcdefghijklmnopqrstuvwx"[number:] for number in range(6))))
    assert not admits([wanted], ["a" * 200 + "^" + "ab" * 100])
