"""$outbox over HTTP: the staff see what is on its way, try it again, and give it up."""

from __future__ import annotations

from typing import Any

import httpx

from .conftest import PatientClient


async def _share(staff: httpx.AsyncClient, one: PatientClient, name: str) -> str:
    """A share that no worker is there to deliver; its job."""
    body = {"resourceType": "Parameters", "parameter": [{"name": "name", "valueString": name}]}
    partner = (await staff.post("/Organization/$partners", json=body)).json()["id"]
    answer = await one.http.post(f"/Patient/{one.id}/$share?with={partner}")
    assert answer.status_code == 202, answer.text
    job: str = answer.json()["id"]
    return job


async def _found(staff: httpx.AsyncClient, job: str, state: str = "any") -> dict[str, Any] | None:
    bundle = (await staff.get("/$outbox", params={"state": state})).raise_for_status().json()
    return next((entry["resource"] for entry in bundle["entry"] if entry["resource"]["id"] == job), None)


async def test_staff_see_give_up_and_try_again(staff: httpx.AsyncClient, one: PatientClient, unique: str) -> None:
    """A waiting share is listed with patient, partner, attempts and next try; cancelled, it waits no more."""
    job = await _share(staff, one, f"Far {unique}")
    found = await _found(staff, job, "waiting")
    assert found is not None
    assert (found["for"]["reference"], found["status"]) == (f"Patient/{one.id}", "requested")
    assert found["input"][0]["valueInteger"] == 0
    assert found["restriction"]["period"]["start"]
    cancelled = await staff.post(f"/$outbox?id={job}&order=cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert await _found(staff, job, "waiting") is None
    assert (await staff.post(f"/$outbox?id={job}&order=cancel")).status_code == 409
    again = await staff.post(f"/$outbox?id={job}&order=retry")
    assert (again.status_code, again.json()["businessStatus"]["text"]) == (200, "waiting")
    assert (await staff.post(f"/$outbox?id={job}&order=cancel")).status_code == 200


async def test_what_was_asked_for_anew_is_not_doubled(
    staff: httpx.AsyncClient, one: PatientClient, unique: str
) -> None:
    """A cancelled share whose patient has shared again meanwhile stays cancelled."""
    job = await _share(staff, one, f"Anew {unique}")
    found = await _found(staff, job)
    assert found is not None
    await staff.post(f"/$outbox?id={job}&order=cancel")
    partner = found["owner"]["reference"].removeprefix("Organization/")
    later = (await one.http.post(f"/Patient/{one.id}/$share?with={partner}")).json()["id"]
    assert later != job
    assert (await staff.post(f"/$outbox?id={job}&order=retry")).status_code == 409
    assert (await staff.post(f"/$outbox?id={later}&order=cancel")).status_code == 200


async def test_pages_follow_one_another(staff: httpx.AsyncClient, one: PatientClient, unique: str) -> None:
    """By the link of each page, newest first."""
    jobs = [await _share(staff, one, f"Page {number} {unique}") for number in range(3)]
    seen: list[str] = []
    url = "/$outbox?_count=1"
    for _ in jobs:
        page = (await staff.get(url)).json()
        seen += [entry["resource"]["id"] for entry in page["entry"]]
        url = page["link"][0]["url"]
    assert seen == jobs[::-1]
    for job in jobs:
        await staff.post(f"/$outbox?id={job}&order=cancel")


async def test_the_outbox_is_for_the_staff(
    staff: httpx.AsyncClient, doctor: httpx.AsyncClient, partner: httpx.AsyncClient, one: PatientClient
) -> None:
    """Others are refused; so is what makes no sense."""
    for client in (doctor, partner, one.http):
        assert (await client.get("/$outbox")).status_code == 403
        assert (await client.post("/$outbox?id=x&order=retry")).status_code == 403
    for query, status in (("state=nonsense", 400), ("_count=0", 400), ("before=x", 400), ("before=2026-01-01", 400)):
        assert (await staff.get(f"/$outbox?{query}")).status_code == status, query
    for query, status in (("id=x&order=retry", 404), ("id=x&order=burn", 400), ("id=x", 400), ("order=retry", 400)):
        assert (await staff.post(f"/$outbox?{query}")).status_code == status, query
