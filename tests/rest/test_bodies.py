"""Bodies that must not get in: malformed, mistyped, oversized, endless."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from hayat_fhir.rest.bodies import TooSlow, body
from hayat_fhir.rest.messages import Message, Request

from .clients import issues, patient

JSON = {"Content-Type": "application/fhir+json"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"resourceType":"Patient","gender":"male","gender":"female"}',
        b'{"resourceType":"Patient","multipleBirthInteger":NaN}',
        b'{"resourceType":"Patient","multipleBirthInteger":1e400}',
        b'{"resourceType":"Patient","multipleBirthInteger":9223372036854775808}',
        b'{"resourceType":"Patient","name":[{"family":"\xff"}]}',
        b'{"resourceType":"Patient","name":[{"family":"\\ud800"}]}',
        b'{"resourceType":"Patient","name":[{"family":"\\u0000"}]}',
        b'\xef\xbb\xbf{"resourceType":"Patient"}',
        b'{"resourceType":"Patient"}{"resourceType":"Patient"}',
        b'{"resourceType":"Patient"} // canary',
        b"[]",
        b"null",
        b"",
        b"[" * 100_000,
        b'{"resourceType":"Patient","extension":' + b'[{"url":"x","extension":' * 300 + b"[]" + b"}]" * 300 + b"}",
        b'{"resourceType":"Patient","unknown":"canary"}',
        b'{"resourceType":"Patient","gender":"canary"}',
        b'{"resourceType":"Canary"}',
        b'{"active":true}',
        b'{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">'
        b'<script>canary</script></div>"}}',
    ],
)
async def test_malformed_resources_are_refused(staff: httpx.AsyncClient, body: bytes) -> None:
    """400 within a moment, with an OperationOutcome that repeats nothing of the body."""
    started = time.perf_counter()
    answer = await staff.post("/Patient", content=body, headers=JSON)
    assert answer.status_code in {400, 422}
    assert issues(answer)
    assert "canary" not in answer.text.lower()
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/fhir+xml", "application/json-patch+json"])
async def test_other_content_types_are_refused(staff: httpx.AsyncClient, content_type: str | None) -> None:
    """415 for what is not JSON, or does not say so."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = await staff.post("/Patient", content=json.dumps(patient()), headers=headers)
    assert answer.status_code == 415


async def test_content_encodings_are_refused(staff: httpx.AsyncClient) -> None:
    """A compressed body could hide any size."""
    headers = {**JSON, "Content-Encoding": "gzip"}
    answer = await staff.post("/Patient", content=gzip.compress(b" " * 10**6), headers=headers)
    assert answer.status_code == 415


async def test_an_oversized_resource_is_refused(staff: httpx.AsyncClient) -> None:
    """413, whether its length is announced or not; a Bundle may be larger."""
    body = json.dumps({**patient(), "language": "x" * (15 * 2**20)}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 2**20):
            yield body[start : start + 2**20]

    assert (await staff.post("/Patient", content=body, headers=JSON)).status_code == 413
    assert (await staff.post("/Patient", content=chunks(), headers=JSON)).status_code == 413
    answer = await staff.post("/", content=body, headers=JSON)
    assert answer.status_code == 400


async def test_a_huge_announced_body_is_refused_without_reading_it(raw: httpx.URL, staff: httpx.AsyncClient) -> None:
    """200 MB announced: the answer comes while hardly anything has been sent."""
    reader, writer = await asyncio.open_connection(raw.host, raw.port)
    writer.write(
        b"POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\n"
        b"Authorization: " + staff.headers["Authorization"].encode() + b"\r\nContent-Length: 209715200\r\n\r\n{"
    )
    async with asyncio.timeout(60):
        status = await reader.readline()
    assert b" 413 " in status
    writer.close()


async def test_an_unauthenticated_body_is_not_read(raw: httpx.URL) -> None:
    """Who is not known gets 401 and the connection is closed, whatever is still to come."""
    reader, writer = await asyncio.open_connection(raw.host, raw.port)
    writer.write(b"POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
    async with asyncio.timeout(60):
        answer = await reader.read()
    assert b" 401 " in answer.partition(b"\r\n")[0]
    writer.close()


async def test_a_refused_client_that_waits_to_send_is_answered_at_once(raw: httpx.URL) -> None:
    """No 100 Continue for a body that nobody wants."""
    reader, writer = await asyncio.open_connection(raw.host, raw.port)
    writer.write(b"POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
    async with asyncio.timeout(60):
        answer = await reader.read()
    assert b" 401 " in answer.partition(b"\r\n")[0]
    writer.close()


async def test_a_body_without_end_is_given_up() -> None:
    """A client that dribbles cannot hold a request for ever: 408."""

    async def receive() -> Message:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    request = Request({"type": "http", "method": "POST", "headers": [(b"transfer-encoding", b"chunked")]}, receive)
    with pytest.raises(TooSlow) as caught:
        await body(request, 10**6, seconds=0.1)
    assert caught.value.status == 408
