"""Validation of R4 resources."""

from __future__ import annotations

import bz2
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hayat_fhir import definitions
from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.json import parse
from hayat_fhir.fhir.validation import Validator

SYNTHEA = Path(__file__).parents[3] / "shared" / "data" / "synthea"
CANARY = "Canary7391"


@pytest.fixture(scope="module")
def validator() -> Validator:
    """The validator with the committed tables."""
    loaded = definitions.load()
    return Validator(loaded.elements, loaded.bindings, loaded.resource_types)


def patient(**content: Any) -> dict[str, Any]:
    """A Patient."""
    return {"resourceType": "Patient", **content}


@pytest.mark.parametrize(
    ("resource", "place", "code"),
    [
        (patient(gender=CANARY), "Patient.gender", "code-invalid"),
        (patient(active="true"), "Patient.active", "value"),
        (patient(birthDate="1980-13-01"), "Patient.birthDate", "value"),
        (patient(birthDate=CANARY), "Patient.birthDate", "value"),
        (patient(multipleBirthInteger=Decimal("1.5")), "Patient.multipleBirthInteger", "value"),
        (patient(multipleBirthInteger=2**31), "Patient.multipleBirthInteger", "value"),
        (patient(multipleBirthInteger=1, multipleBirthBoolean=True), "Patient.multipleBirthBoolean", "structure"),
        (patient(name=[]), "Patient.name", "structure"),
        (patient(name={"family": CANARY}), "Patient.name", "structure"),
        (patient(name=[{}]), "Patient.name[0]", "structure"),
        (patient(name=[{"family": ""}]), "Patient.name[0].family", "value"),
        (patient(nickname=CANARY), "Patient.nickname", "structure"),
        (patient(**{"$where": CANARY}), "Patient.?", "structure"),
        (patient(id="../x"), "Patient.id", "value"),
        (patient(contact=[{"name": {"period": {"start": "x"}}}]), "Patient.contact[0].name.period.start", "value"),
        (patient(contained=[{"resourceType": CANARY}]), "Patient.contained[0].resourceType", "structure"),
        ({"resourceType": "Observation", "status": "final"}, "Observation.code", "required"),
        ({"resourceType": "Observation", "code": {"text": "x"}}, "Observation.status", "required"),
        ({"resourceType": "Evidence", "foo": 1, "status": "draft"}, "Evidence.foo", "structure"),
        ({"resourceType": CANARY}, "resourceType", "structure"),
    ],
)
def test_issues_have_place_and_code(validator: Validator, resource: Any, place: str, code: str) -> None:
    """Each fault is told by its FHIRPath and code, never by its value."""
    with pytest.raises(InvalidRequest) as caught:
        validator.validate(resource)
    assert (place, code) in {(issue.expression[0], issue.code) for issue in caught.value.issues}
    assert CANARY not in str(caught.value.issues)


@pytest.mark.parametrize(
    "div",
    [
        "<div><script>alert(1)</script></div>",
        '<div><img src="x" onerror="alert(1)"/></div>',
        '<div><a href="javascript:alert(1)">x</a></div>',
        '<div><a href=" java\nscript:alert(1)">x</a></div>',
        "<div><iframe src='https://evil.example'></iframe></div>",
        "<div><svg onload='alert(1)'/></div>",
        '<div><p style="background: url(https://evil.example)">x</p></div>',
        "<!DOCTYPE html><div>x</div>",
        "text only",
    ],
)
def test_narrative_must_be_inert(validator: Validator, div: str) -> None:
    """Nothing that a browser would run or fetch may stand in a narrative."""
    with pytest.raises(InvalidRequest) as caught:
        validator.validate(patient(text={"status": "generated", "div": div}))
    assert caught.value.issues[0].expression == ("Patient.text.div",)


@pytest.mark.parametrize(
    "resource",
    [
        patient(
            id="example",
            text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>Ayşe</p></div>'},
            birthDate="1974-12-25",
            _birthDate={"extension": [{"url": "http://x.example/time", "valueDateTime": "1974-12-25T14:35:45-05:00"}]},
            name=[
                {"given": ["A", None], "_given": [None, {"extension": [{"url": "http://x.example", "valueCode": "u"}]}]}
            ],
        ),
        {
            "resourceType": "EffectEvidenceSynthesis",
            "status": "draft",
            "population": {"reference": "EvidenceVariable/1"},
            "exposure": {"reference": "EvidenceVariable/2"},
            "exposureAlternative": {"reference": "EvidenceVariable/3"},
            "outcome": {"reference": "EvidenceVariable/4"},
        },
        {"resourceType": "MedicinalProduct", "name": [{"productName": "x"}]},
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "valueQuantity": {"value": Decimal("1.00"), "unit": "mg"},
        },
    ],
    ids=["patient", "effect-evidence-synthesis", "medicinal-product", "observation"],
)
def test_valid_resources(validator: Validator, resource: dict[str, Any]) -> None:
    """Valid R4 is accepted, also where packaged models of R4B differ."""
    validator.validate(resource)


def test_synthea(validator: Validator) -> None:
    """All resources of the Synthea bundles are valid."""
    if not SYNTHEA.is_dir():
        pytest.skip("no Synthea data beside the checkout")
    for path in sorted(SYNTHEA.glob("*.json.bz2"))[:4]:
        for entry in parse(bz2.decompress(path.read_bytes()), limit=2**30)["entry"]:
            validator.validate(entry["resource"])
