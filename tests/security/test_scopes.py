"""SMART scopes: what they mean, what is granted, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.security.callers import Role
from hayat_fhir.security.scopes import CONTEXT, EVERYTHING, allows, granted, intersection, parse, registrable


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("system/Observation.rs", "system/Observation.rs"),
        ("system/*.cruds", "system/*.cruds"),
        ("user/Patient.r", "user/Patient.r"),
        ("patient/*.read", "patient/*.rs"),
        ("system/Observation.write", "system/Observation.cud"),
        ("system/Observation.*", "system/Observation.cruds"),
        ("system/*.*", "system/*.cruds"),
    ],
)
def test_forms_of_both_versions(text: str, canonical: str) -> None:
    """v2 as it is, v1 as its v2 equal."""
    assert str(parse(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "openid",
        "offline_access",
        "system/Observation",
        "system/Observation.",
        "system/Observation.sr",
        "system/Observation.rr",
        "system/Observation.x",
        "system/Observation.cruds?",
        "system/Observation.rs?category=laboratory",
        "system/Observation.rs?_has:Observation:patient:code=x",
        "system/observation.rs",
        "system/Nonsense.rs",
        "system/*.read*",
        "system/*.**",
        "system/**.r",
        "System/*.r",
        "root/*.cruds",
        "system/*.cruds\n",
        " system/*.cruds",
        "system/*.\uff52",
        "system/" + "A" * 10_000 + ".r",
    ],
)
def test_anything_else_is_no_scope(text: str) -> None:
    """Granular scopes are not widened to the whole type, and nothing is guessed."""
    assert parse(text) is None
    assert granted([text], ["system/*.cruds", "user/*.cruds"]) == frozenset()
    assert granted(["system/*.cruds"], [text]) == frozenset()
    with pytest.raises(InvalidRequest) as refused:
        registrable(["system/*.rs", text])
    assert text == "" or text not in str(refused.value)


@pytest.mark.parametrize(
    ("requested", "registered", "expected"),
    [
        (["system/*.cruds"], ["system/*.rs"], {"system/*.rs"}),
        (
            ["system/*.rs"],
            ["system/Observation.cruds", "system/Patient.r"],
            {"system/Observation.rs", "system/Patient.r"},
        ),
        (["system/Observation.rs"], ["system/*.r"], {"system/Observation.r"}),
        (["user/*.cruds"], ["system/*.cruds"], set()),
        (["system/Observation.c"], ["system/Observation.rs"], set()),
        (["system/Observation.rs"], ["system/Patient.rs"], set()),
        (["openid", "system/Patient.read", "system/Patient.rs?x=y"], ["system/*.*"], {"system/Patient.rs"}),
        ([], ["system/*.cruds"], set()),
    ],
)
def test_granted(requested: list[str], registered: list[str], expected: set[str]) -> None:
    """No more than was asked for, no more than the client is registered for, and no less than both."""
    assert granted(requested, registered) == expected


def test_reading_is_not_searching() -> None:
    """Each letter stands for itself."""
    reader = frozenset({"system/Observation.r"})
    assert allows(reader, "system", "Observation", "r")
    assert not any(allows(reader, "system", "Observation", letter) for letter in "cuds")
    assert not allows(reader, "user", "Observation", "r")
    assert not allows(reader, "system", "Patient", "r")
    assert not allows(frozenset(), "system", "Observation", "r")


def test_every_role_has_its_default() -> None:
    """The widest scope in its own context."""
    for role in Role:
        (text,) = EVERYTHING[role]
        assert text == f"{CONTEXT[role]}/*.cruds"


def test_registration_is_strict() -> None:
    """Canonical, sorted, each once; another context or none at all is refused."""
    assert registrable(["system/Patient.*", "system/Observation.read", "system/Patient.cruds"]) == (
        "system/Observation.rs",
        "system/Patient.cruds",
    )
    assert registrable(["user/*.rs"], Role.DOCTOR) == ("user/*.rs",)
    for texts in (["user/*.rs"], ["patient/*.rs"], []):
        with pytest.raises(InvalidRequest):
            registrable(texts)


SCOPES = st.builds(
    "{}/{}.{}".format,
    st.sampled_from(["system", "user", "patient"]),
    st.sampled_from(["*", "Patient", "Observation"]),
    st.sampled_from(["c", "r", "u", "d", "s", "rs", "cud", "cruds", "cr", "us"]),
)


@given(SCOPES, SCOPES)
def test_an_intersection_is_within_both(one: str, other: str) -> None:
    """And the same from either side."""
    first, second = parse(one), parse(other)
    assert first is not None
    assert second is not None
    common = intersection(first, second)
    assert common == intersection(second, first)
    assert intersection(first, first) == first
    for context in ("system", "user", "patient"):
        for type in ("Patient", "Observation", "Condition"):
            for letter in "cruds":
                both = all(allows(frozenset({text}), context, type, letter) for text in (one, other))
                assert both == (common is not None and allows(frozenset({str(common)}), context, type, letter))


@given(st.text(max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    """A scope, or None."""
    found = parse(text)
    assert found is None or parse(str(found)) == found
