"""References and their rewriting."""

from __future__ import annotations

import pytest

from hayat_fhir.fhir.references import Reference, parse, references, rewrite


def test_parse() -> None:
    """Relative, absolute and versioned references are taken apart; anything else is none."""
    assert parse("Patient/1") == Reference("Patient", "1")
    assert parse("http://a.example/fhir/Patient/1/_history/2") == Reference(
        "Patient", "1", "2", "http://a.example/fhir"
    )
    assert parse("urn:uuid:0c3201bd-1cbf-4d64-b04d-cd9187a4c6e0") is None
    assert parse("#contained") is None
    assert parse("Patient?identifier=x") is None


def test_references_are_found_everywhere() -> None:
    """In lists, in contained resources, beside plain lists of strings."""
    resource = {
        "resourceType": "Observation",
        "contained": [{"resourceType": "Specimen", "subject": {"reference": "Patient/2"}}],
        "subject": {"reference": "Patient/1"},
        "meta": {"profile": ["http://profile.example"]},
    }
    assert {text for _, text in references(resource)} == {"Patient/1", "Patient/2"}


def test_rewrite() -> None:
    """References, urn:uuid URIs and links of the narrative follow the table; the original stays."""
    resource = {
        "subject": {"reference": "urn:uuid:1", "display": "urn:uuid:1"},
        "link": [{"url": "urn:uuid:1#part"}],
        "identifier": [{"value": "urn:uuid:1"}],
        "text": {"div": '<div><a href="urn:uuid:1">x</a></div>'},
    }
    assert rewrite(resource, {"urn:uuid:1": "Patient/1"}) == {
        "subject": {"reference": "Patient/1", "display": "urn:uuid:1"},
        "link": [{"url": "Patient/1#part"}],
        "identifier": [{"value": "urn:uuid:1"}],
        "text": {"div": '<div><a href="Patient/1">x</a></div>'},
    }
    assert resource["subject"] == {"reference": "urn:uuid:1", "display": "urn:uuid:1"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patient/1", "Patient/9"),
        ("Patient/1/_history/4", "Patient/9"),
        ("Patient/1#part", "Patient/9#part"),
        ("https://b.example/fhir/Patient/1/_history/4", "Patient/9"),
        ("https://b.example/fhir/Patient/1", "Patient/9"),
        ("Patient/2", "https://b.example/fhir/Patient/2"),
        ("Patient/2/_history/1", "https://b.example/fhir/Patient/2/_history/1"),
        ("https://c.example/fhir/Patient/1", "https://c.example/fhir/Patient/1"),
        ("#contained", "#contained"),
        ("urn:uuid:2", "urn:uuid:2"),
        ("Patient?identifier=1", "Patient?identifier=1"),
    ],
)
def test_rewrite_relative_to_another_server(text: str, expected: str) -> None:
    """What is relative is of the server of the entry's fullUrl; here it stays where that is this server."""
    table = {"https://b.example/fhir/Patient/1": "Patient/9"}
    found = rewrite({"subject": {"reference": text}}, table, "https://b.example/fhir", "https://a.example/fhir")
    assert found == {"subject": {"reference": expected}}
    for base in (None, "https://a.example/fhir"):
        ours = rewrite({"subject": {"reference": "Patient/1"}}, table, base, "https://a.example/fhir")
        assert ours == {"subject": {"reference": "Patient/1"}}


def test_rewrite_leaves_what_is_no_reference() -> None:
    """Systems, profiles and texts are none, whatever they look like."""
    resource = {
        "meta": {"profile": ["http://a.example/StructureDefinition/1"]},
        "identifier": [{"system": "Patient/1", "value": "Patient/1"}],
        "extension": [{"url": "http://a.example/StructureDefinition/x", "valueString": "Patient/1"}],
        "description": "Patient/1",
    }
    table = {"https://b.example/fhir/Patient/1": "Patient/9"}
    assert rewrite(resource, table, "https://b.example/fhir", "https://a.example/fhir") == resource
