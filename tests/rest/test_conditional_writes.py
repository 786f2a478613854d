"""Update, patch and deletion by criteria: of one resource or none, and never of one that is out of sight."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from .clients import SYSTEM, entry, issues, observation, patient, post, practitioner, transaction
from .conftest import PatientClient

PATCH = {"Content-Type": "application/json-patch+json"}


async def _total(client: httpx.AsyncClient, unique: str) -> int:
    return int((await client.get(f"/Practitioner?identifier={unique}")).json()["total"])


async def test_update(staff: httpx.AsyncClient, unique: str) -> None:
    """Nothing meets the criteria: created; one does: its next version; several do: 412, and nothing has changed."""
    path = f"/Practitioner?identifier={SYSTEM}|{unique}"
    made = await staff.put(path, json=practitioner(unique))
    assert made.status_code == 201, made.text
    id = made.json()["id"]
    changed = await staff.put(path, json={**practitioner(unique), "gender": "female"})
    assert (changed.status_code, changed.json()["id"], changed.headers["etag"]) == (200, id, 'W/"2"')
    same = await staff.put(path, json={**practitioner(unique), "gender": "female", "id": id})
    assert (same.status_code, same.headers["etag"]) == (200, 'W/"2"')
    other = await staff.put(path, json={**practitioner(unique), "id": "another"})
    assert other.status_code == 400
    stale = await staff.put(path, json=practitioner(unique), headers={"If-Match": 'W/"1"'})
    assert stale.status_code == 412
    await post(staff, practitioner(unique))
    several = await staff.put(path, json=practitioner(unique))
    assert several.status_code == 412
    assert issues(several)[0]["code"] == "multiple-matches"
    assert await _total(staff, unique) == 2


async def test_an_id_of_ones_own(staff: httpx.AsyncClient, unique: str) -> None:
    """What nothing meets is created under the id that is brought, unless that is somebody else's."""
    path = f"/Practitioner?identifier={SYSTEM}|{unique}"
    made = await staff.put(path, json={**practitioner(unique), "id": unique})
    assert (made.status_code, made.json()["id"]) == (201, unique)
    taken = await staff.put(f"{path}x", json={**practitioner(f"{unique}x"), "id": unique})
    assert taken.status_code == 409
    assert (await staff.get(f"/Practitioner/{unique}")).json() == made.json()


async def test_patch_and_delete(staff: httpx.AsyncClient, unique: str) -> None:
    """The one that meets the criteria; none is 404 for a patch, and nothing to do for a deletion."""
    path = f"/Practitioner?identifier={SYSTEM}|{unique}"
    rows = json.dumps([{"op": "add", "path": "/gender", "value": "female"}])
    assert (await staff.patch(path, content=rows, headers=PATCH)).status_code == 404
    assert (await staff.delete(path)).status_code == 204
    id = (await post(staff, practitioner(unique)))["id"]
    assert (await staff.patch(path, content=rows, headers=PATCH)).json()["gender"] == "female"
    await post(staff, practitioner(unique))
    assert (await staff.patch(path, content=rows, headers=PATCH)).status_code == 412
    assert (await staff.delete(path)).status_code == 412
    assert await _total(staff, unique) == 2
    assert (await staff.delete(f"/Practitioner?_id={id}")).status_code == 204
    assert (await staff.get(f"/Practitioner/{id}")).status_code == 410


@pytest.mark.parametrize("query", ["", "?", "?_pretty=true", "?nonsense=1", "?_count=1", "?_sort=name", "?name[$ne]=x"])
async def test_criteria_must_be_there(staff: httpx.AsyncClient, query: str) -> None:
    """No criteria, or ones that are not understood: nothing is written, least of all everything deleted."""
    assert (await staff.delete(f"/Practitioner{query}")).status_code == 400
    assert (await staff.put(f"/Practitioner{query}", json=practitioner("x"))).status_code == 400
    assert (await staff.patch(f"/Practitioner{query}", content="[]", headers=PATCH)).status_code == 400


async def test_what_is_out_of_sight_does_not_meet_criteria(
    one: PatientClient, other: PatientClient, doctor: httpx.AsyncClient, partner: httpx.AsyncClient, unique: str
) -> None:
    """It is as if it did not exist, and it stays as it is."""
    hidden = await post(doctor, observation(other.id, identifier=[{"value": unique}]))
    path = f"/Observation?identifier={unique}"
    for caller in (one.http, partner):
        assert (await caller.delete(path)).status_code in {204, 403}
        answer = await caller.patch(path, content="[]", headers=PATCH)
        assert answer.status_code in {403, 404}
        assert hidden["id"] not in answer.text
    mine = json.loads(observation(other.id, identifier=[{"value": unique}]))
    answer = await partner.put(path, json=mine)
    assert answer.status_code in {201, 403, 404}
    assert hidden["id"] not in answer.text
    patient_of_site = (await doctor.get(f"/Patient/{other.id}")).json()
    for identifier in patient_of_site.get("identifier", [{"value": "x"}]):
        criteria = f"/Patient?identifier={identifier['value']}"
        answer = await partner.put(criteria, json=patient())
        assert other.id not in answer.text
    assert (await doctor.get(f"/Observation/{hidden['id']}")).json() == hidden
    assert (await doctor.get(f"/Patient/{other.id}")).json() == patient_of_site
    assert (await one.http.delete(f"/Patient?_id={other.id}")).status_code in {204, 403}
    assert (await doctor.get(f"/Patient/{other.id}")).status_code == 200


async def test_in_parallel(staff: httpx.AsyncClient, unique: str) -> None:
    """Thirty at once make one resource."""
    path = f"/Practitioner?identifier={SYSTEM}|{unique}"
    bodies = [{**practitioner(unique), "name": [{"family": f"F{n}"}]} for n in range(30)]
    answers = await asyncio.gather(*(staff.put(path, json=body) for body in bodies))
    assert {answer.status_code for answer in answers} <= {200, 201, 409, 412}
    assert sum(answer.status_code == 201 for answer in answers) == 1
    assert await _total(staff, unique) == 1


@pytest.mark.parametrize("type", ["transaction", "batch"])
async def test_in_a_bundle(staff: httpx.AsyncClient, unique: str, type: str) -> None:
    """As alone; references by fullUrl follow."""
    url = f"Practitioner?identifier={SYSTEM}|{unique}"

    async def send(*entries: dict[str, Any]) -> list[dict[str, Any]]:
        answer = await staff.post("/", json=transaction(*entries, type=type))
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["entry"]
        return rows

    full = "urn:uuid:0c3201bd-1cbf-4d64-b04d-cd9187a4c6e0"
    person = {**entry("PUT", url, practitioner(unique)), "fullUrl": full}
    role = entry("POST", "PractitionerRole", {"resourceType": "PractitionerRole", "practitioner": {"reference": full}})
    made = (await send(person, role) if type == "transaction" else await send(person))[0]["response"]
    assert made["status"].startswith("201")
    id = made["location"].split("/")[-3]
    if type == "transaction":
        roles = (await staff.get(f"/PractitionerRole?practitioner=Practitioner/{id}")).json()
        assert roles["total"] == 1
    (changed,) = await send(entry("PUT", url, {**practitioner(unique), "gender": "male"}))
    assert (changed["response"]["status"][:3], changed["response"]["etag"]) == ("200", 'W/"2"')
    (deleted,) = await send(entry("DELETE", url))
    assert deleted["response"]["status"].startswith("204")
    (nothing,) = await send(entry("DELETE", url))
    assert nothing["response"]["status"].startswith("204")
    assert await _total(staff, unique) == 0


async def test_what_a_transaction_refuses(staff: httpx.AsyncClient, unique: str) -> None:
    """Several matches, two entries for one resource, a foreign id, no criteria, PATCH: nothing is stored."""
    await post(staff, practitioner(unique))
    (id,) = [r["resource"]["id"] for r in (await staff.get(f"/Practitioner?identifier={unique}")).json()["entry"]]
    url = f"Practitioner?identifier={SYSTEM}|{unique}"
    changed = {**practitioner(unique), "gender": "male"}
    for entries, status in (
        ([entry("PUT", url, changed), entry("DELETE", url)], 400),
        ([entry("PUT", url, changed), entry("PUT", f"Practitioner/{id}", {**changed, "id": id})], 400),
        ([entry("PUT", url, {**changed, "id": "another"})], 400),
        ([entry("PUT", "Practitioner", changed)], 400),
        ([entry("DELETE", "Practitioner")], 400),
        ([entry("PUT", url, changed), entry("PATCH", f"Practitioner/{id}", changed)], 400),
        ([entry("PUT", f"{url}y", {**practitioner(f"{unique}y"), "id": id})], 409),
    ):
        answer = await staff.post("/", json=transaction(*entries))
        assert answer.status_code == status, answer.text
        assert issues(answer)[0]["expression"][0].startswith("Bundle.entry[")
    await post(staff, practitioner(unique))
    answer = await staff.post("/", json=transaction(entry("PUT", url, changed)))
    assert answer.status_code == 412
    assert {row["resource"].get("gender") for row in (await staff.get(f"/{url}")).json()["entry"]} == {None}


async def test_preconditions(staff: httpx.AsyncClient, unique: str) -> None:
    """A version that is not the current one, or one at all where there should be none, changes nothing."""
    path = f"/Practitioner?identifier={SYSTEM}|{unique}"
    new = await staff.put(path, json=practitioner(unique), headers={"If-None-Match": "*"})
    assert new.status_code == 201, new.text
    over = {**practitioner(unique), "gender": "male"}
    assert (await staff.put(path, json=over, headers={"If-None-Match": "*"})).status_code == 412
    assert (await staff.put(path, json=over, headers={"If-None-Match": 'W/"1"'})).status_code == 400
    assert (await staff.delete(path, headers={"If-Match": 'W/"2"'})).status_code == 412
    assert (await staff.get(f"/Practitioner/{new.json()['id']}")).headers["etag"] == 'W/"1"'
    assert (await staff.delete(path, headers={"If-Match": 'W/"1"'})).status_code == 204
    assert await _total(staff, unique) == 0
