"""Limits on the date of a stay or of a finding, beside the other parameters that a client sends with them."""

from __future__ import annotations

import httpx
import pytest

from .clients import ids, patient, post


@pytest.fixture
async def stay(staff: httpx.AsyncClient, doctor: httpx.AsyncClient, unique: str) -> dict[str, str]:
    """A finished encounter of twelve days, and a finding of some time in the month in which it began."""
    subject = {"reference": f"Patient/{(await post(staff, patient(f'Eve{unique}')))['id']}"}
    encounter = {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"code": "IMP"},
        "type": [{"coding": [{"system": "urn:test", "code": unique}]}],
        "subject": subject,
        "period": {"start": "2020-01-10T08:00:00Z", "end": "2020-01-20T12:00:00Z"},
    }
    finding = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "urn:test", "code": unique}]},
        "subject": subject,
        "effectiveDateTime": "2020-01",
        "valueQuantity": {"value": 9, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }
    return {
        "patient": subject["reference"].removeprefix("Patient/"),
        "code": unique,
        "Encounter": (await post(doctor, encounter))["id"],
        "Observation": (await post(doctor, finding))["id"],
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Encounter?patient={patient}&date=ge2020-01-15&date=le2020-02-01", True),
        ("Encounter?patient={patient}&date=ge2020-01-15&date=le2020-02-01&_sort=_id", True),
        ("Encounter?patient={patient}&date=ge2020-01-21&date=le2020-02-01", False),
        ("Encounter?patient={patient}&status=finished&date=ge2020-01-15&date=le2020-02-01", True),
        ("Encounter?type={code}&status:not=planned&date=ge2020-01-15", True),
        ("Encounter?status:not=finished&date=ge2020-01-15&date=le2020-01-25", False),
        ("Encounter?patient:missing=true&date=ge2020-01-15&date=le2020-01-25", False),
        ("Encounter?patient.family=Eve{code}&date=ge2020-01-15&date=le2020-01-25", True),
        ("Observation?code-value-quantity={code}$9&date=ge2020-01-15", True),
        ("Observation?code-value-quantity={code}$9&date=ge2020-01-15&date=le2020-03", True),
        ("Observation?patient={patient}&code={code}&date=ge2020-01-15&date=lt2020-03", True),
        ("Observation?patient={patient}&date=ge2020-01-15&value-quantity=9||kg", True),
        ("Observation?patient={patient}&date=ge2020-01-15&value-quantity=8||kg", False),
        ("Observation?code:not={code}&date=ge2020-01-15&date=lt2020-02-01", False),
    ],
)
async def test_a_limit_beside_others(doctor: httpx.AsyncClient, stay: dict[str, str], query: str, found: bool) -> None:
    """What only reaches into the time asked for is found, in the total too; what is excluded stays out."""
    answer = await doctor.get(f"/{query.format(**stay)}&_count=1000&_total=accurate")
    assert answer.status_code == 200, answer.text
    assert (stay[query.partition("?")[0]] in ids(answer.json())) is found
    assert answer.json()["total"] == len(ids(answer.json()))
    counted = await doctor.get(f"/{query.format(**stay)}&_summary=count")
    assert counted.json()["total"] == answer.json()["total"]
