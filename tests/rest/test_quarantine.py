"""$quarantine over HTTP: for the staff, as Tasks; conflicts themselves are tested with the service."""

from __future__ import annotations

import httpx

from .conftest import PatientClient


async def test_the_quarantine_is_for_the_staff(
    staff: httpx.AsyncClient, doctor: httpx.AsyncClient, one: PatientClient
) -> None:
    """Staff get a collection of Tasks; others are refused."""
    answer = await staff.get("/$quarantine")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["resourceType"], answer.json()["type"]) == ("Bundle", "collection")
    assert (await staff.get("/$quarantine?state=any&_count=5")).status_code == 200
    body = {"resourceType": "Parameters", "parameter": [{"name": "decision", "valueCode": "accept"}]}
    for client in (doctor, one.http):
        assert (await client.get("/$quarantine")).status_code == 403
        refused = await client.post("/$quarantine?decision=accept&reason=x&id=1")
        assert refused.status_code == 403
    assert (await staff.post("/$quarantine", json=body)).status_code == 400
    for query, status in (
        ("decision=accept&reason=x&id=nothing", 404),
        ("decision=accept&reason=x", 400),
        ("decision=accept&id=nothing", 400),
        ("decision=drop&reason=x&id=nothing", 400),
        ("decision=accept&reason=x&id=1&id=2", 400),
    ):
        assert (await staff.post(f"/$quarantine?{query}")).status_code == status, query
    for query, status in (("state=nonsense", 400), ("_count=x", 400), ("nonsense=1", 400), ("id=nothing", 404)):
        assert (await staff.get(f"/$quarantine?{query}")).status_code == status, query


async def test_the_statement_promises_it(staff: httpx.AsyncClient) -> None:
    """The CapabilityStatement lists it among the operations on the system."""
    rest = (await staff.get("/metadata")).json()["rest"][0]
    assert "quarantine" in [one["name"] for one in rest["operation"]]
