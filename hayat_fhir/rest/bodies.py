"""Request bodies: read while they stream in, bounded in bytes and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from hayat_fhir.errors import InvalidRequest, Refusal, TooLarge, UnsupportedMedia
from hayat_fhir.fhir.json import parse
from hayat_fhir.fhir.patch import Operation, operations
from hayat_fhir.rest.messages import Pairs, Request, decoded_pairs
from hayat_fhir.rest.negotiation import check_json, is_form

RESOURCE_LIMIT = 15 * 2**20
"""Bytes of a single resource."""

BUNDLE_LIMIT = 64 * 2**20
"""Bytes of a batch or transaction Bundle."""

FORM_LIMIT = 2**20
"""Bytes of a search form."""

JSON_PATCH = "application/json-patch+json"
"""The media type of the only patch format, RFC 6902."""

SECONDS = 60.0
"""Within which a body must have arrived."""

_DRAIN_SECONDS = 1.0


class ClientGone(Exception):
    """The client went away before its request was complete; nobody is left to answer."""


class TooSlow(Refusal):
    """The body did not arrive in time: HTTP 408."""

    category = InvalidRequest.category

    def __init__(self) -> None:
        super().__init__("the body did not arrive in time", code="timeout")

    @property
    def status(self) -> int:
        """408, which no category has."""
        return 408


async def body(request: Request, limit: int, seconds: float = SECONDS) -> bytes:
    """The whole body.

    Raises:
        TooLarge: More than ``limit`` bytes, announced or sent.
        TooSlow: Not there after ``seconds``.
        UnsupportedMedia: A content encoding.
        ClientGone: The connection ended first.
    """
    if (request.header(b"content-encoding") or "identity").lower() != "identity":
        raise UnsupportedMedia("content encodings are not accepted")
    if int(request.header(b"content-length") or "0") > limit:
        raise TooLarge(f"the body is over {limit} bytes")
    try:
        async with asyncio.timeout(seconds):
            return await _collect(request, limit)
    except TimeoutError as error:
        raise TooSlow from error


async def _collect(request: Request, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise TooLarge(f"the body is over {limit} bytes")
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def drain(request: Request) -> None:
    """Discard what is left of a refused body for up to a second, so that the client gets to read the answer.

    A client that waits for 100 Continue has not sent it, and need not.
    """
    if request.header(b"expect") is not None:
        return
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            while request.unread:
                await request.receive()
    except TimeoutError:
        return


async def resource(request: Request, limit: int = RESOURCE_LIMIT) -> dict[str, Any]:
    """The body as a FHIR resource, not yet validated.

    Raises:
        UnsupportedMedia: Not JSON.
        InvalidRequest: Not one well-formed JSON object.
        TooLarge: More than ``limit`` bytes.
    """
    check_json(request.header(b"content-type") or "")
    return parse(await body(request, limit), limit=limit)


async def json_patch(request: Request) -> tuple[Operation, ...]:
    """The body as the operations of a JSON Patch.

    Raises:
        UnsupportedMedia: Another patch format, or no patch.
        InvalidRequest: Malformed.
        TooLarge: More bytes than a resource may have.
    """
    if (request.header(b"content-type") or "").partition(";")[0].strip().lower() != JSON_PATCH:
        raise UnsupportedMedia(f"a patch is {JSON_PATCH}")
    document = parse(b'{"patch":%b}' % await body(request, RESOURCE_LIMIT), limit=RESOURCE_LIMIT + 10)
    if document.keys() != {"patch"}:
        raise InvalidRequest("a JSON Patch is one array", code="structure")
    return operations(document["patch"])


async def form(request: Request, limit: int = FORM_LIMIT) -> Pairs:
    """The body as a form's pairs; no body at all is an empty form.

    Raises:
        UnsupportedMedia: Not a form.
        InvalidRequest: Malformed.
        TooLarge: More than ``limit`` bytes.
    """
    if not request.unread and request.header(b"content-type") is None:
        return []
    if not is_form(request.header(b"content-type") or ""):
        raise UnsupportedMedia("a form is application/x-www-form-urlencoded")
    return decoded_pairs(await body(request, limit))


def parameters(resource: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The names and primitive values of a Parameters resource.

    Raises:
        InvalidRequest: Not a Parameters resource, or a parameter without exactly one primitive or Reference value.
    """
    if resource.get("resourceType") != "Parameters":
        raise InvalidRequest("the body of an operation is a Parameters resource", expression=["Parameters"])
    entries = resource.get("parameter", [])
    if not isinstance(entries, list):
        raise InvalidRequest("parameter is a list", code="structure", expression=["Parameters.parameter"])
    for index, entry in enumerate(entries):
        place = f"Parameters.parameter[{index}]"
        name = entry.get("name") if isinstance(entry, dict) else None
        values = [entry[key] for key in entry if key.startswith("value")] if isinstance(entry, dict) else []
        value = values[0] if len(values) == 1 else None
        if isinstance(value, dict):
            value = value.get("reference")
        if isinstance(value, bool):
            value = "true" if value else "false"
        if not isinstance(name, str) or not isinstance(value, str | int):
            raise InvalidRequest("a parameter has a name and one value", code="structure", expression=[place])
        yield name, str(value)
