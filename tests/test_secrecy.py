"""Nothing that is told to a site in confidence comes out of its log or its figures, and no answer stays in a cache."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hayat_fhir.demonstration_site import Site, free_port
from hayat_fhir.dimse.demonstration import push_examples
from hayat_fhir.errors import Unavailable

SECRET = "Qxzzv7731"
EMAIL = f"{SECRET.lower()}@patient.example"
PASSWORD = f"{SECRET} violet marmot lantern"
REGISTRATION = {
    "name": f"Amina {SECRET}",
    "email": EMAIL,
    "password": PASSWORD,
    "phone": "+20 100 773 1773",
    "gender": "Female",
    "birthdate": "1990-04-30",
    "IDcard": 29004307731773,
    "allergy": SECRET,
}
HOSTILE = (
    f"\x1b[31m{SECRET}",
    f"${{jndi:ldap://{SECRET}/a}}",
    f'"}}\\r\\n{{"event": "{SECRET}"}}',
    SECRET + "a" * 20_000,
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site as a hospital runs it, whose output goes to a file."""
    site = Site("Hospital", "HAYAT", tmp_path_factory.mktemp("secrecy") / "site")
    try:
        site.start()
        site.wait_until_ready()
        site.add_account("doctor")
        site.add_account("staff")
        site.hayat(
            *("partner", "add", "--name", "PACS", "--ae-title", "PACS"),
            *("--host", "127.0.0.1", "--port", str(free_port())),
        )
        yield site
    finally:
        site.stop()


@pytest.fixture(scope="module")
def answers(site: Site) -> list[httpx.Response]:
    """What the site answered to people who told it secrets, rightly and wrongly."""
    found: list[httpx.Response] = []
    with httpx.Client(base_url=site.url, timeout=120, trust_env=False) as client:
        found += [
            client.post("/api/v1/patient/register", json=REGISTRATION),
            client.post("/api/v1/patient/register", json=REGISTRATION),
            client.post("/api/v1/patient/register", json={**REGISTRATION, "birthdate": SECRET, SECRET: SECRET}),
            client.post("/api/v1/patient/login", json={"email": EMAIL, "password": PASSWORD}),
            client.post("/api/v1/patient/login", json={"email": EMAIL, "password": SECRET}),
            client.post("/api/v1/patient/login", content=f'{{"email": "{EMAIL}"'),
            client.post("/oauth/token", data={"grant_type": SECRET, "client_assertion": SECRET}),
        ]
        patient = {"Authorization": f"Bearer {found[3].json()['token']}"}
        doctor, staff = ({"Authorization": f"Bearer {site.token(role)}"} for role in ("doctor", "staff"))
        for headers in (patient, doctor, staff, {}, {"Authorization": f"Bearer {SECRET}"}):
            for path in (
                f"/api/v1/patient/?name={SECRET}&allergy[gt]={SECRET}",
                f"/api/v1/patient/?email={EMAIL}",
                f"/api/v1/patient/{SECRET}",
                "/api/v1/auth/",
                f"/fhir/Patient?name={SECRET}",
                f"/fhir/Patient?birthdate={SECRET}",
                f"/fhir/Patient/{SECRET}",
                f"/fhir/{SECRET}",
                f"/dicomweb/studies/{SECRET}/series/1/instances/1",
                f"/{SECRET}",
            ):
                found.append(client.get(path, headers=headers))
            for text in HOSTILE:
                found.append(client.get("/fhir/Patient", headers={**headers, "User-Agent": text, "X-Request-Id": text}))
            found.append(client.post("/fhir/Patient", headers=headers, content=f'{{"resourceType": "{SECRET}"}}'))
        for headers in (doctor, staff):
            found.append(client.get("/fhir/AuditEvent?_count=200", headers=headers))
    for name in ("PACS", SECRET.upper()):
        try:
            push_examples("127.0.0.1", site.dicom_port, "HAYAT", name, SECRET, SECRET, "19800517")
        except Unavailable:
            assert name != "PACS"
    return found


def test_secrets_stay_out_of_log_and_figures(site: Site, answers: list[httpx.Response]) -> None:
    """Names, numbers, addresses, passwords, tokens and query values: none is there, whatever was wrong with them."""
    assert {answer.status_code for answer in answers} >= {200, 201, 400, 401, 403, 404}
    assert [answer.status_code for answer in answers if answer.status_code >= 500] == []
    told = [SECRET, EMAIL, PASSWORD, REGISTRATION["phone"], str(REGISTRATION["IDcard"]), answers[3].json()["token"]]
    kept = {
        "log": (site.folder / "serve.log").read_text(),
        "figures": httpx.get(f"{site.url}/metrics", trust_env=False).text,
    }
    assert "hayat_http_requests_total" in kept["figures"]
    for name, text in kept.items():
        assert [secret for secret in told if str(secret).casefold() in text.casefold()] == [], name


def test_each_line_of_the_log_is_one_event(site: Site, answers: list[httpx.Response]) -> None:
    """Nothing that is sent begins a line of its own, or sends a terminal an order."""
    text = (site.folder / "serve.log").read_text()
    assert "\x1b" not in text
    for line in text.splitlines():
        assert line.startswith("hayat ") or "event" in json.loads(line), line


def test_no_answer_with_personal_data_is_kept_by_a_cache(answers: list[httpx.Response]) -> None:
    """``no-store`` on every answer about a person, and on every refusal."""
    understood = [answer for answer in answers if answer.text != "Invalid HTTP request received."]
    kept = [answer for answer in understood if answer.headers.get("cache-control") != "no-store"]
    assert [(answer.request.method, answer.request.url.path, answer.status_code) for answer in kept] == []


def test_a_header_cannot_be_broken_in_two(site: Site) -> None:
    """Bare CR or LF in a header field ends the connection or is refused; it reaches neither answer nor log."""
    for ending in ("\r", "\n", "\r\n", "\x00"):
        with socket.create_connection(("127.0.0.1", site.http_port), timeout=10) as connection:
            line = f"x{ending}{SECRET}: injected"
            connection.sendall(f"GET /health/live HTTP/1.1\r\nHost: a\r\nX-Request-Id: {line}\r\n\r\n".encode())
            connection.settimeout(10)
            answer = connection.recv(65536)
        assert SECRET.encode() not in answer
    assert SECRET not in (site.folder / "serve.log").read_text()


def test_the_log_is_private(site: Site, answers: list[httpx.Response]) -> None:
    """What the site keeps, only its own user can read."""
    data = Path(site.settings["HAYAT_DATA_DIR"])
    assert data.stat().st_mode & 0o077 == 0
