"""$statistics and $arrivals over HTTP: for the staff, within bounds."""

from __future__ import annotations

import httpx

from .conftest import PatientClient


async def test_figures_are_for_the_staff(
    staff: httpx.AsyncClient, doctor: httpx.AsyncClient, partner: httpx.AsyncClient, one: PatientClient
) -> None:
    """Staff get Parameters; others are refused; numbers have bounds."""
    for path in ("/$statistics", "/$arrivals"):
        answer = await staff.get(path)
        assert (answer.status_code, answer.json()["resourceType"]) == (200, "Parameters"), answer.text
        for client in (doctor, partner, one.http):
            assert (await client.get(path)).status_code == 403
    for query in ("$statistics?days=0", "$statistics?days=367", "$statistics?days=x", "$statistics?weeks=1"):
        assert (await staff.get(f"/{query}")).status_code == 400, query
    for query in ("$arrivals?_count=0", "$arrivals?_count=101", "$arrivals?_count=-1", "$arrivals?_count=99999"):
        assert (await staff.get(f"/{query}")).status_code == 400, query


async def test_a_share_is_counted_on_its_day(staff: httpx.AsyncClient, one: PatientClient, unique: str) -> None:
    """One more share waits than before; what the disk has is told."""

    async def waiting() -> int:
        parameters = (await staff.get("/$statistics?days=2")).json()["parameter"]
        rows = [{p["name"]: p for p in row["part"]} for row in parameters if row["name"] == "transfers"]
        return sum(row["count"]["valueInteger"] for row in rows if row["kind"]["valueCode"] == "waiting")

    before = await waiting()
    body = {"resourceType": "Parameters", "parameter": [{"name": "name", "valueString": f"Counted {unique}"}]}
    id = (await staff.post("/Organization/$partners", json=body)).json()["id"]
    job = (await one.http.post(f"/Patient/{one.id}/$share?with={id}")).json()["id"]
    assert await waiting() == before + 1
    await staff.post(f"/$outbox?id={job}&order=cancel")
    told = {row["name"]: row.get("valueDecimal") for row in (await staff.get("/$statistics")).json()["parameter"]}
    assert told["disk-total"] >= told["disk-free"] > 0
    assert {"instances", "bytes-arrived", "since"} <= told.keys()
