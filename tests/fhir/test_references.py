"""References and their rewriting."""

from __future__ import annotations

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
