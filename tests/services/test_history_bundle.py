"""A patient's history on its way to a partner, and what the partner makes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hayat_fhir.app import Site
from hayat_fhir.errors import TooLarge
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.scopes import EVERYTHING
from hayat_fhir.services.history_bundle import HistoryBundle
from hayat_fhir.services.partner_details import PartnerDetails
from hayat_fhir.store.records import Stored

BASE = "https://a.example/fhir"
DOCTOR = Caller(Role.DOCTOR, "d", "Practitioner/d", scopes=EVERYTHING["doctor"])


def stored(type: str, id: str, **content: Any) -> Stored:
    """A resource as the sender keeps it."""
    meta = {"versionId": "3", "lastUpdated": "2026-11-23T10:00:00.000Z"}
    return Stored(type, id, 3, datetime.now(UTC), {"resourceType": type, "id": id, "meta": meta, **content})


HISTORY = [
    stored(
        "Observation",
        "o1",
        status="final",
        code={"text": "x"},
        subject={"reference": "Patient/p1"},
        performer=[{"reference": "Practitioner/d1"}],
        encounter={"reference": "Encounter/gone"},
        hasMember=[{"reference": "Observation/o2/_history/1"}],
    ),
    stored("Observation", "o2", status="final", code={"text": "y"}, subject={"reference": f"{BASE}/Patient/p1"}),
    stored("Patient", "p1", identifier=[{"system": "urn:n", "value": "1,2"}], name=[{"text": "n"}]),
    stored("Practitioner", "d1", identifier=[{"system": "urn:d", "value": "7"}]),
    stored("AuditEvent", "x"),
]


def test_the_bundle_is_the_same_every_time() -> None:
    """Sending twice sends the same: ids follow from sender and resource."""
    (first,) = HistoryBundle(BASE, HISTORY).bundles({})
    (again,) = HistoryBundle(BASE, list(reversed(HISTORY))).bundles({})
    assert first == again
    other = next(iter(HistoryBundle("https://c.example/fhir", HISTORY).bundles({})))
    assert other["entry"][-1]["request"] != first["entry"][-1]["request"]


def test_references_and_requests() -> None:
    """What the receiver may know is named by identifier, everything else by a derived id; references follow."""
    (bundle,) = HistoryBundle(BASE, HISTORY).bundles({})
    by_type = {entry["resource"]["resourceType"]: entry for entry in bundle["entry"]}
    observation = next(e["resource"] for e in bundle["entry"] if e["resource"].get("encounter"))

    assert by_type["Patient"]["request"]["method"] == "POST"
    assert "urn%3An%7C1%5C%2C2" in by_type["Patient"]["request"]["ifNoneExist"]
    assert {"system": f"{BASE}/Patient", "value": "p1"} in by_type["Patient"]["resource"]["identifier"]
    assert by_type["Observation"]["request"]["method"] == "PUT"
    assert observation["subject"]["reference"] == by_type["Patient"]["fullUrl"]
    assert observation["performer"][0]["reference"] == by_type["Practitioner"]["fullUrl"]
    assert observation["encounter"]["reference"] == f"{BASE}/Encounter/gone"
    assert observation["hasMember"][0]["reference"].startswith("Observation/")
    assert observation["meta"] == {"source": f"{BASE}/Observation/o1"}
    assert "AuditEvent" not in by_type


def test_a_long_history_goes_in_several_bundles() -> None:
    """What was sent before is named as the receiver answered."""
    many = [stored("Observation", f"o{n}", status="final", subject={"reference": "Patient/p1"}) for n in range(1500)]
    known: dict[str, str] = {}
    bundles = []
    for bundle in HistoryBundle(BASE, [*HISTORY[2:4], *many]).bundles(known):
        bundles.append(bundle)
        known[bundle["entry"][0]["fullUrl"]] = "Patient/there"
    assert [len(bundle["entry"]) for bundle in bundles] == [1000, 502]
    assert bundles[1]["entry"][0]["resource"]["subject"] == {"reference": "Patient/there"}


async def test_a_partner_links_to_the_sites_own_patient(site: Site) -> None:
    """Its identifiers are added, nothing else of the patient changes, a Provenance names it; twice changes nothing."""
    partner = await site.registration.partner(PartnerDetails(name="Hospital A", fhir_url=BASE))
    caller = Caller(
        Role.PARTNER,
        partner.id,
        f"Organization/{partner.id}",
        partner.name,
        EVERYTHING["partner"],
        source=partner.id,
        foreign=frozenset({site.settings.own_patient_id_system}),
    )
    own = {"resourceType": "Patient", "identifier": [{"system": "urn:n", "value": "1,2"}], "name": [{"text": "Own"}]}
    mine = (await site.interactions.create(Caller(Role.SITE, "test"), "Patient", own)).stored
    (bundle,) = HistoryBundle(BASE, HISTORY).bundles({})
    stolen = {"system": site.settings.own_patient_id_system, "value": "4711"}
    bundle["entry"][0]["resource"]["identifier"].append(stolen)

    first = await site.bundles.process(caller, bundle)
    counts = {type: await _count(site, type) for type in ("Patient", "Observation", "Practitioner", "Provenance")}
    again = await site.bundles.process(caller, bundle)

    assert counts == {"Patient": 1, "Observation": 2, "Practitioner": 1, "Provenance": 1}
    assert {type: await _count(site, type) for type in counts} == counts
    assert [e["response"]["location"] for e in first["entry"]] == [e["response"]["location"] for e in again["entry"]]
    linked = (await site.interactions.read(DOCTOR, "Patient", mine.id)).resource or {}
    assert linked["name"] == [{"text": "Own"}]
    assert [i["value"] for i in linked["identifier"]] == ["1,2", "p1"]
    everything = await site.everything.everything(DOCTOR, mine.id)
    kinds = sorted(found.type for found in everything.resources)
    assert kinds == ["Observation", "Observation", "Organization", "Patient", "Practitioner", "Provenance"]


async def _count(site: Site, type: str) -> int:
    result = await site.searching.search(DOCTOR, type, [("_summary", "count")])
    return result.total or 0


async def test_a_bundle_without_end_is_refused(site: Site) -> None:
    """More entries than a transaction can take are refused before anything is done."""
    entry = {"resource": {"resourceType": "Observation"}, "request": {"method": "POST", "url": "Observation"}}
    with pytest.raises(TooLarge):
        await site.bundles.process(DOCTOR, {"resourceType": "Bundle", "type": "transaction", "entry": [entry] * 5001})


def test_a_number_that_nobody_has_confirmed_names_nobody() -> None:
    """It travels with the patient, as a claim, and is none of the criteria."""
    claim = {"system": "urn:hayat:id-card:claimed", "value": "29001"}
    patient = stored("Patient", "p1", identifier=[{"system": "urn:n", "value": "1"}, claim])
    (bundle,) = HistoryBundle(BASE, [patient]).bundles({})
    (entry,) = bundle["entry"]
    assert claim in entry["resource"]["identifier"]
    assert "claimed" not in entry["request"]["ifNoneExist"]
    assert "29001" not in entry["request"]["ifNoneExist"]
