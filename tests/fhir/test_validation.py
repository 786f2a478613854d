"""Validation of R4 resources."""

from __future__ import annotations

import bz2
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.json import parse
from hayat_fhir.fhir.validation import Validator

SYNTHEA = Path(__file__).parents[3] / "shared" / "data" / "synthea"
CANARY = "Canary7391"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
X = {"url": "http://x.example", "valueCode": "x"}


def patient(**content: Any) -> dict[str, Any]:
    """A Patient."""
    return {"resourceType": "Patient", **content}


def condition(**status: Any) -> dict[str, Any]:
    """A Condition with a clinical status."""
    return {"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "clinicalStatus": status}


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
        (patient(id="a" * 65), "Patient.id", "value"),
        (patient(id="$where"), "Patient.id", "value"),
        (patient(id="a\n"), "Patient.id", "value"),
        (patient(id="a%00"), "Patient.id", "value"),
        (patient(gender=None), "Patient.gender", "value"),
        (patient(active=1), "Patient.active", "value"),
        (patient(multipleBirthInteger=True), "Patient.multipleBirthInteger", "value"),
        (patient(multipleBirthInteger=-(2**31) - 1), "Patient.multipleBirthInteger", "value"),
        (patient(telecom=[{"rank": 0}]), "Patient.telecom[0].rank", "value"),
        (patient(photo=[{"size": -1}]), "Patient.photo[0].size", "value"),
        (patient(photo=[{"size": Decimal("1.0")}]), "Patient.photo[0].size", "value"),
        (patient(photo=[{"data": "abc"}]), "Patient.photo[0].data", "value"),
        (patient(photo=[{"data": "a=bc"}]), "Patient.photo[0].data", "value"),
        (patient(photo=[{"url": "http://a b"}]), "Patient.photo[0].url", "value"),
        (patient(language=" en"), "Patient.language", "value"),
        (patient(language="en  US"), "Patient.language", "value"),
        (patient(extension=[{"url": "u", "valueOid": "1.2.3"}]), "Patient.extension[0].valueOid", "value"),
        (patient(extension=[{"url": "u", "valueUuid": CANARY}]), "Patient.extension[0].valueUuid", "value"),
        (patient(extension=[{"url": "u", "valueTime": "24:00:00"}]), "Patient.extension[0].valueTime", "value"),
        (patient(extension=[{"url": "u"}]), "Patient.extension[0]", "invariant"),
        (patient(extension=[{"url": "u", "valueCode": "a", "extension": [X]}]), "Patient.extension[0]", "invariant"),
        (patient(extension=[{"valueCode": "a"}]), "Patient.extension[0].url", "required"),
        (patient(extension=[{"url": "u", "valueInteger64": 1}]), "Patient.extension[0].valueInteger64", "structure"),
        (patient(deceasedDateTime="2020-01-01T10:00:00"), "Patient.deceasedDateTime", "value"),
        (patient(deceasedDateTime="2020-01-01T10:00Z"), "Patient.deceasedDateTime", "value"),
        (patient(deceasedDateTime="2020-01-01T24:00:00Z"), "Patient.deceasedDateTime", "value"),
        (patient(deceasedDateTime="2020-01-01T10:00:00+14:30"), "Patient.deceasedDateTime", "value"),
        (patient(birthDate="2023-02-29"), "Patient.birthDate", "value"),
        (patient(birthDate="0000"), "Patient.birthDate", "value"),
        (patient(birthDate="2020-01-01\n"), "Patient.birthDate", "value"),
        (patient(birthDate="\u0662020-01-01"), "Patient.birthDate", "value"),
        (patient(name=[{"given": [None]}]), "Patient.name[0].given[0]", "value"),
        (patient(name=[{"given": [None], "_given": [None]}]), "Patient.name[0].given[0]", "value"),
        (patient(name=[{"given": ["a"], "_given": {"id": "x"}}]), "Patient.name[0].given", "structure"),
        (patient(name=[{"given": ["a"], "_given": []}]), "Patient.name[0].given", "structure"),
        (patient(name=[{"given": ["a", "b"], "_given": [{"id": "x"}]}]), "Patient.name[0].given", "structure"),
        (patient(name=[{"_given": [None]}]), "Patient.name[0].given[0]", "structure"),
        (patient(name=[{"id": "x"}]), "Patient.name[0]", "structure"),
        (patient(name=[None]), "Patient.name[0]", "structure"),
        (patient(name=[[]]), "Patient.name[0]", "structure"),
        (patient(_gender={}), "Patient.gender", "structure"),
        (patient(_gender={"id": "x"}), "Patient.gender", "structure"),
        (patient(_gender=None), "Patient.gender", "structure"),
        (patient(_gender=[]), "Patient.gender", "structure"),
        (patient(_name=[{"id": "x"}]), "Patient._name", "structure"),
        (patient(_foo={"id": "x"}), "Patient._foo", "structure"),
        (patient(resource_type="Patient"), "Patient.resource_type", "structure"),
        (patient(fhir_comments=["x"]), "Patient.fhir_comments", "structure"),
        (patient(name=[{"resourceType": "Patient"}]), "Patient.name[0].resourceType", "structure"),
        (patient(contained=[patient(contained=[patient(id="b")])]), "Patient.contained[0].contained", "invariant"),
        (patient(contained=[patient(meta={"versionId": "1"})]), "Patient.contained[0].meta.versionId", "invariant"),
        (patient(contained=[patient(meta={"security": [X]})]), "Patient.contained[0].meta.security", "invariant"),
        (patient(contained=[{"resourceType": ["Patient"]}]), "Patient.contained[0].resourceType", "structure"),
        (condition(coding=[{"system": CLINICAL, "code": CANARY}]), "Condition.clinicalStatus", "code-invalid"),
        (condition(coding=[{"code": "active"}]), "Condition.clinicalStatus", "code-invalid"),
        (condition(text="active"), "Condition.clinicalStatus", "code-invalid"),
        ({"resourceType": "Observation", "status": "final"}, "Observation.code", "required"),
        ({"resourceType": "Observation", "code": {"text": "x"}}, "Observation.status", "required"),
        (
            {"resourceType": "MedicationStatement", "status": "active", "subject": {"reference": "Patient/1"}},
            "MedicationStatement.medication[x]",
            "required",
        ),
        ({"resourceType": "Evidence", "foo": 1, "status": "draft"}, "Evidence.foo", "structure"),
        ({"resourceType": "PlanDefinition", "subjectCanonical": "u"}, "PlanDefinition.subjectCanonical", "structure"),
        ({"resourceType": "Citation", "status": "draft"}, "resourceType", "structure"),
        ({"resourceType": CANARY}, "resourceType", "structure"),
        ({"resourceType": ["Patient"]}, "resourceType", "structure"),
        ({"resourceType": {}}, "resourceType", "structure"),
        ({"resourceType": "Resource"}, "resourceType", "structure"),
        ({}, "resourceType", "structure"),
    ],
)
def test_issues_have_place_and_code(validator: Validator, resource: Any, place: str, code: str) -> None:
    """Each fault is told by its FHIRPath and code, never by its value."""
    with pytest.raises(InvalidRequest) as caught:
        validator.validate(resource)
    assert (place, code) in {(issue.expression[0], issue.code) for issue in caught.value.issues}
    assert CANARY not in str(caught.value.issues)


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
            "resourceType": "Parameters",
            "parameter": [
                {"name": "x", "part": [{"name": "y", "resource": {"resourceType": "SubstancePolymer"}}]},
                {
                    "name": "z",
                    "resource": {
                        "resourceType": "Evidence",
                        "status": "draft",
                        "exposureBackground": {"reference": "EvidenceVariable/1"},
                    },
                },
            ],
        },
        patient(contained=[{"resourceType": "SubstancePolymer", "id": "a"}]),
        patient(gender="other", _gender={"id": "x"}),
        patient(extension=[{"url": "http://x.example", "valueMeta": {"versionId": "1"}}]),
        patient(deceasedDateTime="2016-12-31T23:59:60+14:00", language="a\u00a0b"),
        patient(photo=[{"data": "YW Jj\nYWI="}], birthDate="2024-02-29", multipleBirthInteger=-(2**31)),
        condition(coding=[{"system": CLINICAL, "code": "active"}, {"code": "own"}]),
        condition(extension=[X]),
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "valueQuantity": {"value": Decimal("1.00"), "unit": "mg"},
        },
    ],
    ids=range(12),
)
def test_valid_resources(validator: Validator, resource: dict[str, Any]) -> None:
    """Valid R4 is accepted, also where packaged models of R4B differ."""
    validator.validate(resource)


def test_narratives_are_checked_wherever_they_stand(validator: Validator) -> None:
    """In contained resources and in entries as well."""
    text = {"status": "generated", "div": "<div><script>alert(1)</script></div>"}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient(text=text)}]}
    for resource in (patient(text=text), patient(contained=[patient(text=text)]), bundle):
        with pytest.raises(InvalidRequest) as caught:
            validator.validate(resource)
        assert caught.value.issues[0].expression[0].endswith("text.div")


def test_type_must_be_the_one_asked_for(validator: Validator) -> None:
    """A Patient where an Observation is due is refused, whatever else it is."""
    with pytest.raises(InvalidRequest) as caught:
        validator.validate(patient(), type="Observation")
    assert caught.value.issues[0].expression == ("resourceType",)


def test_issues_are_bounded(validator: Validator) -> None:
    """A large resource full of faults gets a short answer."""
    with pytest.raises(InvalidRequest) as caught:
        validator.validate(patient(name=[{"family": 1}] * 100_000))
    assert len(caught.value.issues) == 50


def test_synthea(validator: Validator) -> None:
    """All resources of the Synthea bundles are valid."""
    if not SYNTHEA.is_dir():
        pytest.skip("no Synthea data beside the checkout")
    for path in sorted(SYNTHEA.glob("*.json.bz2"))[:4]:
        for entry in parse(bz2.decompress(path.read_bytes()), limit=2**30)["entry"]:
            validator.validate(entry["resource"])
