"""What holds of validation for every document: it answers, keeps values to itself, and both passes agree."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hayat_fhir.definitions import Definitions
from hayat_fhir.errors import InvalidRequest, Issue
from hayat_fhir.fhir.dates import bounds
from hayat_fhir.fhir.primitives import CHECKS
from hayat_fhir.fhir.structure import Structure
from hayat_fhir.fhir.validation import Validator
from tests.fhir.conftest import EXAMPLES

CANARY = "Canary7391"
X = {"url": "http://x.example", "valueString": CANARY}
NAMES = [
    *("id", "_id", "extension", "_extension", "modifierExtension", "contained", "meta", "text", "value", "valueString"),
    *("valueMeta", "status", "_status", "coding", "code", "_code", "_given", "language", "_language", "reference"),
    *("resourceType", "resource_type", "fhir_comments", "status__ext", "model_config", "$where", "__proto__", "a.b"),
]
TEXTS = [
    *("", " ", CANARY, f"{CANARY} \u00e9", "a  b", "\u00e9\u00a0", "\U0001f600", "$where", "../x", "<div>x</div>"),
    *("2020-02-30", "2020-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:60-14:00", "12:00:00"),
    *("urn:oid:1.2", "YWJj", "YW=j"),
]
OBJECTS: list[dict[str, Any]] = [
    *({}, {"a": 1}, {"id": "x"}, {"extension": []}, {"extension": [X]}, {"reference": "Patient/1"}, {"$ne": CANARY}),
    *({"resourceType": "Patient"}, {"resourceType": "Evidence", "status": "x"}, {"resourceType": ["x"]}),
    {"coding": [{"code": "x"}]},
]
OTHERS = [None, True, 0, -1, 2**31, 2**62, Decimal("1.50"), Decimal("1E+2"), [], [None], [[]]]
INTRUDERS = st.sampled_from([*TEXTS, *OBJECTS, *OTHERS])


@pytest.fixture(scope="session")
def structure(loaded: Definitions) -> Structure:
    """The structural half of the validator."""
    return Structure(loaded.elements, loaded.bindings, loaded.resource_types)


def spoil(data: st.DataObject, resource: dict[str, Any]) -> None:
    """Change one place of a resource: replace, remove, wrap, rename, or add something that does not belong."""
    node: Any = resource
    while True:
        steps = list(node) if isinstance(node, dict) else list(range(len(node)))
        below = [step for step in steps if isinstance(node[step], dict | list)]
        if not below or data.draw(st.booleans()):
            break
        node = node[data.draw(st.sampled_from(below))]
    what = data.draw(st.sampled_from(["replace", "remove", "wrap", "add", "rename"]))
    step = data.draw(st.sampled_from(steps)) if steps else None
    if isinstance(node, dict) and (what == "add" or step is None):
        node[data.draw(st.sampled_from(NAMES))] = deepcopy(data.draw(INTRUDERS))
    elif step is None or what == "add":
        node.append(deepcopy(data.draw(INTRUDERS)))
    elif what == "remove":
        del node[step]
    elif what == "rename" and isinstance(node, dict):
        node[f"_{step}"] = node.pop(step)
    else:
        node[step] = [node[step]] if what == "wrap" else deepcopy(data.draw(INTRUDERS))


def refused(validator: Validator, resource: dict[str, Any]) -> tuple[Issue, ...]:
    """The issues of a refusal; none where the resource is accepted."""
    try:
        validator.validate(resource)
    except InvalidRequest as refusal:
        return refusal.issues
    return ()


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_spoilt_resources(
    structure: Structure, validator: Validator, examples: dict[str, dict[str, Any]], data: st.DataObject
) -> None:
    """Any change to a valid resource is accepted or refused, never a fault; no refusal repeats a value."""
    name = data.draw(st.sampled_from([path.stem for path in sorted(EXAMPLES.glob("*.json"))]))
    resource = deepcopy(examples[name])
    for _ in range(data.draw(st.integers(1, 3))):
        spoil(data, resource)
    issues = list(structure.issues(resource))
    if structure.fits(resource):
        assert issues == []
    assert CANARY not in str(issues)
    found = refused(validator, resource)
    assert CANARY not in str(found)
    assert found or not issues


@given(st.sampled_from(sorted(CHECKS)), st.text(max_size=20) | st.integers() | st.decimals() | st.none())
def test_primitives_never_fail(type: str, value: object) -> None:
    """Whatever value meets whatever type, the check answers yes or no."""
    assert CHECKS[type](value) in (True, False)


@given(
    st.sampled_from(["date", "dateTime", "instant"]),
    st.from_regex(
        r"[0-9]{4}(-[01][0-9](-[0-3][0-9](T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{1,9})?(Z|[+-][01][0-9]:[0-5]0)))?)?",
        fullmatch=True,
    ),
)
def test_valid_dates_can_be_indexed(type: str, text: str) -> None:
    """Each date that validation lets in has its interval; none is accepted and then fails."""
    if CHECKS[type](text):
        low, high = bounds(text)
        assert low <= high
