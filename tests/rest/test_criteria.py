"""What one search criterion means, with each of its modifiers, alone and at the end of a chain."""

from __future__ import annotations

import httpx

from .clients import ids, observation, patient, post


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
