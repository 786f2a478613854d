"""The door itself: paths and methods that it does not have, and what nobody foresaw."""

from __future__ import annotations

from typing import Any, cast
from xml.etree import ElementTree as ET

import httpx
import pytest

from hayat_fhir.dicomweb.door import Services, application

from .conftest import Archive


def outcome(answer: httpx.Response) -> dict[str, Any]:
    """The one issue of an answer that is an OperationOutcome."""
    assert answer.headers["content-type"] == "application/fhir+json"
    assert answer.json()["resourceType"] == "OperationOutcome"
    (issue,) = answer.json()["issue"]
    return cast("dict[str, Any]", issue)


@pytest.mark.parametrize("path", ["/x", "/studies/1.2/rendering", "/studies/1.2/series/1.3/instances/1.4/x", "/%00"])
def test_there_is_no_such_path(archive: Archive, path: str) -> None:
    """Refused as everything at this door is."""
    with archive.http() as http:
        answer = http.get(path)
    assert answer.status_code == 404
    assert outcome(answer) == {"severity": "error", "code": "not-found", "diagnostics": "no such path"}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "", "OPTIONS"),
        ("DELETE", "/studies", "GET, HEAD, OPTIONS, POST"),
        ("PUT", "/studies/1.2", "DELETE, GET, HEAD, OPTIONS, POST"),
        ("POST", "/studies/1.2/series", "GET, HEAD, OPTIONS"),
        ("PATCH", "/studies/1.2/series/1.3/instances/1.4", "DELETE, GET, HEAD, OPTIONS"),
        ("DELETE", "/studies/1.2/series/1.3/instances/1.4/frames/1", "GET, HEAD, OPTIONS"),
        ("POST", "/wado", "GET, HEAD, OPTIONS"),
    ],
)
def test_there_is_no_such_method(archive: Archive, method: str, path: str, allowed: str) -> None:
    """With all those that the path has."""
    with archive.http() as http:
        answer = http.request(method, path)
        told = http.options(path or "/studies")
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert outcome(answer)["code"] == "not-supported"
    assert (told.status_code, told.content) == (204, b"")
    assert told.headers["allow"] == (allowed if path else "GET, HEAD, OPTIONS, POST")


def test_a_slash_at_the_end_says_nothing(archive: Archive) -> None:
    """The path is the one without it, without a redirection."""
    study = f"/studies/{archive.images['CT0'].StudyInstanceUID}"
    with archive.http() as http:
        for path in ("/studies", f"{study}/series", f"{study}/metadata"):
            assert http.get(f"{path}/").json() == http.get(path).json()


def test_capabilities(archive: Archive) -> None:
    """All paths with their methods, as WADL, for whoever has a token (PS3.18 8.9)."""
    with archive.http() as http:
        answer = http.options("")
        assert http.options("", headers={"Accept": "text/html"}).status_code == 406
        assert httpx.options(f"{archive.site.url}/dicomweb", trust_env=False).status_code == 401
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.sun.wadl+xml")
    name = "{http://wadl.dev.java.net/2009/02}"
    (resources,) = ET.fromstring(answer.content)  # noqa: S314 - the site's own answer
    assert resources.get("base") == f"{archive.site.url}/dicomweb/"
    found = {one.get("path"): [method.get("name") for method in one] for one in resources.iter(f"{name}resource")}
    assert found["studies"] == ["GET", "HEAD", "POST"]
    assert found["studies/{study}/series/{series}/instances/{instance}"] == ["DELETE", "GET", "HEAD"]
    assert found["studies/{study}/series/{series}/instances/{instance}/bulkdata/{place}"] == ["GET", "HEAD"]


def test_a_partner_finds_and_gets_its_own_only(archive: Archive) -> None:
    """What another has sent is like none at all, on every way to it, and each attempt is on record."""
    site = archive.site
    other = site.hayat("partner", "add", "--name", "Other", "--fhir-url", "https://other.example/fhir")
    for name, found, got in (("PACS", 200, 200), ("Other", 204, 404)):
        headers = {"Authorization": f"Bearer {site.hayat('token', '--partner', name).strip()}"}
        with httpx.Client(base_url=f"{site.url}/dicomweb", headers=headers, timeout=60, trust_env=False) as http:
            study = archive.images["CT0"].StudyInstanceUID
            for path in ("/studies", f"/studies?StudyInstanceUID={study}", f"/studies/{study}/series"):
                assert http.get(path).status_code == found
            uids = {"studyUID": study, "seriesUID": archive.images["CT0"].SeriesInstanceUID}
            asked = {"requestType": "WADO", **uids, "objectUID": archive.images["CT0"].SOPInstanceUID}
            assert http.get("/wado", params=asked).status_code == got
            for path in ("", "/metadata", "/frames/1", "/rendered"):
                assert http.get(archive.path("CT0") + path).status_code == got
    with archive.http("staff") as http:
        params = {"outcome": "4", "agent": f"Organization/{other}"}
        events = [one["resource"] for one in http.get(f"{site.url}/fhir/AuditEvent", params=params).json()["entry"]]
    assert [event["type"]["code"] for event in events] == ["110103"] * 5


async def test_what_nobody_foresaw() -> None:
    """A fault says that there was one, and nothing of what it was."""

    class Broken:
        async def caller(self, token: str, address: str | None = None) -> Any:
            raise RuntimeError(f"canary {token} {address}")

    nothing = cast("Any", None)
    door = application(Services(Broken(), nothing, nothing, nothing, nothing, nothing), "http://127.0.0.1")
    transport = httpx.ASGITransport(door, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        answer = await http.get("/dicomweb/studies", headers={"Authorization": "Bearer canary"})
    assert answer.status_code == 500
    assert outcome(answer)["code"] == "exception"
    assert "canary" not in answer.text
