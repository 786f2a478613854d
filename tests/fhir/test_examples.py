"""Every type of R4 is accepted: the standard's examples, and the least that each type allows."""

from __future__ import annotations

from typing import Any

import pytest

from hayat_fhir.definitions import Definitions
from hayat_fhir.fhir.json import parse, serialize
from hayat_fhir.fhir.validation import Validator
from tests.fhir.conftest import EXAMPLES

VALUES: dict[str, Any] = {
    "boolean": True,
    "integer": 1,
    "unsignedInt": 1,
    "positiveInt": 1,
    "decimal": 1,
    "date": "2026",
    "dateTime": "2026",
    "instant": "2026-11-23T10:00:00Z",
    "time": "10:00:00",
    "base64Binary": "YWJj",
    "oid": "urn:oid:1.2.3",
    "uuid": "urn:uuid:0c3201bd-1cbf-4d64-b04d-cd9187a4c6e0",
    "xhtml": "<div>x</div>",
    "Reference": {"reference": "Patient/1"},
    "CodeableConcept": {"text": "x"},
    "Quantity": {"value": 1},
    "Identifier": {"value": "1"},
    "Period": {"start": "2026"},
    "Attachment": {"title": "x"},
    "Money": {"value": 1},
    "Ratio": {"numerator": {"value": 1}},
    "Range": {"low": {"value": 1}},
    "Coding": {"code": "x"},
    "HumanName": {"text": "x"},
    "Timing": {"code": {"text": "x"}},
    "Duration": {"value": 1},
    "ProdCharacteristic": {"color": ["x"]},
    "SubstanceAmount": {"amountString": "x"},
    "Population": {"gender": {"text": "x"}},
    "Expression": {"language": "x"},
}


def least(definitions: Definitions, path: str) -> dict[str, Any]:
    """What a type or backbone element must have, and nothing else."""
    found: dict[str, Any] = {}
    for element, row in definitions.elements.items():
        parent, _, name = element.rpartition(".")
        cardinality, _, types = row.partition(" ")
        if parent == path and not cardinality.startswith("0"):
            type = types.split("|")[0]
            value = _value(definitions, element, type)
            json_name = name.replace("[x]", type[0].upper() + type[1:])
            found[json_name] = value if cardinality.endswith("1") else [value]
    return found


def _value(definitions: Definitions, element: str, type: str) -> Any:
    codes = sorted(definitions.bindings.get(element, ()))
    if codes and type == "CodeableConcept":
        system, _, code = codes[0].partition("|")
        return {"coding": [{"system": system, "code": code}]}
    if codes:
        return codes[0]
    if type == "Resource":
        return {"resourceType": "Basic", "code": {"text": "x"}}
    path = type[1:] if type.startswith("#") else element if type in {"BackboneElement", "Element"} else type
    content = least(definitions, path)
    return VALUES.get(type) or content or ("x" if type[0].islower() else {"id": "x", "extension": [_EXTENSION]})


_EXTENSION = {"url": "http://x.example", "valueCode": "x"}


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.json")))
def test_examples_of_the_standard(validator: Validator, examples: dict[str, dict[str, Any]], name: str) -> None:
    """What the standard calls valid is accepted, and comes out as it went in."""
    validator.validate(examples[name])
    assert str(parse(serialize(examples[name]))) == str(examples[name])


def test_every_type(validator: Validator, loaded: Definitions) -> None:
    """Of each of the 146 types the least resource is accepted; with one element less it is refused."""
    assert len(loaded.resource_types) == 146
    for type in sorted(loaded.resource_types):
        validator.validate({"resourceType": type, **least(loaded, type)}, type=type)
