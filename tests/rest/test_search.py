"""Search as a client sees it: parameters, pages, and what is refused."""

import httpx
import pytest

from .clients import SYSTEM, ids, issues, link, observation, patient, post


async def test_search_by_identifier_answers_with_a_searchset(staff: httpx.AsyncClient, base_url: str) -> None:
    """A Bundle with links, a total where it is free, fullUrls of the configured base, and the match."""
    stored = await post(staff, patient())
    value = stored["identifier"][0]["value"]
    answer = await staff.get("/Patient", params={"identifier": f"{SYSTEM}|{value}"})
    bundle = answer.json()
    assert answer.status_code == 200
    assert (bundle["type"], bundle["total"], ids(bundle)) == ("searchset", 1, [stored["id"]])
    assert bundle["entry"][0]["fullUrl"] == f"{base_url}/Patient/{stored['id']}"
    assert (link(bundle, "self") or "").startswith(f"{base_url}/Patient?")
    assert link(bundle, "next") is None


async def test_an_empty_result_has_no_entries(staff: httpx.AsyncClient) -> None:
    """FHIR forbids empty arrays."""
    bundle = (await staff.get("/Patient?identifier=nobody")).json()
    assert bundle["total"] == 0
    assert "entry" not in bundle


async def test_post_search_takes_url_and_body(staff: httpx.AsyncClient) -> None:
    """Parameters of both count together."""
    family = f"F{patient()['identifier'][0]['value']}"
    older = await post(staff, patient(family, birthDate="1950-01-01"))
    younger = await post(staff, patient(family, birthDate="2000-01-01"))
    both = (await staff.post("/Patient/_search", data={"family": family})).json()
    assert set(ids(both)) == {older["id"], younger["id"]}
    one = (await staff.post(f"/Patient/_search?family={family}", data={"birthdate": "lt1980"})).json()
    assert ids(one) == [older["id"]]


async def test_post_search_needs_a_form(staff: httpx.AsyncClient) -> None:
    """JSON is not a form, nothing at all is an empty one; GET has no _search."""
    family = f"F{patient()['identifier'][0]['value']}"
    stored = await post(staff, patient(family))
    assert ids((await staff.post(f"/Patient/_search?family={family}")).json()) == [stored["id"]]
    assert (await staff.post("/Patient/_search", json={"family": "x"})).status_code == 415
    answer = await staff.get("/Patient/_search")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "query",
    [
        "nonsense=1",
        "name[$ne]=x",
        "$where=1",
        "__proto__=1",
        "birthdate=yesterday",
        "gender:exact=female",
        "_count=many",
        "_sort=nonsense",
        "_filter=name eq x",
        "_query=x",
        "_has:Observation:code:code=1",
        "name.family=x",
        "_include=Nonsense:subject",
        "_cursor=AAAA",
        "name=%ff",
        "name=%00",
    ],
)
async def test_what_is_not_understood_is_refused(staff: httpx.AsyncClient, query: str) -> None:
    """400 and an OperationOutcome: an ignored filter would widen the result."""
    answer = await staff.get(f"/Patient?{query}")
    assert answer.status_code == 400
    assert issues(answer)[0]["severity"] == "error"


async def test_values_are_not_echoed(staff: httpx.AsyncClient) -> None:
    """A refusal names the parameter, never what was searched for."""
    answer = await staff.get("/Patient?birthdate=secretcanary")
    assert "birthdate" in answer.text
    assert "secretcanary" not in answer.text


async def test_lenient_handling_ignores_unknown_parameters(staff: httpx.AsyncClient) -> None:
    """Prefer: handling=lenient, and the self link tells what was used."""
    stored = await post(staff, patient())
    answer = await staff.get(f"/Patient?_id={stored['id']}&nonsense=1", headers={"Prefer": "handling=lenient"})
    assert ids(answer.json()) == [stored["id"]]
    assert "nonsense" not in (link(answer.json(), "self") or "")


async def test_pages_follow_next_links(staff: httpx.AsyncClient) -> None:
    """Each match once, in order, though others are created meanwhile."""
    family = f"F{patient()['identifier'][0]['value']}"
    expected = [(await post(staff, patient(family, birthDate=f"{year}-01-01")))["id"] for year in range(1950, 1957)]
    url: str | None = f"/Patient?family={family}&_sort=birthdate&_count=3"
    found: list[str] = []
    while url is not None:
        bundle = (await staff.get(url)).json()
        found += ids(bundle)
        await post(staff, patient(family, birthDate="1900-01-01"))
        url = link(bundle, "next")
    assert found == expected


async def test_a_page_cursor_is_bound_to_caller_and_query(staff: httpx.AsyncClient, doctor: httpx.AsyncClient) -> None:
    """Another caller, another query, a flipped character: refused."""
    family = f"F{patient()['identifier'][0]['value']}"
    for _ in range(3):
        await post(staff, patient(family))
    url = link((await staff.get(f"/Patient?family={family}&_count=1")).json(), "next")
    assert url is not None
    assert (await staff.get(url)).status_code == 200
    assert (await doctor.get(url)).status_code == 400
    assert (await staff.get(url.replace(family, "Other"))).status_code == 400
    last = url[-6]
    assert (await staff.get(f"{url[:-6]}{'A' if last != 'A' else 'B'}{url[-5:]}")).status_code == 400


async def test_includes_come_with_their_mode(staff: httpx.AsyncClient, doctor: httpx.AsyncClient) -> None:
    """The subject is included with an Observation, and Observations with their Patient."""
    id = (await post(staff, patient()))["id"]
    seen = await post(doctor, observation(id))
    forward = (await doctor.get(f"/Observation?_id={seen['id']}&_include=Observation:subject")).json()
    modes = {row["resource"]["resourceType"]: row["search"]["mode"] for row in forward["entry"]}
    assert modes == {"Observation": "match", "Patient": "include"}
    backward = (await doctor.get(f"/Patient?_id={id}&_revinclude=Observation:subject")).json()
    modes = {row["resource"]["resourceType"]: row["search"]["mode"] for row in backward["entry"]}
    assert modes == {"Patient": "match", "Observation": "include"}


async def test_summary_count(staff: httpx.AsyncClient) -> None:
    """Only the number."""
    family = f"F{patient()['identifier'][0]['value']}"
    for _ in range(2):
        await post(staff, patient(family))
    bundle = (await staff.get(f"/Patient?family={family}&_summary=count")).json()
    assert bundle["total"] == 2
    assert "entry" not in bundle


async def test_parts_of_resources(staff: httpx.AsyncClient, doctor: httpx.AsyncClient) -> None:
    """``_elements`` cuts matches, ``_summary`` all there is; links carry them on, and reads take them too."""
    family = f"F{patient()['identifier'][0]['value']}"
    made = [await post(staff, patient(family, birthDate="1950-01-01")) for _ in range(2)]
    await post(doctor, observation(made[0]["id"], note=[{"text": "no shoes"}]))
    bundle = (await staff.get(f"/Patient?family={family}&_elements=birthDate&_count=1")).json()
    (row,) = bundle["entry"]
    assert row["resource"].keys() == {"resourceType", "id", "meta", "birthDate"}
    assert row["resource"]["meta"]["tag"][-1]["code"] == "SUBSETTED"
    following = (await staff.get(link(bundle, "next") or "")).json()
    assert following["entry"][0]["resource"].keys() == {"resourceType", "id", "meta", "birthDate"}
    whole = f"/Patient/{made[0]['id']}"
    assert "name" not in (await staff.get(f"{whole}?_elements=gender")).json()
    assert "name" not in (await staff.get(f"{whole}/_history/1?_elements=gender")).json()
    assert "tag" not in (await staff.get(f"{whole}?_summary=false")).json()["meta"]
    path = f"/Patient?_id={made[0]['id']}&_revinclude=Observation:subject"
    summaries = {
        row["search"]["mode"]: row["resource"] for row in (await doctor.get(f"{path}&_summary=true")).json()["entry"]
    }
    assert "note" not in summaries["include"]
    assert "name" in summaries["match"]
    elements = {
        row["search"]["mode"]: row["resource"] for row in (await doctor.get(f"{path}&_elements=id")).json()["entry"]
    }
    assert "note" in elements["include"]
    assert "name" not in elements["match"]
    for wrong in ("_summary=text", "_summary=maybe", "_elements=colour", "_elements=id&_summary=true"):
        assert (await doctor.get(f"{path}&{wrong}")).status_code == 400
    assert (await staff.get(f"{whole}?_summary=count")).status_code == 400


async def test_a_part_does_not_replace_the_whole(staff: httpx.AsyncClient) -> None:
    """Whoever sends back what they got in part would delete the rest."""
    made = await post(staff, patient())
    part = (await staff.get(f"/Patient/{made['id']}?_elements=gender")).json()
    answer = await staff.put(f"/Patient/{made['id']}", json={**part, "gender": "male"})
    assert answer.status_code == 422
    assert issues(answer)[0]["expression"] == ["Patient.meta.tag"]
    assert (await staff.get(f"/Patient/{made['id']}")).json() == made


async def test_dollar_values_are_plain_text(staff: httpx.AsyncClient) -> None:
    """A database operator or a pattern in a value is text like any other."""
    for value in ('{"$gt":""}', "(a+)+$", ".*", "%"):
        answer = await staff.get("/Patient", params={"family:contains": value})
        assert (answer.status_code, answer.json().get("total")) == (200, 0)
