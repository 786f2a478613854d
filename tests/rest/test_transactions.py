"""Bundles posted to the root, and writes that race."""

import asyncio

import httpx

from .clients import SYSTEM, entry, ids, issues, observation, patient, post, practitioner, transaction

JSON = {"Content-Type": "application/fhir+json"}


async def test_a_transaction_links_its_entries(staff: httpx.AsyncClient) -> None:
    """urn:uuid references become the ids that the server gave; each entry is answered in its place."""
    person = entry("POST", "Practitioner", practitioner("t-linked"))
    role = {"resourceType": "PractitionerRole", "practitioner": {"reference": person["fullUrl"]}}
    answer = await staff.post("/", json=transaction(person, entry("POST", "PractitionerRole", role)))
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert bundle["type"] == "transaction-response"
    locations = [row["response"]["location"] for row in bundle["entry"]]
    assert [row["response"]["status"][:3] for row in bundle["entry"]] == ["201", "201"]
    stored = (await staff.get(locations[1].partition("/_history")[0])).json()
    assert stored["practitioner"]["reference"] == "/".join(locations[0].split("/")[-4:-2])


async def test_one_bad_entry_stores_nothing_and_is_named(staff: httpx.AsyncClient, unique: str) -> None:
    """Entry 7 of 10 is not valid: the whole Bundle is refused, and the issue says which entry it was."""
    entries = [entry("POST", "Practitioner", practitioner(f"{unique}-{index}")) for index in range(10)]
    entries[7]["resource"]["gender"] = "canary"
    answer = await staff.post("/", json=transaction(*entries))
    assert answer.status_code in {400, 422}
    assert any("Bundle.entry[7]" in expression for issue in issues(answer) for expression in issue["expression"])
    assert "canary" not in answer.text
    found = (
        await staff.get("/Practitioner", params={"identifier": ",".join(f"{unique}-{n}" for n in range(10))})
    ).json()
    assert found["total"] == 0


async def test_a_forbidden_entry_stores_nothing(staff: httpx.AsyncClient, unique: str) -> None:
    """Staff write no clinical records; the rest of their Bundle is not stored either."""
    person = entry("POST", "Practitioner", practitioner(unique))
    weight = {"resourceType": "Observation", "status": "final", "code": {"text": "weight"}}
    answer = await staff.post("/", json=transaction(person, entry("POST", "Observation", weight)))
    assert answer.status_code == 403
    assert (await staff.get(f"/Practitioner?identifier={unique}")).json()["total"] == 0


async def test_a_batch_goes_on_after_a_bad_entry(staff: httpx.AsyncClient, unique: str) -> None:
    """Nine of ten are stored; the tenth has its own status and outcome."""
    entries = [entry("POST", "Practitioner", practitioner(f"{unique}-{index}")) for index in range(10)]
    entries[7]["resource"]["gender"] = "canary"
    bundle = (await staff.post("/", json=transaction(*entries, type="batch"))).json()
    statuses = [row["response"]["status"][:3] for row in bundle["entry"]]
    assert statuses == ["201"] * 7 + ["400"] + ["201"] * 2
    assert bundle["entry"][7]["response"]["outcome"]["resourceType"] == "OperationOutcome"


async def test_conditional_create(staff: httpx.AsyncClient) -> None:
    """201 once, then 200 with what is there; 412 where several match."""
    one = patient()
    header = {"If-None-Exist": f"identifier={SYSTEM}|{one['identifier'][0]['value']}"}
    first = await staff.post("/Patient", json=one, headers=header)
    second = await staff.post("/Patient", json=one, headers=header)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    await post(staff, one)
    assert (await staff.post("/Patient", json=one, headers=header)).status_code == 412
    for criteria in ("", "nonsense=1", "identifier"):
        answer = await staff.post("/Patient", json=one, headers={"If-None-Exist": criteria})
        assert answer.status_code == 400, criteria


async def test_parallel_conditional_creates_make_one(staff: httpx.AsyncClient, unique: str) -> None:
    """A hundred at once: one 201, ninety-nine 200, one id."""
    header = {"If-None-Exist": f"identifier={SYSTEM}|{unique}"}
    answers = await asyncio.gather(
        *(staff.post("/Practitioner", json=practitioner(unique), headers=header) for _ in range(100))
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * 99 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await staff.get(f"/Practitioner?identifier={SYSTEM}|{unique}")).json()["total"] == 1


async def test_parallel_updates_of_one_version_have_one_winner(staff: httpx.AsyncClient) -> None:
    """Fifty writers with the same If-Match: one 200, the others 412, versions without a gap."""
    stored = await post(staff, patient())
    path = f"/Patient/{stored['id']}"
    answers = await asyncio.gather(
        *(
            staff.put(path, json={**stored, "birthDate": f"{1950 + n}-01-01"}, headers={"If-Match": 'W/"1"'})
            for n in range(50)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 49
    versions = [row["resource"]["meta"]["versionId"] for row in (await staff.get(f"{path}/_history")).json()["entry"]]
    assert versions == ["2", "1"]


async def test_conditional_references(doctor: httpx.AsyncClient, staff: httpx.AsyncClient) -> None:
    """Patient?identifier=.. becomes a reference; no match refuses the Bundle."""
    stored = await post(staff, patient())
    criteria = f"Patient?identifier={SYSTEM}|{stored['identifier'][0]['value']}"
    weight = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": criteria},
    }
    answer = await doctor.post("/", json=transaction(entry("POST", "Observation", weight)))
    assert answer.status_code == 200, answer.text
    assert len(ids((await doctor.get(f"/Observation?patient={stored['id']}")).json())) == 1
    weight["subject"] = {"reference": "Patient?identifier=nobody"}
    assert (await doctor.post("/", json=transaction(entry("POST", "Observation", weight)))).status_code == 412


async def test_two_entries_for_one_resource_are_refused(staff: httpx.AsyncClient, unique: str) -> None:
    """Two PUTs to one id in one transaction."""
    one = {**practitioner(unique), "id": unique}
    bundle = transaction(*(entry("PUT", f"Practitioner/{unique}", one) for _ in range(2)))
    assert (await staff.post("/", json=bundle)).status_code == 400


async def test_other_bundles_are_refused(staff: httpx.AsyncClient) -> None:
    """Only batch and transaction are processed; a Patient is not a Bundle."""
    assert (await staff.post("/", json=transaction(type="searchset"))).status_code == 400
    assert (await staff.post("/", json=patient())).status_code == 400
    assert (await staff.get("/")).status_code == 405


async def test_numbers_keep_their_digits_in_a_bundle(doctor: httpx.AsyncClient, staff: httpx.AsyncClient) -> None:
    """Through a transaction and back by search."""
    id = (await post(staff, patient()))["id"]
    text = '{"resourceType":"Bundle","type":"transaction","entry":[{"resource":%s,"request":%s}]}'
    body = text % (observation(id, "70.10"), '{"method":"POST","url":"Observation"}')
    assert (await doctor.post("/", content=body, headers=JSON)).status_code == 200
    assert '"value":70.10' in (await doctor.get(f"/Observation?patient={id}")).text


async def test_a_deletion_in_a_transaction_names_its_version(staff: httpx.AsyncClient, unique: str) -> None:
    """IfMatch counts for DELETE as for PUT: with another version nothing of the Bundle happens."""
    id = (await post(staff, practitioner(unique)))["id"]
    refused = await staff.post("/", json=transaction(entry("DELETE", f"Practitioner/{id}", ifMatch='W/"2"')))
    assert refused.status_code == 412, refused.text
    assert (await staff.get(f"/Practitioner/{id}")).status_code == 200
    answer = await staff.post("/", json=transaction(entry("DELETE", f"Practitioner/{id}", ifMatch='W/"1"')))
    assert answer.status_code == 200
    assert (await staff.get(f"/Practitioner/{id}")).status_code == 410
