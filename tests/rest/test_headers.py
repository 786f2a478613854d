"""What holds for every answer: headers, request ids, hosts, methods, negotiation."""

import asyncio

import httpx
import pytest

from .clients import issues, link, patient, post


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/fhir/metadata", 200),
        ("GET", "/fhir/Patient", 401),
        ("GET", "/health/live", 200),
        ("GET", "/nowhere", 404),
        ("DELETE", "/health/live", 405),
        ("POST", "/oauth/token", 400),
    ],
)
async def test_every_answer_has_the_security_headers(
    anonymous: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    """nosniff, a policy that loads nothing, no referrer, a request id, and a decision about caching."""
    answer = await anonymous.request(method, path)
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-request-id"]
    public = path == "/fhir/metadata"
    assert answer.headers["cache-control"] == ("public, max-age=300" if public else "no-store")


async def test_a_short_request_id_is_kept_and_others_are_not(anonymous: httpx.AsyncClient) -> None:
    """A client may name its request, but not write into the log."""
    kept = await anonymous.get("/fhir/metadata", headers={"X-Request-Id": "abc-123"})
    assert kept.headers["x-request-id"] == "abc-123"
    for id in ("a b", "x" * 65, "${jndi:x}", ""):
        answer = await anonymous.get("/fhir/metadata", headers={"X-Request-Id": id})
        assert answer.headers["x-request-id"] != id


@pytest.mark.parametrize("host", ["evil/..", "evil\\x", "a b", "x@y", "", "[::1", "a:b"])
async def test_a_malformed_host_is_refused(raw: httpx.URL, host: str) -> None:
    """A Host that is no host is not answered."""
    assert b" 400 " in await _status(raw, f"GET /fhir/metadata HTTP/1.1\r\nHost: {host}\r\n\r\n")


async def test_links_use_the_configured_base(staff: httpx.AsyncClient, base_url: str) -> None:
    """Whatever Host or X-Forwarded-Host says."""
    await post(staff, patient())
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    answer = await staff.get("/Patient?_count=1", headers=headers)
    assert "evil.example" not in answer.text
    assert (link(answer.json(), "self") or "").startswith(base_url)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("LINK", "/Patient/x", "DELETE, GET, HEAD, PATCH, PUT"),
        ("LINK", "/Patient", "DELETE, GET, HEAD, PATCH, POST, PUT"),
        ("GET", "/", "POST"),
        ("PUT", "/metadata", "GET, HEAD"),
        ("OPTIONS", "/Patient/x", "DELETE, GET, HEAD, PATCH, PUT"),
    ],
)
async def test_unknown_methods_get_405_and_allow(staff: httpx.AsyncClient, method: str, path: str, allow: str) -> None:
    """The methods that the path has are named."""
    answer = await staff.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/Nonsense", 404),
        ("/Patient/x/y/z", 404),
        ("/Nonsense/_history", 404),
        ("/_history/x", 404),
        ("/Patient/$lastn", 404),
        ("/Observation/x/$everything", 404),
        ("/Patient/a%00b", 400),
        ("/Patient/%2e%2e%2fx", 400),
        ("/Patient/" + "a" * 65, 400),
        ("/Patient/%ff", 400),
        ("/Patient/never-there", 404),
    ],
)
async def test_unknown_paths(staff: httpx.AsyncClient, path: str, status: int) -> None:
    """404 for what is not there, 400 for what can never be; always an OperationOutcome."""
    answer = await staff.get(path)
    assert answer.status_code == status
    assert issues(answer)


async def test_negotiation(staff: httpx.AsyncClient) -> None:
    """JSON in either media type; XML is refused before anything is done."""
    path = f"/Patient/{(await post(staff, patient()))['id']}"
    plain = await staff.get(path, headers={"Accept": "application/json"})
    assert plain.headers["content-type"] == "application/json"
    assert (await staff.get(path, headers={"Accept": "application/fhir+xml"})).status_code == 406
    assert (await staff.get(f"{path}?_format=xml")).status_code == 406
    wins = await staff.get(f"{path}?_format=json", headers={"Accept": "application/fhir+xml"})
    assert wins.status_code == 200
    refused = await staff.post("/Patient", json=patient("Never"), headers={"Accept": "text/html"})
    assert refused.status_code == 406
    assert (await staff.get("/Patient?family=Never")).json()["total"] == 0


async def _status(raw: httpx.URL, request: str) -> bytes:
    reader, writer = await asyncio.open_connection(raw.host, raw.port)
    writer.write(request.encode())
    async with asyncio.timeout(60):
        line = await reader.readline()
    writer.close()
    return line
