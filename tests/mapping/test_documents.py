"""The mapping files of the legacy documents: both ways, without a loss, and each mistake in them named."""

from __future__ import annotations

import copy
import json
import tomllib
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hayat_fhir import definitions
from hayat_fhir.errors import ConfigurationError, Conflict
from hayat_fhir.fhir.validation import Validator
from hayat_fhir.mapping.checking import checked
from hayat_fhir.mapping.document import PLACEHOLDER, DocumentMapping
from hayat_fhir.mapping.document_file import compiled_document
from hayat_fhir.mapping_files import compiled_mappings

_FOLDER = Path(__file__).parents[2] / "mappings" / "api-v1"
_LOADED = definitions.load()
DOCUMENTS = compiled_mappings(_LOADED).documents
EXAMPLES = [json.loads(path.read_text()) for path in sorted((_FOLDER / "examples").glob("*.json"))]
_VALIDATOR = Validator(_LOADED.elements, _LOADED.bindings, _LOADED.resource_types)
_CODES = {name.removeprefix("codes/"): table for name, table in _LOADED.mappings.items() if name.startswith("codes/")}

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=30)
_DAY = st.dates(min_value=date(1900, 1, 1)).map(lambda day: f"{day}T00:00:00.000Z")
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "email": _TEXT.map(lambda text: f"{text.casefold().replace('@', '')}a@b.example"),
    "gender": st.sampled_from(["Male", "Female"]),
    "birthdate": _DAY,
    "IDcard": st.integers(0, 10**18 - 1),
    "bloodType": st.sampled_from(["A", "B", "O", "AB"]),
    "status": st.sampled_from(["draft", "signed", "amended"]),
    "specialization": st.from_regex(r"[A-Za-z0-9.\-]{1,64}", fullmatch=True),
    "doctor": st.from_regex(r"[A-Za-z0-9.\-]{1,64}", fullmatch=True),
    "patient": st.from_regex(r"[A-Za-z0-9.\-]{1,64}", fullmatch=True),
    "consultation": st.from_regex(r"[A-Za-z0-9.\-]{1,64}", fullmatch=True),
    "date": st.datetimes(min_value=datetime(1900, 1, 1)).map(
        lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
    ),
}


def _document(mapping: DocumentMapping) -> st.SearchStrategy[dict[str, Any]]:
    """Documents with all required fields and some of the others."""
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    objects: dict[str, dict[str, st.SearchStrategy[Any]]] = {}
    for field in mapping.fields.values():
        if field.part is None or field.name == "photo":
            continue
        values = _VALUES.get(field.name, _TEXT) if mapping.name != "specialization" else _TEXT
        outer, _, inner = field.name.partition(".")
        if inner:
            objects.setdefault(outer, {})[inner] = values
        else:
            (required if field.required else optional)[field.name] = values
    nested = {name: st.fixed_dictionaries({}, optional=fields) for name, fields in objects.items()}
    return st.fixed_dictionaries({**required, **nested}, optional=optional)


def _parts(written: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {name: [resource] for name, resource in written.items() if resource is not None}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["document"])
def test_examples(example: dict[str, Any]) -> None:
    """Each example beside the mapping files reads, and is written, as it says."""
    mapping = DOCUMENTS[example["document"]]
    assert mapping.to_legacy(example["fhir"]) == example["legacy"]
    if "to_fhir" in example["directions"]:
        assert _parts(mapping.to_fhir(example["legacy"], {})) == example["fhir"]
    assert mapping.to_fhir(example["legacy"], example["fhir"]) == {}


def test_every_document_has_examples() -> None:
    """Both ways for each of them."""
    assert {e["document"] for e in EXAMPLES if "to_fhir" in e["directions"]} == set(DOCUMENTS)


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
@given(data=st.data())
def test_what_is_written_reads_the_same(name: str, data: st.DataObject) -> None:
    """Every mapped field survives the way to FHIR and back, and all that is made is valid R4."""
    mapping = DOCUMENTS[name]
    document = checked(mapping, {**data.draw(_document(mapping)), **_kept(mapping)}, creating=True)
    document = {key: value for key, value in document.items() if key not in _kept(mapping)}
    written = mapping.to_fhir(document, {})
    for resource in written.values():
        assert resource is not None
        _VALIDATOR.validate(_with_references(resource))
    read = mapping.to_legacy(_parts(written))
    for key, value in document.items():
        if value != mapping.fields.get(key, mapping.fields[next(iter(mapping.fields))]).default:
            assert read[key] == value


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
@given(data=st.data())
def test_an_update_changes_what_it_names_only(name: str, data: st.DataObject) -> None:
    """Extensions, other identifiers and names, notes and whatever else is there stay as they are."""
    mapping = DOCUMENTS[name]
    old, new = data.draw(_document(mapping)), data.draw(_document(mapping))
    parts = _parts(mapping.to_fhir(old, {}))
    for held in parts.values():
        for resource in held:
            resource |= copy.deepcopy(_FOREIGN)
            for key in ("identifier", "telecom", "name"):
                if isinstance(resource.get(key), list):
                    resource[key] = [*resource[key], copy.deepcopy(_MORE[key])]
    before = copy.deepcopy(parts)
    chosen = data.draw(st.sets(st.sampled_from(sorted(new)))) if new else set()
    written = mapping.to_fhir({key: new[key] for key in chosen}, parts)
    assert parts == before
    for part, resource in written.items():
        if resource is None or part not in parts or mapping.parts[part].shared is not None:
            continue
        for key, value in _FOREIGN.items():
            assert resource[key] == value
        for key, value in _MORE.items():
            if isinstance(before[part][0].get(key), list) and value in before[part][0][key]:
                assert value in resource[key]
    after = mapping.to_legacy({**parts, **{name: [r] if r else [] for name, r in written.items()}})
    for key, value in mapping.to_legacy(parts).items():
        if key not in chosen:
            assert after[key] == value


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
@given(data=st.data())
def test_what_is_read_can_be_written_back(name: str, data: st.DataObject) -> None:
    """A document that is sent back as it was read changes nothing."""
    mapping = DOCUMENTS[name]
    parts = _parts(mapping.to_fhir(data.draw(_document(mapping)), {}))
    assert mapping.to_fhir(mapping.to_legacy(parts), parts) == {}


_FOREIGN: dict[str, Any] = {
    "extension": [{"url": "http://example.org/x", "valueString": "kept"}],
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">kept</div>'},
    "implicitRules": "http://example.org/rules",
    "contained": [{"resourceType": "Basic", "id": "patient", "code": {"text": "kept"}}],
}
_MORE: dict[str, Any] = {
    "identifier": {"system": "http://example.org/mrn", "value": "7"},
    "telecom": {"system": "fax", "value": "+20 9"},
    "name": {"use": "maiden", "family": "Kept"},
}


def _kept(mapping: DocumentMapping) -> dict[str, Any]:
    """What is kept with the account, so that a document is whole."""
    kept = {"password": "violet-marmot-47-lantern", "salary": 1}
    return {name: value for name, value in kept.items() if name in mapping.fields}


def _with_references(resource: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(resource).replace(PLACEHOLDER, "Basic/")
    return {**json.loads(text), "id": "x"}


def test_a_laboratory_prevails() -> None:
    """What others determined is not overwritten by what somebody says of themselves."""
    lab = {"resourceType": "Observation", "valueCodeableConcept": {"coding": [_CODES["blood_group"]["O"]]}}
    mapping = DOCUMENTS["patient"]
    assert mapping.to_legacy({"blood_group": [lab]})["bloodType"] == "O"
    assert mapping.to_fhir({"bloodType": "O"}, {"blood_group": [lab]}) == {}
    with pytest.raises(Conflict):
        mapping.to_fhir({"bloodType": "A"}, {"blood_group": [lab]})


def test_a_record_always_has_a_date() -> None:
    """The frontend reads through it: when it was made, else issued, else stored."""
    mapping = DOCUMENTS["medicalRecord"]
    report: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "meta": {"lastUpdated": "2026-11-27T10:00:00.000Z"},
        "subject": {"reference": "Patient/p"},
    }
    assert mapping.to_legacy({"report": [report]})["date"] == "2026-11-27T10:00:00.000Z"
    report["issued"] = "2026-11-26T10:00:00Z"
    assert mapping.to_legacy({"report": [report]})["date"] == "2026-11-26T10:00:00.000Z"
    report["effectiveDateTime"] = "2026-11-25"
    assert mapping.to_legacy({"report": [report]})["date"].startswith("2026-11-25T")


def test_allergies_of_others_stay() -> None:
    """All are shown; writing changes the patient's own statement."""
    other = {"resourceType": "AllergyIntolerance", "id": "o", "code": {"text": "latex"}}
    mapping = DOCUMENTS["patient"]
    own = mapping.to_fhir({"allergy": "nuts"}, {"allergy": [other]})["allergy"]
    assert own is not None
    assert "id" not in own
    assert mapping.to_legacy({"allergy": [other, own]})["allergy"] == "nuts, latex"
    assert mapping.to_fhir({"allergy": None}, {"allergy": [own]}) == {"allergy": None}
    assert mapping.to_fhir({"allergy": ""}, {"allergy": [other]}) == {}


def test_a_hospital_adds_a_field() -> None:
    """A field of one's own needs an entry in TOML and no code."""
    content = tomllib.loads((_FOLDER / "patient.toml").read_text())
    content["field"].append(
        {"name": "nationality", "part": "patient", "path": "extension[url=http://example.org/nationality].valueString"}
    )
    mapping = compiled_document("api-v1/patient", content, _CODES)
    document = checked(mapping, {"nationality": "Egypt"}, creating=False)
    written = mapping.to_fhir(document, {"patient": [{"resourceType": "Patient", "id": "p", "active": True}]})
    extension = {"url": "http://example.org/nationality", "valueString": "Egypt"}
    assert written == {"patient": {"resourceType": "Patient", "id": "p", "active": True, "extension": [extension]}}
    assert mapping.to_legacy(_parts(written))["nationality"] == "Egypt"
    assert mapping.to_fhir({"nationality": None}, _parts(written))["patient"] == {
        "resourceType": "Patient",
        "id": "p",
        "active": True,
    }


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"fields": []}, "fields"),
        ({"document": {}}, "document.main"),
        ({"document": {"main": "nobody"}}, "document.main"),
        ({"document": {"main": "patient", "x": 1}}, "document.x"),
        ({"field": []}, "field"),
        ({"parts": {"patient": {}}}, "parts.patient.type"),
        ({"parts": {"patient": {"type": "Patient", "x": 1}}}, "parts.patient.x"),
        ({"parts": {"patient": {"type": "Patient", "source": ["x", "y"]}}}, "parts.patient.source"),
        ({"parts": {"patient": {"type": "Patient", "own": "x"}}}, "parts.patient.own"),
        ({"parts": {"patient": {"type": "Patient", "copies": {"a": "x.y"}}}}, "parts.patient.copies.a"),
        ({"field": [{"part": "patient", "path": "active"}]}, "field[0].name"),
        ({"field": [{"name": "a.b.c", "part": "patient", "path": "active"}]}, "field[0].name"),
        ({"field": [{"name": "a", "part": "x", "path": "active"}]}, "field[0].part"),
        ({"field": [{"name": "a", "part": "patient", "path": "name[1]"}]}, "field[0].path"),
        ({"field": [{"name": "a", "part": "patient", "path": "a..b"}]}, "field[0].path"),
        ({"field": [{"name": "a", "part": "patient"}]}, "field[0].path"),
        ({"field": [{"name": "a", "part": "patient", "path": "a", "transform": "eval"}]}, "field[0].transform"),
        ({"field": [{"name": "a", "part": "patient", "path": "a", "codes": "none"}]}, "field[0].codes"),
        ({"field": [{"name": "a", "part": "patient", "path": "a", "type": "x"}]}, "field[0].type"),
        ({"field": [{"name": "a", "part": "patient", "path": "a", "longest": "x"}]}, "field[0].longest"),
        ({"field": [{"name": "a", "part": "patient", "path": "a", "fallback": "x"}]}, "field[0].fallback"),
        ({"field": [{"name": "a", "part": "patient", "path": "a", "fallback": ["x", "date"]}]}, "field[0].fallback"),
        ({"field": [{"name": "a", "part": "patient", "path": "a", "fallback": [["x", "y"]]}]}, "field[0].fallback"),
        ({"field": [{"name": "a", "part": "patient", "path": "a", "search": {"x": 1}}]}, "field[0].search.x"),
        ({"field": [{"name": "a", "part": "patient", "path": "a", "search": {"part": "x"}}]}, "field[0].search"),
        ({"field": [{"name": "a", "part": "patient", "path": "a", "colour": "x"}]}, "field[0].colour"),
        ({"field": [{"name": "a", "part": "patient", "path": "a"}] * 2}, "field[1].name"),
        ({"field": ["a"]}, "field[0]"),
    ],
)
def test_a_mistake_is_named(change: dict[str, Any], place: str) -> None:
    """File, table and key stand in the message."""
    content = {
        "document": {"main": "patient"},
        "parts": {"patient": {"type": "Patient"}},
        "field": [{"name": "a", "part": "patient", "path": "active"}],
        **change,
    }
    with pytest.raises(ConfigurationError) as caught:
        compiled_document("api-v1/x", content, {})
    assert str(caught.value).startswith("mappings/api-v1/x.toml")
    assert place in str(caught.value)


@pytest.mark.parametrize(
    ("part", "path", "place"),
    [
        ("patient", "nmae[0]", "field name: path"),
        ("patient", "name", "field name: path"),
        ("patient", "name[0].family[0]", "field name: path"),
        ("patient", "name[0].family.text", "field name: path"),
        ("allergy", "name[0]", "field name: path"),
    ],
)
def test_an_element_must_be_there(part: str, path: str, place: str) -> None:
    """A field that stands where R4 has no element, or no array, stops the start: what it wrote would be no FHIR."""
    mappings = copy.deepcopy(_LOADED.mappings)
    mappings["api-v1/patient"]["field"][0] = {"name": "name", "part": part, "path": path}
    with pytest.raises(ConfigurationError, match=r"mappings/api-v1/patient\.toml: ") as caught:
        compiled_mappings(replace(_LOADED, mappings=mappings))
    assert place in str(caught.value)


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ("male", "Male: "),
        ({}, "Male: "),
        ({"cdoe": "male", "system": "x"}, "Male.cdoe: "),
        ({"code": 1}, "Male.code: "),
        ({"code": ""}, "Male.code: "),
        ({"system": "x"}, "Male.code: "),
        ({"code": "male", "also": {}}, "Male.also: "),
        ({"code": "male", "also": [{"code": 1}]}, "Male.also[0].code: "),
        ({"code": "male", "also": ["x"]}, "Male.also[0]: "),
    ],
)
def test_a_row_of_codes_has_its_form(row: object, place: str) -> None:
    """A mistake in a table of codes stops the start, by file and key."""
    mappings = copy.deepcopy(_LOADED.mappings)
    mappings["codes/legacy_gender"]["Male"] = row
    with pytest.raises(ConfigurationError) as caught:
        compiled_mappings(replace(_LOADED, mappings=mappings))
    assert str(caught.value).startswith(f"mappings/codes/legacy_gender.toml: {place}")


def test_a_part_is_a_resource() -> None:
    """A type that R4 does not have stops the start."""
    mappings = copy.deepcopy(_LOADED.mappings)
    mappings["api-v1/patient"]["parts"]["patient"]["type"] = "Pateint"
    with pytest.raises(ConfigurationError, match=r"mappings/api-v1/patient\.toml: parts\.patient\.type"):
        compiled_mappings(replace(_LOADED, mappings=mappings))


def test_a_search_parameter_must_be_there() -> None:
    """A field that is to be searched by what R4 and the site do not index stops the start."""
    mappings = copy.deepcopy(_LOADED.mappings)
    mappings["api-v1/patient"]["field"][0]["search"] = "nothing"
    with pytest.raises(ConfigurationError, match=r"mappings/api-v1/patient\.toml: field name: search"):
        compiled_mappings(replace(_LOADED, mappings=mappings))
