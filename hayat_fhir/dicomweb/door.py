"""WADO-RS: an image as it was received, for whoever may see its ImagingStudy.

PS3.18 section 10.4. The same tokens and the same policy as ``/fhir``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from secrets import token_hex
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from hayat_fhir.errors import NotAcceptable, Refusal, Unauthenticated
from hayat_fhir.fhir.json import serialize
from hayat_fhir.fhir.outcomes import operation_outcome
from hayat_fhir.security.callers import Caller
from hayat_fhir.services.retrieval import Retrieval, Retrieved

_CHUNK = 256 * 1024
_DICOM = "application/dicom"
_MULTIPART = "multipart/related"


class Authenticates(Protocol):
    """Knows the holder of a token."""

    async def caller(self, token: str, address: str | None = None) -> Caller:
        """The token's holder; raises Unauthenticated."""
        ...


def application(authentication: Authenticates, retrieval: Retrieval) -> Starlette:
    """The DICOMweb door, to be mounted at ``/dicomweb``."""
    door = _Door(authentication, retrieval)
    path = "/dicomweb/studies/{study}/series/{series}/instances/{instance}"
    return Starlette(routes=[Route(path, door.instance, methods=["GET"])], exception_handlers={Refusal: _refused})


class _Door:
    def __init__(self, authentication: Authenticates, retrieval: Retrieval) -> None:
        self._authentication = authentication
        self._retrieval = retrieval

    async def instance(self, request: Request) -> Response:
        """One instance, alone or as the one part of a multipart answer, as the client accepts."""
        caller = await self._authentication.caller(_bearer(request), request.client.host if request.client else None)
        multipart = _wants_multipart(request.headers.get("accept", "*/*"))
        names = request.path_params
        image = await self._retrieval.instance(caller, names["study"], names["series"], names["instance"])
        kind = f"{_DICOM}; transfer-syntax={image.transfer_syntax}"
        if not multipart:
            headers = {"content-length": str(image.length), "content-disposition": "attachment"}
            return StreamingResponse(_file(image), headers=headers, media_type=kind)
        boundary = token_hex(16)
        head = f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        return StreamingResponse(
            _enclosed(head, image, tail),
            headers={"content-length": str(len(head) + image.length + len(tail))},
            media_type=f'{_MULTIPART}; type="{_DICOM}"; boundary={boundary}',
        )


async def _file(image: Retrieved) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(image.path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
    finally:
        file.close()


async def _enclosed(head: bytes, image: Retrieved, tail: bytes) -> AsyncIterator[bytes]:
    yield head
    async for chunk in _file(image):
        yield chunk
    yield tail


def _wants_multipart(accept: str) -> bool:
    """Whether the answer is multipart (the standard's default) or the bare file.

    Raises:
        NotAcceptable: The client takes neither.
    """
    ranges = [_media_range(part) for part in accept.split(",")]
    for media, parameters in sorted(ranges, key=_weight, reverse=True):
        if _weight((media, parameters)) <= 0:
            break
        if media in {_MULTIPART, "multipart/*", "*/*"} and parameters.get("type", _DICOM) == _DICOM:
            return True
        if media in {_DICOM, "application/*"}:
            return False
    raise NotAcceptable("only application/dicom, alone or in multipart/related, is served here")


def _media_range(text: str) -> tuple[str, dict[str, str]]:
    """A media range and its parameters."""
    media, *rest = text.lower().split(";")
    parameters = (part.partition("=") for part in rest)
    return media.strip(), {name.strip(): value.strip().strip('"') for name, _, value in parameters}


def _weight(media_range: tuple[str, dict[str, str]]) -> float:
    """How much the client wants it; a weight that cannot be read does not count against it."""
    try:
        return float(media_range[1].get("q", "1"))
    except ValueError:
        return 1.0


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("a bearer token is needed")
    return token


async def _refused(request: Request, error: Exception) -> Response:
    del request
    issues: Refusal | Sequence[Any] = error if isinstance(error, Refusal) else []
    status = error.status if isinstance(error, Refusal) else 500
    headers: Mapping[str, str] = {"www-authenticate": 'Bearer realm="dicomweb"'} if status == 401 else {}
    return Response(
        serialize(operation_outcome(issues)), status, headers=dict(headers), media_type="application/fhir+json"
    )
