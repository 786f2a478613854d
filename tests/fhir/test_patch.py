"""JSON Patch: the operations of RFC 6902, on resources."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hayat_fhir.errors import InvalidRequest, Unprocessable
from hayat_fhir.fhir.patch import operations, patched

RESOURCE: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "active": True,
    "name": [{"family": "A", "given": ["B", "C"]}, {"family": "D"}],
    "multipleBirthInteger": 1,
    "extension": [{"url": "http://x.example/a~b", "valueDecimal": Decimal("1.00")}],
}


def _after(*rows: dict[str, Any], resource: dict[str, Any] = RESOURCE) -> dict[str, Any]:
    return patched(resource, operations(list(rows)))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"op": "add", "path": "/gender", "value": "female"}], {"gender": "female"}),
        ([{"op": "replace", "path": "/active", "value": False}], {"active": False}),
        ([{"op": "remove", "path": "/multipleBirthInteger"}], {"multipleBirthInteger": None}),
        ([{"op": "add", "path": "/name/0/given/1", "value": "X"}], {"name": [["B", "X", "C"], None]}),
        ([{"op": "add", "path": "/name/0/given/-", "value": "X"}], {"name": [["B", "C", "X"], None]}),
        ([{"op": "remove", "path": "/name/0/given/0"}], {"name": [["C"], None]}),
        ([{"op": "remove", "path": "/name/1"}], {"name": [["B", "C"]]}),
        ([{"op": "move", "from": "/name/0/given/0", "path": "/name/0/given/1"}], {"name": [["C", "B"], None]}),
        ([{"op": "copy", "from": "/name/0/given", "path": "/name/1/given"}], {"name": [["B", "C"], ["B", "C"]]}),
        ([{"op": "test", "path": "/name/0/family", "value": "A"}], {}),
        ([{"op": "test", "path": "/extension/0/valueDecimal", "value": 1}], {}),
        ([], {}),
    ],
)
def test_operations(rows: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    """Each of them does what the RFC says, and leaves what it was given as it was."""
    before = copy.deepcopy(RESOURCE)
    found = _after(*rows)
    assert before == RESOURCE
    for name, value in expected.items():
        shown = [part.get("given") for part in found[name]] if name == "name" else found.get(name)
        assert shown == value
    assert str(found["extension"][0]["valueDecimal"]) == "1.00"


def test_what_is_left_empty_goes() -> None:
    """FHIR's JSON has no empty arrays and objects."""
    assert "name" not in _after({"op": "remove", "path": "/name/1"}, {"op": "remove", "path": "/name/0"})
    made = _after(
        {"op": "add", "path": "/telecom", "value": []}, {"op": "add", "path": "/telecom/-", "value": {"rank": 1}}
    )
    assert made["telecom"] == [{"rank": 1}]


def test_pointers_are_unescaped() -> None:
    """``~1`` is a slash, ``~0`` a tilde, in this order."""
    resource = {**RESOURCE, "a/b": {"m~n": 1, "~1": 2}}
    found = _after(
        {"op": "test", "path": "/a~1b/m~0n", "value": 1},
        {"op": "replace", "path": "/a~1b/~01", "value": 3},
        resource=resource,
    )
    assert found["a/b"] == {"m~n": 1, "~1": 3}


@pytest.mark.parametrize(
    "row",
    [
        {"op": "remove", "path": "/gender"},
        {"op": "replace", "path": "/gender", "value": "male"},
        {"op": "add", "path": "/name/3", "value": {}},
        {"op": "add", "path": "/name/01", "value": {}},
        {"op": "add", "path": "/name/-1", "value": {}},
        {"op": "add", "path": "/name/x", "value": {}},
        {"op": "add", "path": "/active/x", "value": 1},
        {"op": "add", "path": "/nothing/x", "value": 1},
        {"op": "remove", "path": "/name/-"},
        {"op": "remove", "path": ""},
        {"op": "move", "from": "/name", "path": "/name/0"},
        {"op": "move", "from": "/nothing", "path": "/x"},
        {"op": "copy", "from": "/name/9", "path": "/x"},
        {"op": "test", "path": "/active", "value": 1},
        {"op": "test", "path": "/multipleBirthInteger", "value": True},
        {"op": "test", "path": "/name/0/given", "value": ["C", "B"]},
        {"op": "test", "path": "/name/0", "value": {"family": "A"}},
        {"op": "replace", "path": "/id", "value": "q"},
        {"op": "replace", "path": "/resourceType", "value": "Basic"},
        {"op": "replace", "path": "", "value": {"resourceType": "Patient"}},
        {"op": "replace", "path": "", "value": "text"},
    ],
)
def test_what_does_not_fit(row: dict[str, Any]) -> None:
    """422, and nothing of the patch has happened; no value is shown."""
    with pytest.raises(Unprocessable) as caught:
        _after({"op": "add", "path": "/birthDate", "value": "1990"}, row)
    assert "1990" not in str(caught.value.issues)


@pytest.mark.parametrize(
    "document",
    [
        {},
        "text",
        [1],
        [{}],
        [{"op": "eval", "path": "/x"}],
        [{"op": ["add"], "path": "/x", "value": 1}],
        [{"op": "add", "path": "/x"}],
        [{"op": "add", "value": 1}],
        [{"op": "move", "path": "/x"}],
        [{"op": "remove", "path": "name"}],
        [{"op": "remove", "path": "/a~2b"}],
        [{"op": "remove", "path": "/a~"}],
        [{"op": "remove", "path": 7}],
        [{"op": "copy", "from": None, "path": "/x"}],
        [{"op": "test", "path": "/active", "value": True}] * 1001,
    ],
)
def test_what_is_no_patch(document: object) -> None:
    """400 for what RFC 6902 does not know."""
    with pytest.raises(InvalidRequest):
        operations(document)


def test_copies_are_bounded() -> None:
    """Copying into itself what was copied doubles it each time."""
    rows = [{"op": "copy", "from": "/name", "path": "/name/-"}] * 60
    with pytest.raises(Unprocessable):
        _after(*rows)


_POINTERS = st.sampled_from(["", "/", "/name", "/name/0", "/name/-", "/name/0/given/1", "/x~1", "/active", "/id", "/0"])
_ROWS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": _POINTERS, "from": _POINTERS},
    optional={"value": st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())},
)


@given(st.lists(_ROWS, max_size=8))
def test_no_patch_breaks_it(rows: list[dict[str, Any]]) -> None:
    """Whatever the operations are, they take effect or are refused, and the resource stays what it is."""
    before = copy.deepcopy(RESOURCE)
    try:
        found = patched(RESOURCE, operations(rows))
    except (InvalidRequest, Unprocessable):
        found = RESOURCE
    assert before == RESOURCE
    assert (found["resourceType"], found["id"]) == ("Patient", "p")
