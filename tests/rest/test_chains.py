"""Chained and reverse chained search: what refers and is referred to, and that no hop leaves the compartment."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .clients import ids, issues, link, observation, patient, post
from .conftest import PatientClient


def _lab(patient_id: str, code: str, **elements: Any) -> dict[str, Any]:
    """An Observation with a code of the test's own."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "urn:test", "code": code}]},
        "subject": {"reference": f"Patient/{patient_id}"},
        "effectiveDateTime": "2026-11-20",
        **elements,
    }


async def _found(client: httpx.AsyncClient, query: str) -> set[str]:
    answer = await client.get(f"/{query}")
    assert answer.status_code == 200, answer.text
    return set(ids(answer.json()))


async def test_chains(staff: httpx.AsyncClient, doctor: httpx.AsyncClient, unique: str) -> None:
    """By what a reference leads to, over one reference and over several, with modifiers, prefixes, AND and OR."""
    organization = await post(staff, {"resourceType": "Organization", "name": f"Org {unique}"})
    managed = {"managingOrganization": {"reference": f"Organization/{organization['id']}"}}
    eve = await post(staff, patient(f"Eve{unique}", birthDate="1950-01-01", **managed))
    ann = await post(staff, patient(f"Ann{unique}", birthDate="1980-01-01"))
    of_eve = (await post(doctor, _lab(eve["id"], unique)))["id"]
    of_ann = (await post(doctor, _lab(ann["id"], unique)))["id"]
    value = eve["identifier"][0]["value"]
    for query, expected in {
        f"subject:Patient.name=Eve{unique}": {of_eve},
        f"subject.name=eve{unique}": {of_eve},
        f"patient.family:exact=Eve{unique}": {of_eve},
        f"patient.identifier={value}": {of_eve},
        f"patient.name=Eve{unique},Ann{unique}": {of_eve, of_ann},
        f"patient.birthdate=lt1960-01-01&code={unique}": {of_eve},
        f"patient.birthdate=ge1960-01-01&code={unique}": {of_ann},
        f"patient.organization.name=Org+{unique}": {of_eve},
        f"patient._id={ann['id']}&code={unique}": {of_ann},
        f"patient.name=Eve{unique}&patient.name=Ann{unique}": set(),
        f"patient.name=Nobody{unique}": set(),
    }.items():
        assert await _found(doctor, f"Observation?{query}") == expected, query
    counted = (await doctor.get(f"/Observation?patient.name=Eve{unique},Ann{unique}&_summary=count")).json()
    assert counted["total"] == 2
    first = (await doctor.get(f"/Observation?patient.name=Eve{unique},Ann{unique}&_count=1&_total=accurate")).json()
    assert first["total"] == 2
    second = (await doctor.get(link(first, "next") or "")).json()
    assert {*ids(first), *ids(second)} == {of_eve, of_ann}
    form = {"patient.name": f"Eve{unique}"}
    assert ids((await doctor.post("/Observation/_search", data=form)).json()) == [of_eve]


async def test_reverse_chains(staff: httpx.AsyncClient, doctor: httpx.AsyncClient, unique: str) -> None:
    """By what refers to a resource, over one reference and over several."""
    eve = (await post(staff, patient()))["id"]
    ann = (await post(staff, patient()))["id"]
    encounter = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}
    visit = (await post(doctor, {**encounter, "subject": {"reference": f"Patient/{ann}"}}))["id"]
    quantity = {"value": 5, "system": "http://unitsofmeasure.org", "code": "kg"}
    await post(doctor, _lab(eve, f"a{unique}", valueQuantity=quantity))
    await post(doctor, _lab(ann, f"b{unique}", encounter={"reference": f"Encounter/{visit}"}))
    for query, expected in {
        f"Patient?_has:Observation:patient:code=a{unique}": {eve},
        f"Patient?_has:Observation:subject:code=urn:test|a{unique},urn:test|b{unique}": {eve, ann},
        f"Patient?_has:Observation:patient:code=a{unique}&_has:Observation:patient:value-quantity=gt4": {eve},
        f"Patient?_has:Observation:patient:code=a{unique}&_has:Observation:patient:code=b{unique}": set(),
        f"Patient?_has:Observation:patient:code-value-quantity=a{unique}$5": {eve},
        f"Patient?_has:Observation:patient:code-value-quantity=b{unique}$5": set(),
        f"Observation?patient={ann}&code-value-quantity=a{unique}$5": set(),
        f"Patient?_has:Encounter:patient:_has:Observation:encounter:code=b{unique}": {ann},
        f"Encounter?_has:Observation:encounter:code=b{unique}": {visit},
        f"Observation?patient._has:Encounter:patient:_id={visit}&code=b{unique}": None,
        f"Patient?_has:Observation:patient:code=c{unique}": set(),
    }.items():
        found = await _found(doctor, query)
        assert found == expected or (expected is None and len(found) == 1), query


async def test_no_hop_leaves_the_compartment(
    one: PatientClient, other: PatientClient, doctor: httpx.AsyncClient, partner: httpx.AsyncClient, unique: str
) -> None:
    """Whatever another patient's record holds, the answer is the same: nothing can be found out bit by bit."""
    quantity = {"value": 7, "system": "http://unitsofmeasure.org", "code": "kg"}
    foreign = await post(doctor, _lab(other.id, unique, valueQuantity=quantity))
    report = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": {"text": "report"},
        "subject": {"reference": f"Patient/{one.id}"},
        "result": [{"reference": f"Observation/{foreign['id']}"}],
    }
    own = (await post(doctor, report))["id"]
    pointing = await post(doctor, _lab(other.id, unique, focus=[{"reference": f"Patient/{one.id}"}]))
    assert own in await _found(doctor, "DiagnosticReport?result.value-quantity=7&_count=1000")
    for query in (
        f"DiagnosticReport?result.code={unique}",
        "DiagnosticReport?result.value-quantity=gt3",
        "DiagnosticReport?result.value-quantity=lt3",
        f"DiagnosticReport?result.subject:Patient._id={other.id}",
        f"Patient?_has:Observation:patient:code={unique}",
        f"Patient?_has:Observation:focus:code={unique}",
        f"Patient?_has:Observation:focus:_id={pointing['id']}",
        "Patient?_has:Observation:patient:value-quantity=gt6.99",
        f"Observation?subject:Patient._id={other.id}",
        f"Patient?_has:DiagnosticReport:patient:result.code={unique}",
    ):
        for caller in (one.http, partner):
            answer = (await caller.get(f"/{query}&_total=accurate")).json()
            assert answer["total"] == 0, query
            assert "entry" not in answer, query


async def test_a_hop_needs_its_type(staff: httpx.AsyncClient, unique: str) -> None:
    """Staff see no records, and find nobody by them: 403, whether there are any or not."""
    for code in (unique, "29463-7"):
        answer = await staff.get(f"/Patient?_has:Observation:patient:code={code}")
        assert answer.status_code == 403
        assert "29463" not in answer.text
    assert (await staff.get("/PractitionerRole?practitioner.name=x")).status_code == 200


async def test_restricted_records_take_no_part(
    staff: httpx.AsyncClient, doctor: httpx.AsyncClient, unique: str
) -> None:
    """A record that is labelled restricted is not behind any hop either."""
    id = (await post(staff, patient()))["id"]
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    await post(doctor, _lab(id, unique, meta={"security": [label]}))
    assert await _found(doctor, f"Patient?_has:Observation:patient:code={unique}") == set()


@pytest.mark.parametrize("query", ["Observation?patient.name[$ne]=x", "Observation?$where.name=x", "Patient?_has:x=1"])
async def test_other_chains_are_refused(doctor: httpx.AsyncClient, query: str) -> None:
    """400, with the parameter's place."""
    answer = await doctor.get(f"/{query}")
    assert answer.status_code == 400
    assert issues(answer)[0]["expression"][0].startswith("parameter: ")


async def test_no_chain_in_a_condition(staff: httpx.AsyncClient) -> None:
    """A conditional create is safe by a claim on its criteria: they do not reach other resources."""
    answer = await staff.post("/Patient", json=patient(), headers={"If-None-Exist": "organization.name=x"})
    assert answer.status_code == 400


async def test_both_ways_agree(staff: httpx.AsyncClient, doctor: httpx.AsyncClient) -> None:
    """A patient is found by their Observation, and the Observation by its patient."""
    made = await post(staff, patient())
    seen = await post(doctor, observation(made["id"]))
    assert await _found(doctor, f"Patient?_has:Observation:patient:_id={seen['id']}") == {made["id"]}
    value = made["identifier"][0]["value"]
    assert await _found(doctor, f"Observation?patient.identifier={value}") == {seen["id"]}
