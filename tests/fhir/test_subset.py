"""Parts of resources: what is asked for, what must be there, and the tag that says so."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from hayat_fhir.definitions import Definitions
from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.plans import Plans
from hayat_fhir.fhir.subset import SUBSETTED, Subset, Subsets, is_part
from hayat_fhir.fhir.validation import Validator
from tests.fhir.conftest import EXAMPLES

OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o",
    "meta": {"versionId": "3", "tag": [{"code": "x"}]},
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">weight</div>'},
    "status": "final",
    "_status": {"extension": [{"url": "http://x.example", "valueCode": "x"}]},
    "category": [{"text": "vital signs"}],
    "code": {"text": "weight"},
    "subject": {"reference": "Patient/p"},
    "valueQuantity": {"value": 1, "unit": "kg", "id": "inner"},
    "note": [{"text": "no shoes"}],
    "interpretation": [{"text": "high"}],
    "component": [{"code": {"text": "a"}, "interpretation": [{"text": "b"}], "valueString": "c"}],
}


@pytest.fixture(scope="session")
def subsets(loaded: Definitions) -> Subsets:
    """Cuts by the committed tables."""
    return Subsets(Plans(loaded.elements, loaded.bindings, loaded.resource_types), loaded.summary)


def test_the_summary(subsets: Subsets) -> None:
    """What the standard marks as summary, inside of elements too; no narrative, no notes."""
    part = subsets.cut(OBSERVATION, Subset("true"))
    assert part.keys() == {
        *("resourceType", "id", "meta", "status", "_status", "code", "subject", "valueQuantity", "component"),
    }
    assert part["meta"] == {"versionId": "3", "tag": [{"code": "x"}, SUBSETTED]}
    assert part["component"] == [{"code": {"text": "a"}, "valueString": "c"}]
    assert part["valueQuantity"] == {"value": 1, "unit": "kg"}


def test_text_and_data(subsets: Subsets) -> None:
    """The narrative with what must be there, or all but the narrative."""
    assert subsets.cut(OBSERVATION, Subset("text")).keys() == {
        *("resourceType", "id", "meta", "text", "status", "_status", "code"),
    }
    data = subsets.cut(OBSERVATION, Subset("data"))
    assert data.keys() == OBSERVATION.keys() - {"text"}
    assert data["note"] == OBSERVATION["note"]


@pytest.mark.parametrize(
    ("elements", "more"),
    [
        ("subject", {"subject"}),
        ("value", {"valueQuantity"}),
        ("value[x]", {"valueQuantity"}),
        ("valueQuantity", {"valueQuantity"}),
        ("Observation.note, subject", {"note", "subject"}),
        ("id", set()),
    ],
)
def test_elements(subsets: Subsets, elements: str, more: set[str]) -> None:
    """Those that are named, by any of their names, and those that must be there."""
    asked = subsets.asked("Observation", None, elements)
    assert asked is not None
    part = subsets.cut(OBSERVATION, asked)
    assert part.keys() == {"resourceType", "id", "meta", "status", "_status", "code", *more}


@pytest.mark.parametrize(
    ("summary", "elements"),
    [("sometimes", None), ("", None), ("true", "code"), (None, ""), (None, "colour"), (None, "code,,subject")],
)
def test_what_is_not_understood(subsets: Subsets, summary: str | None, elements: str | None) -> None:
    """No such summary, no such element: refused, with the parameter's name."""
    with pytest.raises(InvalidRequest) as caught:
        subsets.asked("Observation", summary, elements)
    assert caught.value.issues[0].expression[0] in {"parameter: _summary", "parameter: _elements"}
    assert "colour" not in str(caught.value)


def test_the_whole(subsets: Subsets) -> None:
    """Nothing asked for, or ``false``: no part."""
    assert subsets.asked("Observation", None, None) is None
    assert subsets.asked("Observation", "false", None) is None


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.json")))
def test_every_part_is_a_resource(
    subsets: Subsets, validator: Validator, examples: dict[str, dict[str, Any]], name: str
) -> None:
    """Each part of the standard's examples is valid, says that it is a part, and leaves the whole as it was."""
    whole = examples[name]
    before = copy.deepcopy(whole)
    for subset in (Subset("true"), Subset("text"), Subset("data"), Subset(elements=frozenset({"id"}))):
        part = subsets.cut(whole, subset)
        validator.validate(part)
        assert is_part(part)
        assert part.keys() <= whole.keys() | {"meta"}
    assert whole == before
