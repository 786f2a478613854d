"""Health, figures, and faults that nobody foresaw."""

import json
from collections.abc import MutableMapping
from typing import Any

import httpx
import pytest
import structlog
from prometheus_client import CollectorRegistry

from hayat_fhir.errors import Unavailable
from hayat_fhir.rest.guard import AnswerAborted, Guard
from hayat_fhir.rest.messages import Receive, Scope, Send
from hayat_fhir.rest.metrics import Metrics

from .clients import patient, post


async def test_health(anonymous: httpx.AsyncClient) -> None:
    """Live at once; ready names the components."""
    assert (await anonymous.get("/health/live")).status_code == 200
    answer = await anonymous.get("/health/ready")
    assert answer.status_code in {200, 503}
    components = answer.json()["components"]
    assert components
    assert (answer.status_code == 200) == all(state == "up" for state in components.values())


async def test_figures_count_routes_and_never_ids(anonymous: httpx.AsyncClient, staff: httpx.AsyncClient) -> None:
    """Templates, methods and status codes; no id, no parameter."""
    id = (await post(staff, patient()))["id"]
    await staff.get(f"/Patient/{id}")
    await staff.get("/Patient?family=FamilyCanary")
    await anonymous.get("/PathCanary")
    text = (await anonymous.get("/metrics")).text
    assert 'hayat_http_requests_total{method="GET",route="/fhir/{type}/{id}",status="200"}' in text
    assert 'route="/metrics"' in (await anonymous.get("/metrics")).text
    assert id not in text
    assert "Canary" not in text


async def test_figures_are_for_this_machine_and_staff(
    anonymous: httpx.AsyncClient, staff: httpx.AsyncClient, doctor: httpx.AsyncClient
) -> None:
    """A proxied request needs a token of staff."""
    proxied = {"X-Forwarded-For": "192.0.2.1"}
    assert (await anonymous.get("/metrics")).status_code == 200
    assert (await anonymous.get("/metrics", headers=proxied)).status_code == 401
    url = anonymous.base_url.join("/metrics")
    assert (await doctor.get(url, headers=proxied)).status_code == 403
    assert (await staff.get(url, headers=proxied)).status_code == 200


def _guarded(app: Any, capsys_lines: list[str]) -> httpx.AsyncClient:
    log = structlog.wrap_logger(
        structlog.PrintLogger(), processors=[lambda _, __, event: (capsys_lines.append(json.dumps(event)), "")[1]]
    )
    guard = Guard({"failing": app}, app, Metrics(CollectorRegistry()), log)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(guard, raise_app_exceptions=True), base_url="http://127.0.0.1"
    )


async def test_a_fault_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """500 with a number to ask for; the log has the number, the place and the type, but not the message."""
    lines: list[str] = []

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("canary") from KeyError("canary")

    async with _guarded(failing, lines) as client:
        answer = await client.get("/failing/canary?canary", headers={"X-Request-Id": "asked"})
    assert answer.status_code == 500
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert "asked" in answer.text
    assert "canary" not in answer.text
    (line,) = lines
    assert json.loads(line)["request_id"] == "asked"
    causes = json.loads(line)["causes"]
    assert [cause.partition(" ")[0] for cause in causes] == ["builtins.ValueError", "builtins.KeyError"]
    assert "test_operating.py" in causes[0]
    assert "canary" not in line
    assert "canary" not in caplog.text


async def test_a_fault_in_the_middle_of_an_answer_ends_the_connection() -> None:
    """What has been begun cannot be taken back; the server must not pretend that it was whole."""
    lines: list[str] = []

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        start: MutableMapping[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
        await send(start)
        raise ValueError("canary")

    async with _guarded(failing, lines) as client:
        with pytest.raises(AnswerAborted) as caught:
            await client.get("/failing")
    assert "canary" not in str(caught.value)
    assert len(lines) == 1


def test_unavailable_is_503() -> None:
    """A component that is down is not a fault of the request."""
    assert Unavailable("down").status == 503
