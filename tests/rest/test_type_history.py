"""What has changed, of a type and of the whole system: in order, in pages, and within what the caller may see."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .clients import issues, link, observation, patient, post
from .conftest import PatientClient


def _versions(bundle: dict[str, Any]) -> list[tuple[str, str]]:
    """Reference and version of each entry."""
    assert bundle["type"] == "history"
    return [
        ("/".join(row["fullUrl"].split("/")[-2:]), row["response"]["etag"].strip('W/"'))
        for row in bundle.get("entry", ())
    ]


async def _all(client: httpx.AsyncClient, url: str | None) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    while url is not None:
        answer = await client.get(url)
        assert answer.status_code == 200, answer.text
        found += _versions(answer.json())
        url = link(answer.json(), "next")
    return found


async def test_the_history_of_a_type(staff: httpx.AsyncClient) -> None:
    """All versions since a moment, latest first, deletions too; pages neither repeat nor skip, whatever is written."""
    first = await post(staff, patient())
    since = first["meta"]["lastUpdated"]
    second = await post(staff, patient())
    for gender in ("male", "other"):
        await staff.put(f"/Patient/{first['id']}", json={**first, "gender": gender})
    await staff.delete(f"/Patient/{second['id']}")
    one, two = f"Patient/{first['id']}", f"Patient/{second['id']}"
    expected = [(two, "2"), (one, "3"), (one, "2"), (two, "1"), (one, "1")]
    assert await _all(staff, f"/Patient/_history?_since={since}") == expected
    url: str | None = f"/Patient/_history?_since={since}&_count=2"
    found: list[tuple[str, str]] = []
    while url is not None:
        bundle = (await staff.get(url)).json()
        found += _versions(bundle)
        await post(staff, patient())
        await staff.put(f"/Patient/{first['id']}", json={**first, "language": "en" if len(found) % 4 else "ar"})
        url = link(bundle, "next")
    assert found == expected
    bundle = (await staff.get(f"/Patient/_history?_since={since}&_count=200")).json()
    methods = {row["request"]["method"] for row in bundle["entry"]}
    assert methods == {"POST", "PUT", "DELETE"}
    assert "resource" not in next(row for row in bundle["entry"] if row["request"]["method"] == "DELETE")


async def test_the_history_of_the_system(staff: httpx.AsyncClient, doctor: httpx.AsyncClient) -> None:
    """Of all types that the caller may see; staff see no records."""
    made = await post(staff, patient())
    since = made["meta"]["lastUpdated"]
    seen = await post(doctor, observation(made["id"]))
    organization = await post(staff, {"resourceType": "Organization", "name": "x"})
    url = f"/_history?_since={since}&_count=1"
    of_doctor = [reference for reference, _ in await _all(doctor, url)]
    assert of_doctor == [
        f"Organization/{organization['id']}",
        f"Observation/{seen['id']}",
        f"Patient/{made['id']}",
    ]
    of_staff = [reference for reference, _ in await _all(staff, f"/_history?_since={since}&_count=200")]
    assert f"Patient/{made['id']}" in of_staff
    assert not any(reference.startswith("Observation/") for reference in of_staff)


async def test_what_is_out_of_sight_has_no_history(
    one: PatientClient, other: PatientClient, doctor: httpx.AsyncClient, partner: httpx.AsyncClient
) -> None:
    """Neither versions nor deletions of another patient's records."""
    hidden = await post(doctor, observation(other.id))
    own = await post(doctor, observation(one.id))
    await doctor.delete(f"/Observation/{hidden['id']}")
    since = hidden["meta"]["lastUpdated"]
    for url in (f"/Observation/_history?_since={since}&_count=200", f"/_history?_since={since}&_count=200"):
        mine = {reference for reference, _ in await _all(one.http, url)}
        assert f"Observation/{own['id']}" in mine
        for caller in (one.http, partner):
            text = (await caller.get(url)).text
            assert hidden["id"] not in text
            assert other.id not in text


@pytest.mark.parametrize("query", ["_since=yesterday", "_count=many", "_at=2026", "_cursor=AAAA", "name=x", "_since="])
async def test_other_parameters_are_refused(staff: httpx.AsyncClient, query: str) -> None:
    """400, for both of them."""
    for path in ("/Patient/_history", "/_history"):
        answer = await staff.get(f"{path}?{query}")
        assert answer.status_code == 400
        assert issues(answer)


async def test_a_cursor_is_bound(staff: httpx.AsyncClient, doctor: httpx.AsyncClient) -> None:
    """To the caller, the type and the moment; a type out of scope is 403."""
    await post(staff, patient())
    await post(staff, patient())
    url = link((await staff.get("/Patient/_history?_count=1")).json(), "next")
    assert url is not None
    assert (await staff.get(url)).status_code == 200
    assert (await doctor.get(url)).status_code == 400
    assert (await staff.get(url.replace("/Patient/", "/Organization/"))).status_code == 400
    assert (await staff.get("/Observation/_history")).status_code == 403
