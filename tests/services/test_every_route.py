"""Every route of every door: nobody gets in without a token, and a fault tells nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from hayat_fhir.app import Site
from hayat_fhir.http_process import web_application
from hayat_fhir.security.callers import Role
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.authentication import Authentication

_CANARY = "Qxzzv-canary-4410"


async def _failing(*_: object, **__: object) -> None:
    raise RuntimeError(_CANARY) from KeyError(_CANARY)


def _requests(application: Any) -> Iterator[tuple[str, str]]:
    """Method and path of every route that needs a token, from the doors' own tables."""
    values = {"type": "Observation", "id": "x", "version": "1", "number:int": "1"}
    doors = application._doors
    for route in doors["fhir"]._routes.all:
        if not route.public:
            for method in route.actions:
                yield method, "/fhir/" + "/".join(values.get(part[1:-1], part) for part in route.template.split("/"))
    for door, root in (("api", "/api/v1"), ("dicomweb", "")):
        inner = getattr(doors[door], "_app", doors[door])
        for route in inner.router.routes:
            if isinstance(route, Route) and not _public(route.path):
                path = route.path
                for name in route.param_convertors:
                    path = path.replace(f"{{{name}:path}}", "1").replace(f"{{{name}}}", "1")
                for method in (route.methods or {"GET"}) - {"HEAD"}:
                    yield method, f"{root}{path}"


def _public(path: str) -> bool:
    return path.startswith("/photo") or path.endswith(("/login", "/register", "/reset"))


async def test_there_is_no_way_in_without_a_token(site: Site) -> None:
    """Every route of every door, asked by nobody and by somebody with a token of nobody's: 401, whatever is sent."""
    application = web_application(site)
    requests = sorted(set(_requests(application)))
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url=site.settings.site_url) as client:
        for headers in ({}, {"authorization": "Bearer a.b.c"}, {"x-acess-token": "a.b.c"}, {"cookie": "token=a.b.c"}):
            for method, path in requests:
                answer = await client.request(method, path, headers=headers, json={})
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"].startswith("Bearer"), (method, path)


@pytest.mark.parametrize("where", [(Authentication, "caller"), (Auditing, "record")], ids=lambda where: where[1])
async def test_a_fault_in_any_route_tells_nothing(
    site: Site, where: tuple[type, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """500 and the request's id; no trace, path, query, host or value, neither in the answer nor in the log."""
    account = await site.registration.account(Role.STAFF, "s@site.example", "Staff", "violet-marmot-47-lantern")
    headers = {
        "authorization": f"Bearer {site.authorization.token_for_account(account)}",
        "x-request-id": "asked-4410",
        "content-type": "application/fhir+json",
    }
    application = web_application(site)
    requests = sorted(set(_requests(application)))
    assert len(requests) > 60
    monkeypatch.setattr(*where, _failing)
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    failed = 0
    async with httpx.AsyncClient(transport=transport, base_url=site.settings.site_url, headers=headers) as client:
        for method, path in requests:
            answer = await client.request(method, path)
            if where[1] == "caller":
                assert answer.status_code == 500, (method, path)
            failed += answer.status_code == 500
            assert answer.headers["x-request-id"] == "asked-4410"
            assert _CANARY not in answer.text, (method, path)
            if answer.status_code == 500:
                told = ("Traceback", "RuntimeError", "KeyError", ".py", path, site.settings.site_url)
                assert [text for text in told if text in answer.text] == [], (method, path)
    assert failed >= (len(requests) if where[1] == "caller" else 30)
    said = "".join(capfd.readouterr())
    assert _CANARY not in said
