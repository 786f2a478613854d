"""What is indexed is found by what a client asks, and by nothing else."""

from __future__ import annotations

import bz2
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hayat_fhir import definitions
from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.json import parse as parse_json
from hayat_fhir.search.conditions import AllOf, AnyKey, SortKey
from hayat_fhir.search.entries import key, within
from hayat_fhir.search.indexing import Indexer
from hayat_fhir.search.parameters import INDEXED, SearchParameters
from hayat_fhir.search.query import Chain, Has, parse
from hayat_fhir.search.string import normalised

from .conftest import BASE
from .evaluator import holds

SYNTHEA = Path(__file__).parents[3] / "shared" / "data" / "synthea"
NOW = 1_795_000_000_000

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:mrn", "value": "4711"}, {"value": "plain"}],
    "name": [{"family": "Y\u0131lmaz-Öztürk", "given": ["Ayşe", "Nur"]}],
    "telecom": [{"system": "phone", "value": "+90 1"}, {"system": "email", "value": "a@b.example"}],
    "gender": "female",
    "birthDate": "1980-05",
    "active": True,
    "generalPractitioner": [{"reference": f"{BASE}/Practitioner/7"}],
    "managingOrganization": {"identifier": {"system": "urn:org", "value": "O1"}},
    "deceasedBoolean": False,
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "meta": {"tag": [{"system": "urn:t", "code": "x"}], "profile": ["http://p.example/a"]},
    "status": "final",
    "category": [{"coding": [{"system": "urn:c", "code": "vital-signs"}]}],
    "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]},
    "subject": {"reference": "Patient/p1"},
    "effectivePeriod": {"start": "2026-01-10T10:00:00Z", "end": "2026-01-12"},
    "valueQuantity": {"value": Decimal(100), "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"},
}

BIRTH_DATES = SearchParameters(
    [row for row in definitions.load().search_parameters if row["base"] == "Patient" and row["code"] == "birthdate"],
    ["Patient"],
)


def found(indexer: Indexer, parameters: SearchParameters, resource: dict[str, Any], *pairs: tuple[str, str]) -> bool:
    """Whether a search of the resource's type finds it."""
    query = parse(resource["resourceType"], pairs, parameters, base_url=BASE, now=NOW)
    return holds(query.condition, indexer.index(resource, "p1"))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("identifier", "urn:mrn|4711", True),
        ("identifier", "4711", True),
        ("identifier", "urn:other|4711", False),
        ("identifier", "|4711", False),
        ("identifier", "|plain", True),
        ("identifier", "urn:mrn|", True),
        ("identifier", "x,urn:mrn|4711", True),
        ("name", "yil", True),
        ("name", "OZT", False),
        ("name", "ayse", True),
        ("name:contains", "ozturk", True),
        ("name:exact", "Ayşe", True),
        ("name:exact", "ayse", False),
        ("family", "yilmaz", True),
        ("given", "nur", True),
        ("phone", "+90 1", True),
        ("phone", "a@b.example", False),
        ("telecom", "a@b.example", True),
        ("gender", "female", True),
        ("gender:not", "female", False),
        ("gender:not", "male", True),
        ("gender:missing", "false", True),
        ("death-date:missing", "true", True),
        ("deceased", "false", True),
        ("active", "true", True),
        ("general-practitioner", "Practitioner/7", True),
        ("general-practitioner", "7", True),
        ("general-practitioner:Practitioner", "7", True),
        ("general-practitioner:Organization", "7", False),
        ("general-practitioner", f"{BASE}/Practitioner/7", True),
        ("organization:identifier", "urn:org|O1", True),
        ("birthdate", "1980", True),
        ("birthdate", "1980-05-10", False),
        ("birthdate", "ge1980-05-10", True),
        ("birthdate", "lt1980-05-10", True),
        ("birthdate", "sa1980-04", True),
        ("birthdate", "eb1980-06", True),
        ("birthdate", "gt1980-06", False),
        ("birthdate", "ne1980", False),
    ],
)
def test_patient(indexer: Indexer, parameters: SearchParameters, name: str, value: str, expected: bool) -> None:
    """Tokens, strings, references and dates of a Patient."""
    assert found(indexer, parameters, PATIENT, (name, value)) is expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("value-quantity", "100", True),
        ("value-quantity", "100||mg", True),
        ("value-quantity", "100|http://unitsofmeasure.org|mg", True),
        ("value-quantity", "100||g", False),
        ("value-quantity", "99.6", False),
        ("value-quantity", "1e2", True),
        ("value-quantity", "ap95", True),
        ("value-quantity", "gt100", False),
        ("value-quantity", "ge100", True),
        ("date", "2026-01", True),
        ("date", "2026-01-11", False),
        ("date", "ge2026-01-12", True),
        ("date", "gt2026-01-12", False),
        ("date", "lt2026-01-10T10:00:01Z", True),
        ("date", "eb2026-01-11", False),
        ("code", "http://loinc.org|8302-2", True),
        ("code", "8302-2,1", True),
        ("code", "urn:x|8302-2", False),
        ("patient", "p1", True),
        ("patient", "p2", False),
        ("subject", "Patient/p1", True),
        ("_tag", "urn:t|x", True),
        ("_profile", "http://p.example/a", True),
        ("status", "final", True),
        ("code-value-quantity", "8302-2$100", True),
        ("code-value-quantity", "http://loinc.org|8302-2$ge100||mg", True),
        ("code-value-quantity", "8302-2$gt100", False),
        ("code-value-quantity", "8302-2$100||g", False),
        ("code-value-quantity", "8302-3$100", False),
        ("code-value-quantity", "8302-3$100,8302-2$100", True),
        ("code-value-string", "8302-2$x", False),
    ],
)
def test_observation(indexer: Indexer, parameters: SearchParameters, name: str, value: str, expected: bool) -> None:
    """Quantities with their implied precision, intervals against intervals, codes and the patient."""
    assert found(indexer, parameters, OBSERVATION, (name, value)) is expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("code-value-quantity", "8302-2"),
        ("code-value-quantity", "8302-2$"),
        ("code-value-quantity", "$100"),
        ("code-value-quantity", "8302-2$100$100"),
        ("code-value-quantity", "8302-2$many"),
        ("code-value-quantity", "8302-2\\$100"),
        ("code-value-quantity:missing", "true"),
        ("code-value-quantity:not", "8302-2$100"),
        ("combo-code-value-quantity", "8302-2$100"),
        ("component-code-value-quantity", "8302-2$100"),
        ("_sort", "code-value-quantity"),
    ],
)
def test_other_composites_are_refused(parameters: SearchParameters, name: str, value: str) -> None:
    """As many values as components, no modifiers; and none that asks for one inner element to meet them all."""
    with pytest.raises(InvalidRequest):
        parse("Observation", [(name, value)], parameters)


def test_patient_and_code_become_one_key(indexer: Indexer, parameters: SearchParameters) -> None:
    """A patient's codes are asked for in one index scan, several of them too."""
    query = parse("Observation", [("patient", "p1"), ("code", "a,b"), ("_sort", "-date")], parameters)
    assert query.condition == AnyKey((within("Patient/p1", key("code", "a")), within("Patient/p1", key("code", "b"))))
    assert query.sort == (SortKey("date", descending=True, principal=True),)
    assert found(indexer, parameters, OBSERVATION, ("patient", "p1"), ("code", "8302-2"), ("status", "final"))
    assert not found(indexer, parameters, OBSERVATION, ("patient", "p2"), ("code", "8302-2"))


def test_patients_and_code_become_a_key_for_each(indexer: Indexer, parameters: SearchParameters) -> None:
    """So do the codes of several patients, up to a bound; nobody else's are found."""
    query = parse("Observation", [("patient", "p1,p2"), ("code", "a")], parameters)
    assert query.condition == AnyKey((within("Patient/p1", key("code", "a")), within("Patient/p2", key("code", "a"))))
    assert found(indexer, parameters, OBSERVATION, ("patient", "p0,p1"), ("code", "8302-2"))
    assert not found(indexer, parameters, OBSERVATION, ("patient", "p0,p2"), ("code", "8302-2"))
    assert not found(indexer, parameters, OBSERVATION, ("patient", "p0,p1"), ("code", "1"))
    many = ",".join(["p1", *(f"q{number}" for number in range(600))])
    assert found(indexer, parameters, OBSERVATION, ("patient", many), ("code", "8302-2,1"))
    assert not found(indexer, parameters, OBSERVATION, ("patient", many), ("code", "1,2"))


def test_an_event_about_many_patients_stays_small(indexer: Indexer, parameters: SearchParameters) -> None:
    """A list of a hundred patients leaves one AuditEvent: it is found by each of them, without a key for each code."""
    event = {
        "resourceType": "AuditEvent",
        "type": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110112"},
        "action": "E",
        "recorded": "2026-01-10T10:00:00Z",
        "entity": [{"what": {"reference": f"Patient/p{number}"}} for number in range(100)],
    }
    assert len(indexer.index(event, "e").keys) < 500
    assert found(indexer, parameters, event, ("patient", "p99"), ("action", "E"))
    assert not found(indexer, parameters, event, ("patient", "p99"), ("action", "R"))
    assert not found(indexer, parameters, event, ("patient", "p100"), ("action", "E"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("unknown", "x"),
        ("name[$ne]", "x"),
        ("$where", "1"),
        ("gender:in", "x"),
        ("name:text", "x"),
        ("birthdate", "tomorrow"),
        ("birthdate", "xx1980"),
        ("birthdate[$gt]", ""),
        ("identifier", ""),
        ("identifier", "a|b|c"),
        ("identifier", ","),
        ("_count", "-1"),
        ("_count", "9999999999"),
        ("_sort", "unknown"),
        ("_total", "maybe"),
        ("_contained", "true"),
        ("_filter", "name eq x"),
        ("_text", "x"),
        ("_has", "x"),
        ("_has:Observation", "x"),
        ("_has:Observation:code:code", "x"),
        ("_has:Nonsense:patient:code", "x"),
        ("_has:Observation:patient:colour", "x"),
        ("_has:Observation:patient:code:above", "x"),
        ("_has:Observation:patient:_count", "1"),
        ("_has:PractitionerRole:practitioner:role", "x"),
        ("_has:Observation:patient:_has:Observation:patient:_has:A:b:_has:A:b:c", "x"),
        ("name.family", "x"),
        ("nothing.name", "x"),
        ("general-practitioner.colour", "x"),
        ("general-practitioner.", "x"),
        ("general-practitioner:Patient.name", "x"),
        ("general-practitioner._sort", "x"),
        ("general-practitioner.name:above", "x"),
        (".name", "x"),
        ("_include", "*"),
        ("_include:iterate", "Patient:link"),
        ("_include", "Observation:subject"),
        ("_revinclude", "Observation:code"),
        ("general-practitioner", "\\x"),
    ],
)
def test_what_is_not_understood_is_refused(parameters: SearchParameters, name: str, value: str) -> None:
    """No parameter is silently ignored: that would widen the result. The value is never repeated."""
    with pytest.raises(InvalidRequest) as caught:
        parse("Patient", [(name, value)], parameters)
    assert value in {"", "1", "x", ","} or value not in str(caught.value.issues)


def test_chains(parameters: SearchParameters) -> None:
    """Each hop is a query of its own type: of the named one, or of each that the reference may lead to."""
    (one,) = parse("Observation", [("subject:Patient.name", "eve")], parameters).hops
    assert isinstance(one, Chain)
    assert (one.parameter, [query.type for query in one.queries]) == ("subject", ["Patient"])
    (each,) = parse("Patient", [("general-practitioner.name", "eve")], parameters).hops
    assert isinstance(each, Chain)
    assert [query.type for query in each.queries] == ["Organization", "Practitioner"]
    (long,) = parse("Observation", [("patient.organization.name", "x")], parameters).hops
    assert isinstance(long, Chain)
    assert isinstance(long.queries[0].hops[0], Chain)
    (back,) = parse("Patient", [("_has:Observation:patient:code", "x")], parameters).hops
    assert isinstance(back, Has)
    assert (back.parameter, back.query.type) == ("patient", "Observation")
    (twice,) = parse("Patient", [("_has:Encounter:patient:_has:Observation:encounter:code", "x")], parameters).hops
    assert isinstance(twice, Has)
    assert isinstance(twice.query.hops[0], Has)


def test_lenient_leaves_unknown_parameters_out(parameters: SearchParameters) -> None:
    """With ``Prefer: handling=lenient`` an unknown parameter is left out, of the self link too."""
    assert parse("Patient", [("unknown", "x"), ("name", "a")], parameters, lenient=True).pairs == (("name", "a"),)


def test_repeated_result_parameters_are_refused(parameters: SearchParameters) -> None:
    """Two ``_count`` have no meaning."""
    with pytest.raises(InvalidRequest):
        parse("Patient", [("_count", "1"), ("_count", "2")], parameters)


@pytest.mark.parametrize("value", ["(a+)+$", ".*", "%", "x" * 10_000, '{"$gt":""}'])
def test_no_value_is_a_pattern(indexer: Indexer, parameters: SearchParameters, value: str) -> None:
    """Whatever a value looks like, it is text."""
    assert not found(indexer, parameters, PATIENT, ("name:contains", value))


def test_parameters_that_are_others_together(indexer: Indexer, parameters: SearchParameters) -> None:
    """They find what the others find, are sorted by as before, and have no entries of their own."""
    assert parameters.joined("Observation")["combo-code"] == ("code", "component-code")
    assert parameters.joined("Patient") == {"phonetic": ("name",)}
    component = {"code": {"coding": [{"system": "urn:c", "code": "systolic"}]}, "valueQuantity": {"value": 120}}
    resource = {**OBSERVATION, "component": [component]}
    for name, value, expected in (
        ("combo-code", "8302-2", True),
        ("combo-code", "http://loinc.org|8302-2", True),
        ("combo-code", "systolic", True),
        ("combo-code", "urn:c|systolic", True),
        ("combo-code", "urn:c|8302-2", False),
        ("combo-code:not", "systolic", False),
        ("combo-code:not", "other", True),
        ("combo-code:missing", "true", False),
        ("combo-code:missing", "false", True),
        ("combo-value-quantity", "120", True),
        ("combo-value-quantity", "100", True),
        ("combo-value-quantity", "gt150", False),
        ("combo-value-concept:missing", "true", True),
    ):
        assert found(indexer, parameters, resource, (name, value)) is expected, (name, value)
    entries = indexer.index(resource, "o")
    assert key("combo-code", "8302-2") not in entries.keys
    assert not any(entry.parameter.startswith("combo-") for entry in entries.ranges)
    assert entries.order["combo-code"] == ["8302-2", "systolic"]
    query = parse("Observation", [("patient", "p1"), ("combo-code", "a")], parameters)
    plain = (key("code", "a"), key("component-code", "a"))
    assert query.condition == AnyKey(tuple(within("Patient/p1", one) for one in plain))


def test_a_code_without_systems_is_one_key(indexer: Indexer, parameters: SearchParameters) -> None:
    """``final`` and ``|final`` ask for the same, and are found by the same entry."""
    assert found(indexer, parameters, OBSERVATION, ("status", "|final"))
    assert found(indexer, parameters, PATIENT, ("gender", "|female"))
    assert not found(indexer, parameters, OBSERVATION, ("status", "urn:x|final"))
    assert key("status", "|final") not in indexer.index(OBSERVATION, "o").keys


def test_all_parameters_are_indexed(parameters: SearchParameters) -> None:
    """Every parameter of R4 that has an expression and one of the seven types has paths."""
    rows = definitions.load().search_parameters
    missing = [row["url"] for row in rows if row["type"] in INDEXED and row.get("expression") and not row.get("paths")]
    assert missing == []
    assert len(rows) > 1700
    assert isinstance(parse("Patient", [], parameters).condition, AllOf)


def test_every_value_is_found_by_itself(indexer: Indexer, parameters: SearchParameters) -> None:
    """Whatever order entry a Synthea resource has for a token, a search for that token finds it."""
    if not SYNTHEA.is_dir():
        pytest.skip("no Synthea data beside the checkout")
    path = sorted(SYNTHEA.glob("*.json.bz2"))[2]
    for entry in parse_json(bz2.decompress(path.read_bytes()), limit=2**30)["entry"][:150]:
        resource = entry["resource"]
        entries = indexer.index(resource, "x")
        for code, value in entries.order.items():
            parameter = parameters.get(resource["resourceType"], code)
            if parameter is not None and parameter.type == "token" and isinstance(value, str) and len(value) < 64:
                query = parse(resource["resourceType"], [(code, value.replace("|", "\\|"))], parameters)
                assert holds(query.condition, entries), code


def test_a_date_that_is_none_is_refused_at_the_index(indexer: Indexer) -> None:
    """Better no document than one that a search by date would miss."""
    with pytest.raises(InvalidRequest) as caught:
        indexer.index({"resourceType": "Patient", "birthDate": "1980-99"}, "x")
    assert caught.value.issues[0].expression == ("birthDate",)


def test_compartments(indexer: Indexer) -> None:
    """A resource is in the compartments of the patients it is about; a patient in their own."""
    assert indexer.compartments(OBSERVATION, "o1") == ("Patient/p1",)
    assert indexer.compartments(PATIENT, "p1") == ("Patient/p1",)
    assert indexer.compartments({"resourceType": "Organization", "name": "x"}, "o") == ()
    elsewhere = {**OBSERVATION, "subject": {"reference": "https://other.example/fhir/Patient/p1"}}
    assert indexer.compartments(elsewhere, "o1") == ()


@given(st.text(max_size=40))
@example("\u03d2\u1d2c")
def test_normalisation_is_stable(text: str) -> None:
    """Normalising twice is normalising once, and case never matters."""
    assert normalised(normalised(text)) == normalised(text)


@given(st.dates().map(str), st.dates().map(str))
def test_date_prefixes_agree(birth: str, asked: str) -> None:
    """lt, ge and their like split all dates between them, as the order of dates does."""
    entries = Indexer(BIRTH_DATES, {}, BASE).index({"resourceType": "Patient", "birthDate": birth}, "x")
    result = {
        prefix: holds(parse("Patient", [("birthdate", prefix + asked)], BIRTH_DATES).condition, entries)
        for prefix in ("eq", "ne", "lt", "gt", "le", "ge", "sa", "eb")
    }
    assert result["eq"] is (birth == asked)
    assert result["ne"] is (birth != asked)
    assert result["lt"] is result["eb"] is (birth < asked)
    assert result["gt"] is result["sa"] is (birth > asked)
    assert result["le"] is (birth <= asked)
    assert result["ge"] is (birth >= asked)
