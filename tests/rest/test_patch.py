"""PATCH by JSON Patch: part of a resource changes, judged like any other update."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from .clients import issues, observation, patient, post
from .conftest import PatientClient

PATCH = {"Content-Type": "application/json-patch+json"}


async def _patch(client: httpx.AsyncClient, path: str, *rows: dict[str, Any], **headers: str) -> httpx.Response:
    return await client.patch(path, content=json.dumps(rows), headers={**PATCH, **headers})


async def test_a_part_changes(doctor: httpx.AsyncClient, staff: httpx.AsyncClient) -> None:
    """The next version, with every digit of what was not named; no change makes no version."""
    id = (await post(staff, patient()))["id"]
    made = await post(doctor, observation(id, "1.500"))
    path = f"/Observation/{made['id']}"
    answer = await _patch(doctor, path, {"op": "replace", "path": "/status", "value": "amended"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == 'W/"2"'
    assert answer.json()["status"] == "amended"
    assert '"value":1.500' in answer.text
    again = await _patch(doctor, path, {"op": "test", "path": "/status", "value": "amended"})
    assert (again.status_code, again.headers["etag"]) == (200, 'W/"2"')
    found = (await doctor.get("/Observation?status=amended&_id=" + made["id"])).json()
    assert found["total"] == 1
    history = (await doctor.get(f"{path}/_history")).json()
    assert len(history["entry"]) == 2


async def test_versions_count(staff: httpx.AsyncClient) -> None:
    """If-Match is held to; of fifty patches at once all take effect, each on the one before."""
    made = await post(staff, patient())
    path = f"/Patient/{made['id']}"
    row = {"op": "add", "path": "/language", "value": "en"}
    assert (await _patch(staff, path, row, **{"If-Match": 'W/"2"'})).status_code == 412
    assert (await _patch(staff, path, row, **{"If-Match": 'W/"1"'})).status_code == 200
    rows = ({"op": "add", "path": "/name/0/given", "value": []}, {"op": "add", "path": "/name/0/given/-", "value": "x"})
    assert (await _patch(staff, path, *rows)).status_code == 200
    given = {"op": "add", "path": "/name/0/given/-", "value": "y"}
    answers = await asyncio.gather(*(_patch(staff, path, given) for _ in range(5)))
    done = sum(answer.status_code == 200 for answer in answers)
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len((await staff.get(path)).json()["name"][0]["given"]) == 1 + done


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([{"op": "test", "path": "/gender", "value": "canary"}], 422),
        ([{"op": "remove", "path": "/nothing"}], 422),
        ([{"op": "replace", "path": "/id", "value": "canary"}], 422),
        ([{"op": "replace", "path": "/gender", "value": "canary"}], 400),
        ([{"op": "add", "path": "/colour", "value": "canary"}], 400),
        ([{"op": "add", "path": "/$where", "value": "canary"}], 400),
        ([{"op": "canary", "path": "/gender"}], 400),
    ],
)
async def test_what_does_not_fit(staff: httpx.AsyncClient, rows: list[dict[str, Any]], status: int) -> None:
    """Nothing has changed, the place is named, and no value is shown."""
    made = await post(staff, patient())
    answer = await _patch(staff, f"/Patient/{made['id']}", {"op": "add", "path": "/language", "value": "en"}, *rows)
    assert answer.status_code == status, answer.text
    assert issues(answer)
    assert "canary" not in answer.text
    assert (await staff.get(f"/Patient/{made['id']}")).json() == made


@pytest.mark.parametrize(
    ("media", "body", "status"),
    [
        ("application/fhir+json", b"[]", 415),
        ("application/json", b"[]", 415),
        ("application/xml-patch+xml", b"<diff/>", 415),
        (None, b"[]", 415),
        ("application/json-patch+json", b"{}", 400),
        ("application/json-patch+json", b"", 400),
        ("application/json-patch+json", b'[],"x":[]', 400),
        ("application/json-patch+json", b'[],"patch":[]', 400),
        ("application/json-patch+json", b'[{"op":"test","op":"add","path":"/x","value":1}]', 400),
        ("application/json-patch+json", b'[{"op":"add","path":"/x","value":NaN}]', 400),
        ("application/json-patch+json; charset=utf-8", b"[]", 200),
    ],
)
async def test_other_bodies(staff: httpx.AsyncClient, media: str | None, body: bytes, status: int) -> None:
    """Only a JSON Patch, and one array."""
    made = await post(staff, patient())
    headers = {} if media is None else {"Content-Type": media}
    assert (await staff.patch(f"/Patient/{made['id']}", content=body, headers=headers)).status_code == status


async def test_what_others_may_not_touch(
    one: PatientClient, other: PatientClient, doctor: httpx.AsyncClient, staff: httpx.AsyncClient
) -> None:
    """404 for what is out of sight, whether a test would hold or not; no record moves to another patient."""
    for value in ("female", "male"):
        test = {"op": "test", "path": "/gender", "value": value}
        foreign = await _patch(one.http, f"/Patient/{other.id}", test)
        assert foreign.status_code in {403, 404}
        assert foreign.json() == (await _patch(one.http, "/Patient/nobody", test)).json()
    move = {"op": "replace", "path": "/identifier", "value": [{"value": "1"}]}
    assert (await _patch(one.http, f"/Patient/{one.id}", move)).status_code in {403, 422}
    made = await post(doctor, observation(one.id))
    row = {"op": "replace", "path": "/subject/reference", "value": f"Patient/{one.id}"}
    assert (await _patch(one.http, f"/Observation/{made['id']}", row)).status_code == 403
    assert (await _patch(staff, f"/Observation/{made['id']}", row)).status_code == 403
    assert (await _patch(staff, "/AuditEvent/x", row)).status_code == 405
    assert (await _patch(doctor, "/Observation/nobody", row)).status_code == 404


async def test_it_is_audited(staff: httpx.AsyncClient) -> None:
    """As an update, by its own name."""
    made = await post(staff, patient())
    await _patch(staff, f"/Patient/{made['id']}", {"op": "add", "path": "/language", "value": "en"})
    bundle = (await staff.get(f"/AuditEvent?entity=Patient/{made['id']}&subtype=patch")).json()
    (event,) = (row["resource"] for row in bundle["entry"])
    assert (event["action"], event["outcome"]) == ("U", "0")
