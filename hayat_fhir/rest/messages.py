"""One HTTP request and its answer, thin over ASGI: https://asgi.readthedocs.io/en/latest/specs/www.html."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.json import serialize, serialize_indented
from hayat_fhir.rest.negotiation import FHIR_JSON, Preference, accepted, asked_format, asked_pretty, preference
from hayat_fhir.security.callers import Caller

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]
Pairs = list[tuple[str, str]]

_MOST_PARAMETERS = 1000
_PRINTABLE_NAME = re.compile(r"[A-Za-z0-9_:.\-]{1,64}")
_BODYLESS = frozenset({204, 304})


class BadPath(ValueError):
    """A path that is not UTF-8 once decoded."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and a complete body; ``media`` is the Content-Type of a body that is there."""

    status: int
    body: bytes = b""
    headers: Headers = ()
    media: str = FHIR_JSON

    async def send(self, send: Send, *, head: bool = False) -> None:
        """Send it; ``head`` keeps the headers and drops the body."""
        headers = list(self.headers)
        if self.status not in _BODYLESS:
            headers.append((b"content-length", b"%d" % len(self.body)))
            if self.body:
                headers.append((b"content-type", self.media.encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else self.body})


def decoded_pairs(text: bytes) -> Pairs:
    """The pairs of a query string or a form, in order, percent-decoded.

    Raises:
        InvalidRequest: Not UTF-8 once decoded, or more than 1000 pairs.
    """
    if not text:
        return []
    try:
        return parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS)
    except ValueError as error:
        raise InvalidRequest("the parameters are not URL-encoded UTF-8", code="value") from error


def segments(path: bytes) -> list[str]:
    """The percent-decoded segments of a raw path; an encoded slash stays inside its segment.

    Raises:
        BadPath: Not UTF-8 once decoded.
    """
    try:
        if b"%" not in path:
            return path.decode("ascii").strip("/").split("/")
        return [unquote_to_bytes(part).decode() for part in path.strip(b"/").split(b"/")]
    except UnicodeDecodeError as error:
        raise BadPath from error


class Request:
    """One request to the FHIR door.

    ``names`` are the variable parts of its path; ``caller`` is set once known; ``unread`` tells whether some of
    the body is still to come.
    """

    caller: Caller

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self._receive = receive
        self.method: str = scope["method"]
        self.names: dict[str, str] = {}
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            headers[name] = headers[name] + b", " + value if name in headers else value
        self._headers = headers
        self.unread = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers

    async def receive(self) -> Message:
        """The next ASGI message; ``unread`` turns false with the last one of the body."""
        message = await self._receive()
        if not message.get("more_body", False):
            self.unread = False
        return message

    def header(self, name: bytes) -> str | None:
        """A header by its lower-case name, repeated ones joined by commas; None where it is missing."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def address(self) -> str | None:
        """The peer's address."""
        client = self.scope.get("client")
        return client[0] if client else None

    @cached_property
    def pairs(self) -> Pairs:
        """All pairs of the query string, in order.

        Raises:
            InvalidRequest: It is malformed.
        """
        return decoded_pairs(self.scope.get("query_string", b""))

    @property
    def parameters(self) -> Pairs:
        """The pairs of the query string that are not about the representation."""
        return [pair for pair in self.pairs if pair[0] not in {"_format", "_pretty"}]

    @cached_property
    def preference(self) -> Preference:
        """What Prefer asks for."""
        return preference(self.header(b"prefer") or "")

    @cached_property
    def media(self) -> str:
        """The media type to answer with.

        Raises:
            NotAcceptable: The client does not accept JSON.
        """
        wanted = [value for name, value in self.pairs if name == "_format"]
        return asked_format(wanted[0]) if wanted else accepted(self.header(b"accept") or "")

    def check_representation(self) -> None:
        """Refuse early what cannot be answered as asked, before anything is done.

        Raises:
            NotAcceptable: The client does not accept JSON.
            InvalidRequest: ``_format`` or ``_pretty`` is malformed or repeated.
        """
        names = [name for name, _ in self.pairs if name in {"_format", "_pretty"}]
        if len(names) != len(set(names)):
            raise InvalidRequest("_format and _pretty are given once", code="value")
        _ = self.media, self.pretty

    @cached_property
    def pretty(self) -> bool:
        """Whether the answer is to be indented."""
        return any(asked_pretty(value) for name, value in self.pairs if name == "_pretty")

    def only(self, *names: str) -> dict[str, str]:
        """The query parameters where only ``names`` have a meaning, each at most once.

        Raises:
            InvalidRequest: Another one (unless the client asked for lenient handling), or a repeated one.
        """
        found: dict[str, str] = {}
        for name, value in self.parameters:
            if name in names:
                if name in found:
                    raise InvalidRequest(f"parameter {name} is given once", code="value")
                found[name] = value
            elif not self.preference.lenient:
                shown = f" {name}" if _PRINTABLE_NAME.fullmatch(name) else ""
                raise InvalidRequest(f"unknown parameter{shown}", code="not-supported")
        return found

    def answer(
        self, status: int, resource: dict[str, Any] | None, headers: Iterable[tuple[bytes, bytes]] = ()
    ) -> Answer:
        """An answer with a resource (None: without a body) in the representation that the client asked for."""
        body = b""
        if resource is not None:
            body = serialize_indented(resource) if self.pretty else serialize(resource)
        return Answer(status, body, tuple(headers), self.media)
