"""Answers of the DICOMweb door: files and parts as streams, JSON, and refusals.

PS3.18 8.6, RFC 2387 (multipart/related).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from hayat_fhir.dicomweb.media_types import DICOM, MULTIPART
from hayat_fhir.errors import Refusal
from hayat_fhir.fhir.json import serialize
from hayat_fhir.fhir.outcomes import operation_outcome
from hayat_fhir.services.retrieval import Retrieved

_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its media type, where it is to be had, and its content or the file that holds it."""

    media: str
    content: bytes | Path
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
    """Parts of one kind, streamed one after the other; no more than one chunk of them is in memory."""
    boundary = token_hex(16)
    tail = f"--{boundary}--\r\n".encode()
    media = f'{MULTIPART}; type="{kind}"; boundary={boundary}'
    if all(isinstance(part.content, bytes) for part in parts):
        held = [bit for part in parts for bit in (part.head(boundary), part.content, b"\r\n") if isinstance(bit, bytes)]
        return Response(b"".join([*held, tail]), media_type=media)
    length = sum(len(part.head(boundary)) + part.length + 2 for part in parts) + len(tail)
    return StreamingResponse(
        _enclosed(parts, boundary, tail),
        headers={"content-length": str(length)},
        media_type=media,
    )


async def refused(request: Request, error: Exception) -> Response:
    """A refusal, as an OperationOutcome."""
    del request
    status = error.status if isinstance(error, Refusal) else 500
    headers = {"www-authenticate": 'Bearer realm="dicomweb"'} if status == 401 else {}
    outcome = operation_outcome(error if isinstance(error, Refusal) else [])
    return Response(serialize(outcome), status, headers=headers, media_type="application/fhir+json")


async def _enclosed(parts: Sequence[Part], boundary: str, tail: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part.head(boundary)
        async for chunk in _content(part):
            yield chunk
        yield b"\r\n"
    yield tail


async def _content(part: Part) -> AsyncIterator[bytes]:
    if isinstance(part.content, bytes):
        yield part.content
        return
    file = await asyncio.to_thread(part.content.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
    finally:
        file.close()
