"""Partners' servers may be slow, broken or hostile: what this site fetches from them is bounded in bytes and time."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import uvicorn
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hayat_fhir.errors import InvalidRequest, NotFound, Refusal, Unavailable, Unprocessable
from hayat_fhir.rest.outbound import PartnerClient
from hayat_fhir.store.partners import Partner

Answering = Callable[[asyncio.StreamWriter], Awaitable[None]]


def _answer(body: bytes, status: str = "200 OK", *headers: str) -> Answering:
    async def send(writer: asyncio.StreamWriter) -> None:
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
        writer.write("\r\n".join([*head, "", ""]).encode() + body)

    return send


async def _dribble(writer: asyncio.StreamWriter) -> None:
    """A body that never stops for long, and never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.2)


async def _silence(writer: asyncio.StreamWriter) -> None:
    del writer
    await asyncio.sleep(3600)


@asynccontextmanager
async def _server(answering: Answering) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server of one answer: its URL, and the request lines that have come."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        try:
            await answering(writer)
            await writer.drain()
        except OSError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json", asked
    finally:
        server.close()


@pytest.fixture
async def client() -> AsyncIterator[PartnerClient]:
    """This site as a client."""
    client = PartnerClient("http://127.0.0.1:1/fhir", lambda endpoint, client: f"{endpoint} {client}")
    yield client
    await client.close()


def _keys(number: int = 1) -> dict[str, Any]:
    public = ECKey.generate_key("P-384", auto_kid=True).as_dict(private=False)
    return {"keys": [public] * number}


@pytest.mark.parametrize(
    ("answering", "refusal"),
    [
        (_answer(b" " * 10 * 2**20), Unprocessable),
        (_answer(json.dumps(_keys(10_000)).encode()), Unprocessable),
        (_answer(b"{}", "500 Internal Server Error"), Unavailable),
        (_answer(b"", "302 Found", "Location: http://127.0.0.1:1/"), Unprocessable),
        (_answer(b"<html>canary</html>", "200 OK", "Content-Type: text/html"), InvalidRequest),
        (_answer(b'{"keys": {}}'), InvalidRequest),
        (_answer(b'{"keys": [], "keys": []}'), InvalidRequest),
        (_answer(b"[" * 60_000), InvalidRequest),
        (_dribble, Unavailable),
        (_silence, Unavailable),
    ],
)
async def test_a_key_set_is_bounded(client: PartnerClient, answering: Answering, refusal: type[Refusal]) -> None:
    """Too large, broken, redirected, without end: refused in the time that is given, with nothing of what came."""
    async with _server(answering) as (url, asked), asyncio.timeout(30):
        with pytest.raises(refusal) as caught:
            await client.jwks(url)
    assert len(asked) == 1
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://partner.example/jwks",
        "http://127.0.0.1.evil.example/jwks",
        "https://user:secret@partner.example/jwks",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
    ],
)
async def test_other_urls_are_not_called(client: PartnerClient, url: str) -> None:
    """Only https, or this machine; by the host as it is parsed, and without credentials in it."""
    with pytest.raises(Unprocessable):
        await client.jwks(url)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("max-age=90", 90.0),
        ("public, max-age=5, must-revalidate", 5.0),
        ("no-store", 0.0),
        ("private, no-cache", 0.0),
        ("s-maxage=7", None),
    ],
)
async def test_a_key_set_says_how_long_it_may_be_kept(
    client: PartnerClient, header: str | None, seconds: float | None
) -> None:
    """Its Cache-Control counts."""
    headers = [f"Cache-Control: {header}"] if header else []
    async with _server(_answer(json.dumps(_keys()).encode(), "200 OK", *headers)) as (url, _):
        assert (await client.jwks(url))[1] == seconds


@asynccontextmanager
async def _partner(**answers: tuple[int, object]) -> AsyncIterator[tuple[Partner, list[str]]]:
    """A partner that answers by the last segment of the path, as told or as usual; and what it has been asked."""
    asked: list[str] = []

    async def answer(request: Request) -> Response:
        last = request.url.path.rpartition("/")[2].strip("$_").replace("-", "_")
        asked.append(f"{request.method} {request.url.path} {(await request.body()).decode()}".strip())
        usual = {
            "smart_configuration": (200, {"token_endpoint": f"{base}/token"}),
            "token": (200, {"access_token": "t", "expires_in": 300}),
        }
        status, content = (usual | answers)[last]
        return JSONResponse(content, status)

    listening = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    application = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(application, log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield Partner("p", "Partner", "p", fhir_url=f"{base}/fhir"), asked
    finally:
        server.should_exit = True
        await serving


def _bundle(*patients: tuple[str, str]) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "entry": [
            {"resource": {"resourceType": "Patient", "id": id, "identifier": [{"system": "urn:s", "value": value}]}}
            for id, value in patients
        ],
    }


@pytest.mark.parametrize(
    ("bundle", "id"),
    [
        (_bundle(("one", "1|2")), "one"),
        (_bundle(), None),
        ({"resourceType": "Bundle"}, None),
        (_bundle(("one", "1|2"), ("two", "1|2")), None),
        (_bundle(("one", "3"), ("two", "1|2")), "two"),
        (_bundle(("../Patient", "1|2")), None),
        (_bundle(("..", "1|2")), None),
        ({"entry": [7, {"resource": 7}, {"resource": {"resourceType": "Patient", "identifier": [7]}}]}, None),
        ({"entry": 7}, None),
    ],
)
async def test_a_patient_is_known_by_one_exact_match(
    client: PartnerClient, bundle: dict[str, Any], id: str | None
) -> None:
    """Whatever the partner answers: what has another identifier, or an id that is none, is not the patient."""
    async with _partner(search=(200, bundle)) as (partner, asked):
        assert await client.patient(partner, "urn:s", "1|2") == id
    assert asked[-1] == "POST /fhir/Patient/_search identifier=urn%3As%7C1%5C%7C2&_count=2"


@pytest.mark.parametrize(
    ("answers", "refusal"),
    [
        ({"search": (200, [])}, Unprocessable),
        ({"search": (403, {})}, Unprocessable),
        ({"search": (401, {})}, Unavailable),
        ({"search": (500, {})}, Unavailable),
        ({"token": (200, {})}, Unprocessable),
        ({"token": (200, {"access_token": "t", "expires_in": []})}, Unprocessable),
        ({"token": (400, {"error": "invalid_client"})}, Unprocessable),
        ({"smart_configuration": (200, "no")}, Unprocessable),
    ],
)
async def test_a_search_that_fails_says_why(
    client: PartnerClient, answers: dict[str, tuple[int, object]], refusal: type[Refusal]
) -> None:
    """The partner is down, or is wrong: never a fault of this site's, nor of whoever asks it."""
    async with _partner(**answers) as (partner, _):
        with pytest.raises(refusal):
            await client.patient(partner, "urn:s", "1")


@pytest.mark.parametrize(
    ("status", "refusal"),
    [(403, NotFound), (404, NotFound), (405, Unprocessable), (501, Unprocessable), (429, Unavailable)],
)
async def test_a_share_that_is_refused_says_why(client: PartnerClient, status: int, refusal: type[Refusal]) -> None:
    """Not shared, not offered, or not now."""
    async with _partner(share=(status, {})) as (partner, _):
        with pytest.raises(refusal):
            await client.ask(partner, "one")


async def test_a_share_is_asked_for_without_a_body(client: PartnerClient) -> None:
    """The partner knows by the token who asks."""
    async with _partner(share=(202, {})) as (partner, asked):
        await client.ask(partner, "one")
    assert asked[-1] == "POST /fhir/Patient/one/$share"


@asynccontextmanager
async def _hospitals(token_endpoint: str | None = None) -> AsyncIterator[tuple[Partner, list[str], list[str]]]:
    """A partner that names the token endpoint of another hospital, or the one given; what each has been asked."""
    async with _partner() as (other, asked_of_other):
        named = token_endpoint or f"{(other.fhir_url or '').removesuffix('/fhir')}/token"
        statement = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
        answers = {"metadata": (200, statement), "search": (200, _bundle())}
        async with _partner(**answers, smart_configuration=(200, {"token_endpoint": named})) as (partner, asked):
            yield partner, asked, asked_of_other


@pytest.mark.parametrize(
    "token_endpoint",
    [
        None,
        "http://localhost:1/token",
        "https://127.0.0.1/token",
        "http://[",
        "http://127.0.0.1:99999/token",
        "http:///",
    ],
)
async def test_another_hospitals_token_never_goes_to_a_partner(
    client: PartnerClient, token_endpoint: str | None
) -> None:
    """A token endpoint of another origin than the FHIR base is not called, and the trial of the connection says so."""
    async with _hospitals(token_endpoint) as (partner, asked, asked_of_other):
        with pytest.raises(Unprocessable) as caught:
            await client.transaction(partner, {"resourceType": "Bundle", "type": "transaction"})
        with pytest.raises(Unprocessable) as tried:
            await client.metadata(partner)
    assert asked_of_other == []
    assert not any(line.startswith("POST") for line in asked)
    assert str(caught.value) == str(tried.value)
    if token_endpoint is None:
        assert "on another server" in str(caught.value)


async def test_a_token_is_for_one_url(client: PartnerClient) -> None:
    """A partner whose FHIR base has been changed is not sent the token of the former one."""
    async with _partner(search=(200, _bundle())) as (former, _), _partner(search=(200, _bundle())) as (now, asked):
        assert await client.patient(former, "urn:s", "1") is None
        assert await client.patient(replace(former, fhir_url=now.fhir_url), "urn:s", "1") is None
        assert [line.split()[1] for line in asked] == [
            "/fhir/.well-known/smart-configuration",
            "/token",
            "/fhir/Patient/_search",
        ]
