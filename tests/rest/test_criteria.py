"""What one search criterion means, with each of its modifiers, alone and at the end of a chain."""

from __future__ import annotations

import httpx
import pytest

from .clients import entry, ids, observation, patient, post, transaction

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def _found(client: httpx.AsyncClient, query: str) -> set[str]:
    """The ids of all matches; the total says the same."""
    answer = await client.get(f"/{query}&_count=1000")
    assert answer.status_code == 200, answer.text
    counted = await client.get(f"/{query}&_summary=count")
    assert counted.json()["total"] == len(ids(answer.json()))
    return set(ids(answer.json()))


async def test_what_every_resource_has(staff: httpx.AsyncClient, doctor: httpx.AsyncClient, unique: str) -> None:
    """An id may be excluded, and neither it nor the time of the last update is ever missing."""
    one, two = [(await post(staff, patient(f"F{unique}")))["id"] for _ in range(2)]
    of_one, of_two = [(await post(doctor, observation(id)))["id"] for id in (one, two)]
    for criterion, expected in (
        (f"_id={one}", {one}),
        (f"_id:not={one}", {two}),
        (f"_id:not={one},{two}", set()),
        (f"_id:not={one}&_id:not={two}", set()),
        ("_id:missing=true", set()),
        ("_id:missing=false", {one, two}),
        ("_lastUpdated:missing=true", set()),
        ("_lastUpdated:missing=false", {one, two}),
    ):
        for sort in ("", "&_sort=_id", "&_sort=birthdate,gender"):
            assert await _found(staff, f"Patient?family=F{unique}&{criterion}{sort}") == expected, criterion
    both = f"Observation?subject=Patient/{one},Patient/{two}"
    for criterion, expected in (
        (f"_id:not={one}", {of_two}),
        ("_id:missing=true", set()),
        ("_lastUpdated:missing=false", {of_one, of_two}),
    ):
        chained = f"{both}&subject:Patient.family=F{unique}&subject:Patient.{criterion}"
        assert await _found(doctor, chained) == expected, criterion
    assert await _found(doctor, f"Patient?family=F{unique}&_has:Observation:subject:_id:not={of_one}") == {two}
    for wrong in ("_id:missing=maybe", "_id:exact=x", "_lastUpdated:not=2020"):
        assert (await staff.get(f"/Patient?{wrong}")).status_code == 400


async def test_approximately_is_a_tenth_of_the_time_since(staff: httpx.AsyncClient, unique: str) -> None:
    """The nearer to now, the less: in a search, in one for the last update, and in the criteria of a write."""
    body = patient(f"F{unique}", birthDate="1953-01-01")
    made = await post(staff, body)
    today = made["meta"]["lastUpdated"][:10]
    for criterion, expected in (
        ("birthdate=ap1950-01-01", {made["id"]}),
        ("birthdate=ap1930-01-01", set()),
        ("_lastUpdated=ap2022-01-01", set()),
        (f"_lastUpdated=ap{today}", {made["id"]}),
    ):
        assert await _found(staff, f"Patient?family=F{unique}&{criterion}") == expected, criterion
    for date, status in (("1950-01-01", 200), ("1930-01-01", 201)):
        criteria = {"If-None-Exist": f"family=F{unique}&birthdate=ap{date}"}
        assert (await staff.post("/Patient", json=body, headers=criteria)).status_code == status


async def test_who_is_not_dead_is_alive(staff: httpx.AsyncClient, doctor: httpx.AsyncClient, unique: str) -> None:
    """``deceased`` has a value for every patient: without the element it is false, and it is never missing."""
    records: dict[str, dict[str, object]] = {
        "silent": {},
        "alive": {"deceasedBoolean": False},
        "dead": {"deceasedBoolean": True},
        "dated": {"deceasedDateTime": "2020-01-01"},
    }
    stored = {(await post(staff, patient(f"F{unique}", **more)))["id"]: name for name, more in records.items()}
    seen = {(await post(doctor, observation(id)))["id"]: name for id, name in stored.items()}
    living, gone = {"silent", "alive"}, {"dead", "dated"}
    for criterion, expected in (
        ("deceased=false", living),
        ("deceased=|false", living),
        ("deceased=true", gone),
        ("deceased=true,false", living | gone),
        ("deceased=unknown", set()),
        ("deceased:not=true", living),
        ("deceased:not=false", gone),
        ("deceased:not=true,false", set()),
        ("deceased:missing=true", set()),
        ("deceased:missing=false", living | gone),
        ("deceased=false&birthdate:missing=true&gender=female", living),
    ):
        found = await _found(staff, f"Patient?family=F{unique}&{criterion}")
        assert {stored[id] for id in found} == expected, criterion
        chain = f"Observation?subject:Patient.family=F{unique}&subject:Patient.{criterion.partition('&')[0]}"
        assert {seen[id] for id in await _found(doctor, chain)} == expected, criterion


async def test_a_range_has_the_unit_of_its_ends(staff: httpx.AsyncClient, doctor: httpx.AsyncClient) -> None:
    """An onset between two ages, or after one, is found by its unit, however that is named."""
    subject = {"reference": f"Patient/{(await post(staff, patient()))['id']}"}
    ucum = {"system": "http://unitsofmeasure.org", "code": "a", "unit": "years"}
    between = {"low": {"value": 30, **ucum}, "high": {"value": 40, **ucum}}
    body = {
        "resourceType": "Condition",
        "subject": subject,
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
        },
    }
    both = (await post(doctor, {**body, "onsetRange": between}))["id"]
    after = (await post(doctor, {**body, "onsetRange": {"low": {"value": 50, **ucum}}}))["id"]
    before = (await post(doctor, {**body, "onsetRange": {"high": {"value": 10, "unit": "years"}}}))["id"]
    for value, expected in (
        ("gt31", {both, after}),
        ("gt31||a", {both, after}),
        ("gt31||years", {both, after}),
        ("gt31|http://unitsofmeasure.org|a", {both, after}),
        ("gt31|http://unitsofmeasure.org|mo", set()),
        ("gt41||a", {after}),
        ("lt31||a", {both}),
        ("lt31||years", {both, before}),
        ("lt31", {both, before}),
    ):
        found = await _found(doctor, f"Condition?subject={subject['reference']}&onset-age={value}")
        assert found == expected, value


@pytest.mark.parametrize("value", ["104|http://unitsofmeasure.org|", "gt104|http://unitsofmeasure.org|", "104|kg", "|"])
async def test_a_quantity_names_its_unit_or_none(doctor: httpx.AsyncClient, value: str) -> None:
    """A system without a code of it would otherwise narrow nothing."""
    for query in (f"value-quantity={value}", f"code-value-quantity=x${value}", f"combo-value-quantity={value}"):
        assert (await doctor.get(f"/Observation?{query}")).status_code == 400, query


async def test_a_nul_is_refused_wherever_criteria_stand(staff: httpx.AsyncClient) -> None:
    """In a search and at the end of a chain, in the criteria of any write, and within a Bundle."""
    patch = {"Content-Type": "application/json-patch+json"}
    for criteria in ("name:contains=%00", "name=a%00b", "gen%00der=female", "family:exact=%00&gender=female"):
        path = f"/Patient?{criteria}"
        for answer in (
            await staff.get(path),
            await staff.get(path, headers={"Prefer": "handling=lenient"}),
            await staff.get(f"/Patient?_has:Patient:link:{criteria}"),
            await staff.post("/Patient/_search", content=criteria, headers=FORM),
            await staff.post("/Patient", json=patient(), headers={"If-None-Exist": criteria}),
            await staff.put(path, json=patient()),
            await staff.patch(path, content="[]", headers=patch),
            await staff.delete(path),
            await staff.post("/", json=transaction(entry("POST", "Patient", patient(), ifNoneExist=criteria))),
            await staff.post("/", json=transaction(entry("DELETE", path[1:]))),
        ):
            assert answer.status_code == 400, answer.request
        batch = transaction(entry("GET", path[1:]), entry("PUT", path[1:], patient()), type="batch")
        rows = (await staff.post("/", json=batch)).json()["entry"]
        assert [row["response"]["status"][:3] for row in rows] == ["400", "400"]
