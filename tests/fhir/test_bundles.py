"""Bundles that are answers."""

from __future__ import annotations

from hayat_fhir.fhir.bundles import searchset


def test_searchset() -> None:
    """Matches and included resources are told apart; an empty searchset has no empty array."""
    shown = searchset(
        "http://site.example/fhir", [("Patient/1", {"id": "1"})], [("Patient/2", {"id": "2"})], total=None
    )
    assert [(e["fullUrl"], e["search"]["mode"]) for e in shown["entry"]] == [
        ("http://site.example/fhir/Patient/1", "match"),
        ("http://site.example/fhir/Patient/2", "include"),
    ]
    assert "total" not in shown
    assert "entry" not in searchset("http://site.example/fhir", [], [], total=0)
