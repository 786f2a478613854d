"""What single entries of a Bundle ask for: as it would be asked for alone, and nothing that is left unheeded."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from .clients import SYSTEM, entry, ids, issues, link, observation, patient, post, practitioner, transaction

ELSEWHERE = "https://elsewhere.example/fhir"


def named(full_url: str, row: dict[str, Any]) -> dict[str, Any]:
    """The entry with this fullUrl."""
    return {**row, "fullUrl": full_url}


async def _stored(client: httpx.AsyncClient, answer: httpx.Response, number: int) -> dict[str, Any]:
    """What an entry of a transaction has stored."""
    assert answer.status_code == 200, answer.text
    location: str = answer.json()["entry"][number]["response"]["location"]
    stored: dict[str, Any] = (await client.get(f"/{location}")).json()
    return stored


async def _statuses(client: httpx.AsyncClient, bundle: dict[str, Any]) -> list[str]:
    answer = await client.post("/", json=bundle)
    assert answer.status_code == 200, answer.text
    return [row["response"]["status"] for row in answer.json()["entry"]]


async def test_relative_references_are_relative_to_the_full_url(doctor: httpx.AsyncClient, unique: str) -> None:
    """Another server's Encounter/x is the entry of that name, in whatever form it is written."""
    visit = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "content": [{"attachment": {"url": f"{ELSEWHERE}/Encounter/{unique}"}}],
        "context": {"encounter": [{"reference": f"Encounter/{unique}/_history/3"}]},
        "relatesTo": [{"code": "appends", "target": {"reference": f"Encounter/{unique}#part"}}],
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="Encounter/{unique}">x</a></div>',
        },
    }
    bundle = transaction(
        named(f"{ELSEWHERE}/DocumentReference/d", entry("POST", "DocumentReference", document)),
        named(f"{ELSEWHERE}/Encounter/{unique}", entry("POST", "Encounter", visit)),
    )
    answer = await doctor.post("/", json=bundle)
    made = (await _stored(doctor, answer, 1))["id"]
    stored = await _stored(doctor, answer, 0)
    assert made != unique
    assert stored["content"][0]["attachment"]["url"] == f"Encounter/{made}"
    assert stored["context"]["encounter"][0]["reference"] == f"Encounter/{made}"
    assert stored["relatesTo"][0]["target"]["reference"] == f"Encounter/{made}#part"
    assert f'href="Encounter/{made}"' in stored["text"]["div"]


async def test_an_id_of_another_server_is_nobody_here(
    doctor: httpx.AsyncClient, staff: httpx.AsyncClient, base_url: str
) -> None:
    """A result of another server's Patient/x does not get into the chart of this server's."""
    ours = (await post(staff, patient()))["id"]
    result = json.loads(observation(ours))
    answer = await doctor.post(
        "/", json=transaction(named(f"{ELSEWHERE}/Observation/o", entry("POST", "Observation", result)))
    )
    stored = await _stored(doctor, answer, 0)
    assert stored["subject"]["reference"] == f"{ELSEWHERE}/Patient/{ours}"
    assert (await doctor.get(f"/Observation?patient={ours}")).json()["total"] == 0
    for full_url in (f"{base_url}/Observation/o", "urn:uuid:0c3201bd-1cbf-4d64-b04d-cd9187a4c6e0"):
        answer = await doctor.post("/", json=transaction(named(full_url, entry("POST", "Observation", result))))
        assert (await _stored(doctor, answer, 0))["subject"]["reference"] == f"Patient/{ours}"
    assert (await doctor.get(f"/Observation?patient={ours}")).json()["total"] == 2


async def test_a_partners_result_stays_with_its_patient(
    partner: httpx.AsyncClient, doctor: httpx.AsyncClient, staff: httpx.AsyncClient, unique: str
) -> None:
    """Its Patient/x has another id here, and its results are that one's, not this server's Patient/x's."""
    ours = (await post(staff, patient()))["id"]
    number = {"system": "https://elsewhere.example/patients", "value": unique}
    person = {**patient(), "id": ours, "identifier": [number]}
    condition = f"identifier={number['system']}|{unique}"
    bundle = transaction(
        named(f"{ELSEWHERE}/Patient/{ours}", entry("POST", "Patient", person, ifNoneExist=condition)),
        named(f"{ELSEWHERE}/Observation/o", entry("POST", "Observation", json.loads(observation(ours)))),
    )
    stored = await _stored(partner, await partner.post("/", json=bundle), 1)
    theirs = stored["subject"]["reference"].removeprefix("Patient/")
    assert theirs != ours
    assert (await doctor.get(f"/Observation?patient={ours}")).json()["total"] == 0
    assert ids((await doctor.get(f"/Observation?patient={theirs}")).json()) == [stored["id"]]


@pytest.mark.parametrize("read", ["Practitioner/nobody", "Practitioner?nosuch=1", "Practitioner?name:contains=%00"])
async def test_a_read_that_fails_stores_nothing(staff: httpx.AsyncClient, unique: str, read: str) -> None:
    """A transaction that is refused has not happened."""
    bundle = transaction(entry("POST", "Practitioner", practitioner(unique)), entry("GET", read))
    answer = await staff.post("/", json=bundle)
    assert answer.status_code in {400, 404}, answer.text
    assert issues(answer)[0]["expression"][0].startswith("Bundle.entry[1]")
    assert (await staff.get(f"/Practitioner?identifier={unique}")).json()["total"] == 0


async def test_reads_come_last(staff: httpx.AsyncClient, unique: str) -> None:
    """They find what the transaction has written, and miss what it has deleted."""
    gone, changed, same = [(await post(staff, practitioner(f"{unique}{n}")))["id"] for n in range(3)]
    answer = await staff.post(
        "/",
        json=transaction(
            entry("GET", f"Practitioner/{gone}"),
            entry("GET", f"Practitioner/{changed}"),
            entry("GET", f"Practitioner/{same}"),
            entry("GET", f"Practitioner?identifier={unique}new"),
            entry("GET", f"Practitioner/{unique}"),
            entry("DELETE", f"Practitioner/{gone}"),
            entry("PUT", f"Practitioner?identifier={unique}1", {**practitioner(f"{unique}1"), "gender": "male"}),
            entry("POST", "Practitioner", practitioner(f"{unique}new")),
            entry("PUT", f"Practitioner/{unique}", {**practitioner(f"{unique}put"), "id": unique}),
        ),
    )
    assert answer.status_code == 200, answer.text
    rows = answer.json()["entry"]
    assert [row["response"]["status"] for row in rows[:5]] == ["410", "200", "200", "200", "200"]
    assert rows[0]["response"]["outcome"]["resourceType"] == "OperationOutcome"
    assert rows[1]["resource"]["gender"] == "male"
    assert rows[3]["resource"]["total"] == 1
    assert rows[4]["resource"]["id"] == unique


async def test_no_interaction_is_taken_for_another(staff: httpx.AsyncClient, unique: str) -> None:
    """A version is not deleted, a query beside an id is no condition, and a POST has neither."""
    id = (await post(staff, practitioner(unique)))["id"]
    body = {**practitioner(unique), "id": id, "gender": "male"}
    odd = [
        entry("DELETE", f"Practitioner/{id}/_history/1"),
        entry("DELETE", f"Practitioner/{id}?_lastUpdated=lt1990"),
        entry("PUT", f"Practitioner/{id}?identifier=a", body),
        entry("PUT", f"Practitioner/{id}/_history/1", body),
        entry("POST", f"Practitioner/{id}", body),
        entry("POST", "Practitioner?identifier=a", practitioner(unique)),
    ]
    for row in odd:
        refused = await staff.post("/", json=transaction(row))
        assert refused.status_code == 400
        assert issues(refused)[0]["expression"] == ["Bundle.entry[0].request.url"]
    assert await _statuses(staff, transaction(*odd, type="batch")) == ["400"] * len(odd)
    assert (await staff.get(f"/Practitioner/{id}")).headers["etag"] == 'W/"1"'
    assert (await staff.post("/", json={**patient(), "type": "batch"})).status_code == 400


@pytest.mark.parametrize("type", ["batch", "transaction"])
async def test_preconditions_are_heeded(staff: httpx.AsyncClient, unique: str, type: str) -> None:
    """Or refused; by id and by criteria."""
    id = (await post(staff, practitioner(unique)))["id"]
    named_id, by_number = f"Practitioner/{id}", f"Practitioner?identifier={unique}"
    body = {**practitioner(unique), "id": id, "gender": "male"}
    cases = [
        (entry("PUT", named_id, body, ifNoneMatch="*"), "412"),
        (entry("PUT", by_number, body, ifNoneMatch="*"), "412"),
        (entry("DELETE", by_number, ifMatch='W/"2"'), "412"),
        (entry("PUT", by_number, body, ifMatch='W/"2"'), "412"),
        (entry("PUT", named_id, body, ifNoneMatch='W/"1"'), "400"),
        (entry("PUT", named_id, body, ifModifiedSince="2026-01-01T00:00:00Z"), "400"),
        (entry("DELETE", named_id, ifNoneMatch="*"), "400"),
        (entry("PUT", named_id, body, ifNoneExist="identifier=a"), "400"),
        (entry("POST", "Practitioner", practitioner(unique), ifMatch='W/"1"'), "400"),
        (entry("GET", named_id, ifModifiedSince="yesterday"), "400"),
    ]
    for row, status in cases:
        answer = await staff.post("/", json=transaction(row, type=type))
        found = str(answer.status_code) if type == "transaction" else answer.json()["entry"][0]["response"]["status"]
        assert found == status, (row, answer.text)
    assert (await staff.get(f"/Practitioner/{id}")).headers["etag"] == 'W/"1"'
    new = entry("PUT", f"Practitioner?identifier={unique}2", practitioner(f"{unique}2"), ifNoneMatch="*")
    assert await _statuses(staff, transaction(new, type=type)) == ["201"]


async def test_a_read_that_need_not_be_answered(staff: httpx.AsyncClient, unique: str) -> None:
    """304, without the resource, where the client has this version."""
    id = (await post(staff, practitioner(unique)))["id"]
    rows = [
        entry("GET", f"Practitioner/{id}", ifNoneMatch='W/"1"'),
        entry("GET", f"Practitioner/{id}", ifNoneMatch='W/"2"'),
        entry("GET", f"Practitioner/{id}", ifModifiedSince="2100-01-01T00:00:00Z"),
        entry("GET", f"Practitioner/{id}", ifModifiedSince="2000-01-01T00:00:00Z"),
    ]
    answer = (await staff.post("/", json=transaction(*rows, type="batch"))).json()["entry"]
    assert [row["response"]["status"] for row in answer] == ["304", "200", "304", "200"]
    assert ["resource" in row for row in answer] == [False, True, False, True]


async def test_what_is_deleted_is_not_matched(staff: httpx.AsyncClient, unique: str) -> None:
    """A deletion comes first, wherever it stands: a conditional create makes a new one, and references name that."""
    old = (await post(staff, practitioner(unique)))["id"]
    condition = f"identifier={SYSTEM}|{unique}"
    new = entry("POST", "Practitioner", practitioner(unique), ifNoneExist=condition)
    role = {"resourceType": "PractitionerRole", "practitioner": {"reference": new["fullUrl"]}}
    answer = await staff.post(
        "/",
        json=transaction(new, entry("POST", "PractitionerRole", role), entry("DELETE", f"Practitioner/{old}")),
    )
    made = (await _stored(staff, answer, 0))["id"]
    assert made != old
    assert (await _stored(staff, answer, 1))["practitioner"]["reference"] == f"Practitioner/{made}"
    assert ids((await staff.get(f"/Practitioner?identifier={unique}")).json()) == [made]
    by_number = {**role, "practitioner": {"reference": f"Practitioner?{condition}"}}
    bundle = transaction(entry("POST", "PractitionerRole", by_number), entry("DELETE", f"Practitioner?{condition}"))
    assert (await staff.post("/", json=bundle)).status_code == 412
    again = entry("POST", "Practitioner", practitioner(unique), ifNoneExist=condition)
    answer = await staff.post("/", json=transaction(again, entry("DELETE", f"Practitioner?{condition}")))
    assert (await _stored(staff, answer, 0))["id"] not in {old, made}
    assert (await staff.get(f"/Practitioner?identifier={unique}")).json()["total"] == 1


async def test_entries_of_a_batch_are_independent(staff: httpx.AsyncClient, unique: str) -> None:
    """One that no server could answer has an answer of its own."""
    id = (await post(staff, practitioner(unique)))["id"]
    good = entry("GET", f"Practitioner/{id}")
    bad = ["metadata", f"Practitioner/{id}/_history", "http://a.example/x", "Practitioner?name", "Practitioner/a/$x"]
    rows = [*(entry("GET", url) for url in bad), entry("GET", "Practitioner?name:contains=%00"), {"request": 1}]
    assert await _statuses(staff, transaction(good, *rows, good, type="batch")) == ["200", *["400"] * 7, "200"]


async def test_a_search_in_a_bundle_has_links(staff: httpx.AsyncClient, unique: str, base_url: str) -> None:
    """Its pages go on by GET."""
    for _ in range(3):
        await post(staff, practitioner(unique))
    row = entry("GET", f"Practitioner?identifier={unique}&_count=2")
    for type in ("batch", "transaction"):
        page = (await staff.post("/", json=transaction(row, type=type))).json()["entry"][0]["resource"]
        assert link(page, "self") == f"{base_url}/Practitioner?identifier={unique}&_count=2"
        following = link(page, "next")
        assert following is not None
        rest = (await staff.get(following)).json()
        assert len({*ids(page), *ids(rest)}) == 3
