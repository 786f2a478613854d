"""Interactions on one resource, as a client sees them."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

import httpx
import pytest

from .clients import observation, patient, post


async def test_create_answers_with_the_stored_version(staff: httpx.AsyncClient, base_url: str) -> None:
    """201, a Location with the version, an ETag, Last-Modified, and the resource with its id and meta."""
    answer = await staff.post("/Patient", json=patient())
    assert answer.status_code == 201
    body = answer.json()
    assert answer.headers["location"] == f"{base_url}/Patient/{body['id']}/_history/1"
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["content-type"] == "application/fhir+json"
    assert body["meta"]["versionId"] == "1"
    updated = datetime.fromisoformat(body["meta"]["lastUpdated"])
    assert parsedate_to_datetime(answer.headers["last-modified"]) == updated.replace(microsecond=0)


async def test_a_clients_id_and_meta_do_not_count_on_create(staff: httpx.AsyncClient) -> None:
    """The server names what it creates, and its own version and time win over forged ones."""
    forged = {**patient(), "id": "mine", "meta": {"versionId": "99", "lastUpdated": "1999-01-01T00:00:00Z"}}
    body = (await staff.post("/Patient", json=forged)).json()
    assert body["id"] != "mine"
    assert body["meta"]["versionId"] == "1"
    assert body["meta"]["lastUpdated"] > "2020"


async def test_read_and_vread(staff: httpx.AsyncClient) -> None:
    """A resource is read as current and as it was."""
    first = await post(staff, patient(family="Before"))
    path = f"/Patient/{first['id']}"
    second = (await staff.put(path, json={**first, "name": [{"family": "After"}]})).json()
    assert (await staff.get(path)).json() == second
    assert (await staff.get(f"{path}/_history/1")).json() == first
    assert (await staff.get(f"{path}/_history/2")).headers["etag"] == 'W/"2"'
    assert (await staff.get(f"{path}/_history/3")).status_code == 404
    assert (await staff.get(f"{path}/_history/x")).status_code == 404


async def test_conditional_read(staff: httpx.AsyncClient) -> None:
    """304 without a body where the client has the version; 200 where it does not."""
    stored = await post(staff, patient())
    path = f"/Patient/{stored['id']}"
    for headers in ({"If-None-Match": 'W/"1"'}, {"If-Modified-Since": _http_date(datetime.now(UTC))}):
        answer = await staff.get(path, headers=headers)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == 'W/"1"'
    yesterday = _http_date(datetime.now(UTC) - timedelta(days=1))
    for headers in ({"If-None-Match": 'W/"2"'}, {"If-Modified-Since": yesterday}):
        assert (await staff.get(path, headers=headers)).status_code == 200


async def test_head_is_get_without_a_body(staff: httpx.AsyncClient) -> None:
    """The same status and headers, no body."""
    path = f"/Patient/{(await post(staff, patient()))['id']}"
    got, head = await staff.get(path), await staff.head(path)
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == got.headers["content-length"]
    assert head.headers["etag"] == got.headers["etag"]


async def test_update_with_if_match(staff: httpx.AsyncClient) -> None:
    """The current version may be replaced, a stale one may not, and a malformed precondition is refused."""
    stored = await post(staff, patient())
    path = f"/Patient/{stored['id']}"
    changed = {**stored, "birthDate": "1990-01-01"}
    answer = await staff.put(path, json=changed, headers={"If-Match": 'W/"1"'})
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    assert answer.headers["location"].endswith("/_history/2")
    again = {**changed, "birthDate": "1991-01-01"}
    assert (await staff.put(path, json=again, headers={"If-Match": 'W/"1"'})).status_code == 412
    assert (await staff.put(path, json=again, headers={"If-Match": "two"})).status_code == 400
    assert (await staff.get(path)).json()["birthDate"] == "1990-01-01"


async def test_an_identical_update_makes_no_version(staff: httpx.AsyncClient) -> None:
    """Sending what is stored changes nothing."""
    stored = await post(staff, patient())
    answer = await staff.put(f"/Patient/{stored['id']}", json=stored)
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"1"')


async def test_update_as_create_and_only_if_absent(staff: httpx.AsyncClient, unique: str) -> None:
    """PUT creates under the client's id; If-None-Match: * refuses to replace."""
    path = f"/Patient/{unique}"
    mine = {**patient(), "id": unique}
    answer = await staff.put(path, json=mine, headers={"If-None-Match": "*"})
    assert (answer.status_code, answer.headers["etag"]) == (201, 'W/"1"')
    changed = {**mine, "birthDate": "1990-01-01"}
    assert (await staff.put(path, json=changed, headers={"If-None-Match": "*"})).status_code == 412
    assert (await staff.get(path)).headers["etag"] == 'W/"1"'


async def test_the_url_and_the_body_must_agree(staff: httpx.AsyncClient) -> None:
    """Another id or another type in the body is refused."""
    stored = await post(staff, patient())
    assert (await staff.put("/Patient/another", json=stored)).status_code == 400
    assert (await staff.put(f"/Practitioner/{stored['id']}", json=stored)).status_code == 400
    assert (await staff.post("/Practitioner", json=patient())).status_code == 400


async def test_delete_keeps_the_history(staff: httpx.AsyncClient) -> None:
    """204, then 410; the versions stay, and a PUT brings the resource back."""
    stored = await post(staff, patient())
    path = f"/Patient/{stored['id']}"
    assert (await staff.delete(path, headers={"If-Match": 'W/"7"'})).status_code == 412
    answer = await staff.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await staff.get(path)).status_code == 410
    assert (await staff.get(f"{path}/_history/1")).status_code == 200
    assert (await staff.delete(path)).status_code == 204
    bundle = (await staff.get(f"{path}/_history")).json()
    assert [entry["request"]["method"] for entry in bundle["entry"]] == ["DELETE", "POST"]
    assert (await staff.put(path, json=stored)).status_code == 201
    assert (await staff.delete("/Patient/never-there")).status_code in {204, 404}


async def test_history_in_pages(staff: httpx.AsyncClient) -> None:
    """Newest first; following next links gives each version once."""
    stored = await post(staff, patient())
    path = f"/Patient/{stored['id']}"
    for year in range(1990, 1994):
        await staff.put(path, json={**stored, "birthDate": f"{year}-01-01"})
    url: str | None = f"{path}/_history?_count=2"
    versions: list[str] = []
    while url is not None:
        bundle = (await staff.get(url)).json()
        assert bundle["type"] == "history"
        versions += [entry["resource"]["meta"]["versionId"] for entry in bundle["entry"]]
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
    assert versions == ["5", "4", "3", "2", "1"]
    for query in ("_count=x", "_cursor=-1", "_since=2020", "_count=1&_count=2"):
        assert (await staff.get(f"{path}/_history?{query}")).status_code == 400


@pytest.mark.parametrize("wanted", ["minimal", "representation", "OperationOutcome"])
async def test_prefer_return(staff: httpx.AsyncClient, wanted: str) -> None:
    """Nothing, the resource, or an OperationOutcome; headers are the same."""
    answer = await staff.post("/Patient", json=patient(), headers={"Prefer": f"return={wanted}"})
    assert answer.status_code == 201
    assert answer.headers["etag"] == 'W/"1"'
    if wanted == "minimal":
        assert answer.content == b""
    else:
        assert answer.json()["resourceType"] == ("Patient" if wanted == "representation" else wanted)


async def test_decimals_keep_their_digits(doctor: httpx.AsyncClient, staff: httpx.AsyncClient) -> None:
    """What a laboratory wrote is what every read gives back, character for character."""
    id = (await post(staff, patient()))["id"]
    for text in ("1.00", "0.10000000000000000001", "1.20E+3", "0.000000000000000001"):
        body = observation(id, "1.5").replace("1.5", text)
        stored = await doctor.post("/Observation", content=body, headers={"Content-Type": "application/fhir+json"})
        assert stored.status_code == 201, stored.text
        path = stored.headers["location"]
        own = path.rpartition("/_history")[0]
        for url in (own, path, f"{own}/_history", f"/Observation?_id={own.rpartition('/')[2]}"):
            assert f'"value":{text}' in (await doctor.get(url)).text


async def test_pretty(staff: httpx.AsyncClient) -> None:
    """_pretty indents, and changes nothing else."""
    path = f"/Patient/{(await post(staff, patient()))['id']}"
    plain, pretty = await staff.get(path), await staff.get(f"{path}?_pretty=true")
    assert plain.json() == pretty.json()
    assert b"\n" in pretty.content
    assert b"\n" not in plain.content


async def test_unknown_parameters_of_a_read_are_refused(staff: httpx.AsyncClient) -> None:
    """Nothing that a client asks for is ignored, unless it says so."""
    path = f"/Patient/{(await post(staff, patient()))['id']}"
    assert (await staff.get(f"{path}?verbose=1")).status_code == 400
    assert (await staff.get(f"{path}?verbose=1", headers={"Prefer": "handling=lenient"})).status_code == 200


def _http_date(time: datetime) -> str:
    return format_datetime(time, usegmt=True)
