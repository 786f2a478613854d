"""Answers of the DICOMweb door: files and parts as streams, JSON, and refusals.

PS3.18 8.6, RFC 2387 (multipart/related).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Match

from hayat_fhir.dicomweb.media_types import DICOM, MULTIPART
from hayat_fhir.errors import HTTP_STATUS, Category, Issue, MethodNotAllowed, NotFound, Refusal
from hayat_fhir.fhir.json import serialize
from hayat_fhir.fhir.outcomes import operation_outcome
from hayat_fhir.services.frames import Ranges, read_into
from hayat_fhir.services.retrieval import Retrieved

_CHUNK = 256 * 1024
_BREAK = b"\r\n"
_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))", re.ASCII)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes that lie in a file, in pieces of which offset and length are known."""

    path: Path
    ranges: Ranges

    def __len__(self) -> int:
        return sum(length for _, length in self.ranges)


Held = bytes | Stretch
"""What fits into memory."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its media type, where it is to be had, and its content or the file that holds it."""

    media: str
    content: Held | Path
    length: int
    location: str = ""

    def head(self, boundary: str) -> bytes:
        """What stands before it."""
        location = f"\r\nContent-Location: {self.location}" if self.location else ""
        length = f"\r\nContent-Length: {self.length}"
        return f"--{boundary}\r\nContent-Type: {self.media}{length}{location}\r\n\r\n".encode()


def file_part(image: Retrieved, location: str = "") -> Part:
    """The file of an image."""
    return Part(f"{DICOM}; transfer-syntax={image.transfer_syntax}", image.path, image.length, location)


def single(part: Part) -> Response:
    """One part as the whole answer."""
    headers = {"content-length": str(part.length), "content-disposition": "attachment"}
    return StreamingResponse(_content(part), headers=headers, media_type=part.media)


def multipart(parts: Sequence[Part], kind: str) -> Response:
    """Parts of one kind, streamed one after the other; no more than one chunk of a file is in memory."""
    boundary = token_hex(16)
    tail = f"--{boundary}--\r\n".encode()
    length = sum(len(part.head(boundary)) + part.length + len(_BREAK) for part in parts) + len(tail)
    return StreamingResponse(
        _enclosed(parts, boundary, tail),
        headers={"content-length": str(length)},
        media_type=_media(kind, boundary),
    )


def ranged(part: Part, content: bytes, asked: str) -> Response:
    """One part of this content, or the range of its bytes that the header field Range asks for (RFC 9110 14.2).

    What is not one range of bytes is not served here, and gets the whole, as the standard has it.
    """
    found = _RANGE.fullmatch(asked)
    first, last, suffix = found.groups() if found else (None, None, None)
    if found is None or (first and last and int(last) < int(first)):
        whole = single(part)
        whole.headers["accept-ranges"] = "bytes"
        return whole
    start = int(first) if first else max(part.length - int(suffix or 0), 0)
    end = min(int(last) + 1, part.length) if last else part.length
    if start >= part.length:
        return Response(status_code=416, headers={"content-range": f"bytes */{part.length}"})
    headers = {"content-range": f"bytes {start}-{end - 1}/{part.length}", "content-disposition": "attachment"}
    return Response(content[start:end], 206, headers=headers, media_type=part.media)


async def held(part: Part) -> Response:
    """One part that fits into memory as the whole answer.

    Raises:
        NotFound: The file ends before what is asked for.
    """
    answer = memoryview(bytearray(part.length))
    await _fill(answer, part.content)
    return Response(answer, headers={"content-disposition": "attachment"}, media_type=part.media)


async def gathered(parts: Sequence[Part], kind: str) -> Response:
    """Parts of one kind that fit into memory, read to where they leave from: each byte is copied once.

    Raises:
        NotFound: A file ends before what is asked for.
    """
    boundary = token_hex(16)
    heads = [part.head(boundary) for part in parts]
    tail = f"--{boundary}--\r\n".encode()
    length = sum(len(head) + part.length + len(_BREAK) for head, part in zip(heads, parts, strict=True)) + len(tail)
    answer, at = memoryview(bytearray(length)), 0
    for head, part in zip(heads, parts, strict=True):
        start, end = at + len(head), at + len(head) + part.length
        answer[at:start] = head
        await _fill(answer[start:end], part.content)
        at = end + len(_BREAK)
        answer[end:at] = _BREAK
    answer[at:] = tail
    return Response(answer, media_type=_media(kind, boundary))


async def refused(request: Request, error: Exception) -> Response:
    """A refusal, as an OperationOutcome."""
    del request
    assert isinstance(error, Refusal)  # noqa: S101 - the handler is registered for Refusal
    headers = {"www-authenticate": 'Bearer realm="dicomweb"'} if error.status == 401 else {}
    return _outcome(error.status, error.issues, headers)


async def no_route(request: Request, error: Exception) -> Response:
    """404 for a path and 405 for a method that the door does not have; with what methods the path has.

    OPTIONS asks for no more than these.
    """
    if getattr(error, "status_code", 404) != HTTP_STATUS[Category.METHOD]:
        return await refused(request, NotFound("no such path"))
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    allow = {"allow": ", ".join(sorted({"OPTIONS", *(method for route in routes for method in route.methods)}))}
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=allow)
    answer = await refused(request, MethodNotAllowed("this path does not have that method"))
    answer.headers.update(allow)
    return answer


async def fault(request: Request, error: Exception) -> Response:
    """What nobody foresaw; Starlette raises it again afterwards, for the log."""
    del request, error
    return _outcome(500, [Issue("exception", "internal error", severity="fatal")], {})


def _outcome(status: int, issues: Sequence[Issue], headers: Mapping[str, str]) -> Response:
    outcome = serialize(operation_outcome(issues))
    return Response(outcome, status, headers=headers, media_type="application/fhir+json")


async def _enclosed(parts: Sequence[Part], boundary: str, tail: bytes) -> AsyncIterator[bytes | memoryview]:
    for part in parts:
        yield part.head(boundary)
        async for chunk in _content(part):
            yield chunk
        yield _BREAK
    yield tail


async def _content(part: Part) -> AsyncIterator[bytes | memoryview]:
    if not isinstance(part.content, Path):
        filled = memoryview(bytearray(part.length))
        await _fill(filled, part.content)
        yield filled
        return
    file = await asyncio.to_thread(part.content.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
    finally:
        file.close()


async def _fill(into: memoryview, content: Held | Path) -> None:
    match content:
        case bytes():
            into[:] = content
        case Path():
            await read_into(content, ((0, len(into)),), into)
        case Stretch(path, ranges):
            await read_into(path, ranges, into)


def _media(kind: str, boundary: str) -> str:
    return f'{MULTIPART}; type="{kind}"; boundary={boundary}'
