"""Request bodies of the legacy routes: JSON, or a form with perhaps one picture in it; bounded in bytes and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import Request

from hayat_fhir.errors import InvalidRequest, TooLarge, UnsupportedMedia
from hayat_fhir.fhir.json import parse

JSON_LIMIT = 2**20
"""Bytes of a JSON body."""

SIGN_IN_LIMIT = 2**14
"""Bytes of what people sign in with."""

FORM_LIMIT = 6 * 2**20
"""Bytes of a form, the picture included."""

_SECONDS = 30.0
_MOST_FIELDS = 50
_PHOTO = "photo"


async def document(request: Request, limit: int = JSON_LIMIT) -> dict[str, Any]:
    """The body as a JSON object.

    Raises:
        UnsupportedMedia: Not JSON.
        InvalidRequest: Not one well-formed object.
        TooLarge: More than ``limit`` bytes.
    """
    if _media(request) != "application/json":
        raise UnsupportedMedia("the body is application/json")
    async with _in_time():
        body = b"".join([part async for part in _bounded(request, limit)])
    return parse(body, limit=limit)


async def form_or_document(request: Request) -> tuple[dict[str, Any] | dict[str, str], bytes | None, bool]:
    """The fields, the picture where there is one, and whether they came in a form (then all values are texts).

    Raises:
        UnsupportedMedia: Neither JSON nor a form.
        InvalidRequest: Malformed, a field twice, or a file that is no picture field.
        TooLarge: More bytes or fields than allowed.
    """
    media = _media(request)
    if media not in {"multipart/form-data", "application/x-www-form-urlencoded"}:
        return await document(request), None, False
    stream = _bounded(request, FORM_LIMIT)
    parser: MultiPartParser | FormParser = (
        MultiPartParser(request.headers, stream, max_files=1, max_fields=_MOST_FIELDS, max_part_size=JSON_LIMIT)
        if media == "multipart/form-data"
        else FormParser(request.headers, stream)
    )
    try:
        async with _in_time():
            form = await parser.parse()
    except (MultiPartException, HTTPException, KeyError, ValueError) as error:
        raise InvalidRequest("the form is malformed", code="structure") from error
    fields: dict[str, str] = {}
    photo: bytes | None = None
    try:
        for name, value in form.multi_items():
            if name in fields or (name == _PHOTO and photo is not None):
                raise InvalidRequest("a field is given twice", code="structure", expression=["form"])
            if isinstance(value, UploadFile):
                if name != _PHOTO:
                    raise InvalidRequest("only photo is a file", code="structure", expression=["form"])
                photo = await value.read()
            else:
                fields[name] = value
    finally:
        await form.close()
    return fields, photo or None, True


def texts(content: Mapping[str, Any], required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, str]:
    """The texts of an object that has these fields and no others.

    Raises:
        InvalidRequest: One is missing, no text, or unknown.
    """
    for name in content:
        if name not in {*required, *optional}:
            raise InvalidRequest("there is no such field", code="structure", expression=["body"])
    for name in required:
        if not isinstance(content.get(name), str) or not content[name]:
            raise InvalidRequest("must be a text", code="value", expression=[name])
    for name in optional:
        if not isinstance(content.get(name, ""), str):
            raise InvalidRequest("must be a text", code="value", expression=[name])
    return {name: str(value) for name, value in content.items()}


def _media(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_SECONDS):
            yield
    except TimeoutError as error:
        raise InvalidRequest("the body did not arrive in time", code="timeout") from error


async def _bounded(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """The body, until it is more than ``limit`` bytes."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise TooLarge(f"the body is over {limit} bytes")
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLarge(f"the body is over {limit} bytes")
        yield part
