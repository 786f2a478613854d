"""What holds for every answer of every HTTP door: request id, security headers, figures, and faults kept in.

The outermost ASGI application; it adds a header only where the door has not set its own.
"""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from secrets import token_hex
from types import MappingProxyType
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.rest.dispatcher import ROUTE
from hayat_fhir.rest.messages import Application, Headers, Message, Receive, Scope, Send
from hayat_fhir.rest.metrics import Metrics
from hayat_fhir.rest.refusals import fault, refused
from hayat_fhir.security.callers import Caller, stranger
from hayat_fhir.services.auditing import ASKED, Asked

_HOST = re.compile(rb"(?:[A-Za-z0-9][A-Za-z0-9.\-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._\-]{1,64}")
_HEADERS: Headers = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
_STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")
_ABORTED = 499
_REFUSED = range(400, 499)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"})
REQUEST_ID = "hayat.request_id"
"""Key of the ASGI scope under which the doors find the request's id."""


class AnswerAborted(Exception):
    """A door failed half-way through its answer; the server must close the connection."""


class NotesRefusals(Protocol):
    """Writes AuditEvents of what is refused: ``services.refusals.Refusals``."""

    def note(self, caller: Caller, *, what: str) -> None:
        """Take down one refusal."""


class Guard:
    """Hands each request to the door of its first path segment, ``default`` where none is registered.

    ``paths`` are those of ``default`` that are counted under their own name. ``websockets`` are the doors that speak
    WebSocket, to programs and to pages of ``origins``; whoever else opens one is refused before it stands.
    """

    def __init__(
        self,
        doors: Mapping[str, Application],
        default: Application,
        metrics: Metrics,
        log: FilteringBoundLogger,
        *,
        paths: frozenset[str] = frozenset(),
        https: bool = False,
        websockets: Mapping[str, Application] = MappingProxyType({}),
        origins: frozenset[str] = frozenset(),
        refusals: NotesRefusals | None = None,
    ) -> None:
        self._doors = {name.strip("/"): door for name, door in doors.items()}
        self._default = default
        self._metrics = metrics
        self._log = log
        self._paths = paths
        self._websockets = websockets
        self._origins = frozenset(origin.encode() for origin in origins)
        self._refusals = refusals
        self._headers = (*_HEADERS, _STRICT_TRANSPORT) if https else _HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, run one WebSocket, or the default application's lifespan."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._default(scope, receive, send)
            return
        started = time.perf_counter()
        first = scope["path"].lstrip("/").partition("/")[0]
        door = self._doors.get(first)
        scope[ROUTE] = f"/{first}" if door else scope["path"] if scope["path"] in self._paths else "other"
        request_id, host_valid = _examine(scope)
        scope[REQUEST_ID] = request_id.decode()
        status = 0
        complete = False
        asked = Asked()
        ASKED.set(asked)

        async def guarded(message: Message) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                present = {name for name, _ in headers}
                headers += [header for header in self._headers if header[0] not in present]
                headers.append((b"x-request-id", request_id))
                message["headers"] = headers
            else:
                complete = not message.get("more_body", False)
            await send(message)

        try:
            if host_valid:
                await (door or self._default)(scope, receive, guarded)
            else:
                await refused(InvalidRequest("the Host header is malformed", code="value")).send(guarded)
        except Exception as error:  # noqa: BLE001 - the process's one boundary: nothing of a fault may leave it
            self._report(error, scope)
            if not status:
                await fault(scope[REQUEST_ID]).send(guarded)
            elif not complete:
                raise AnswerAborted from None
        finally:
            elapsed = time.perf_counter() - started
            self._note(asked, scope, status)
            self._metrics.observe(scope[ROUTE], scope["method"], status or _ABORTED, elapsed)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one WebSocket, or refuse it: a 403 before it stands."""
        started = time.perf_counter()
        first = scope["path"].lstrip("/").partition("/")[0]
        door = self._websockets.get(first)
        scope[ROUTE] = f"/{first}" if door else "other"
        request_id, host_valid = _examine(scope)
        scope[REQUEST_ID] = request_id.decode()
        closed = False

        async def counted(message: Message) -> None:
            nonlocal closed
            closed = closed or message["type"] == "websocket.close"
            if message["type"] == "websocket.accept":
                self._count(scope, 101, started)
            await send(message)

        if door is None or not host_valid or not self._may_open(scope):
            self._count(scope, 403, started)
            self._note(Asked(), scope, 403)
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            await door(scope, receive, counted)
        except Exception as error:  # noqa: BLE001 - the process's one boundary: nothing of a fault may leave it
            self._report(error, scope)
            if not closed:
                with suppress(RuntimeError, OSError):
                    await send({"type": "websocket.close", "code": 1011})

    def _note(self, asked: Asked, scope: Scope, status: int) -> None:
        """Have a refusal audited that no service knows of; by the route's template, for a path may name a person."""
        if self._refusals is None or asked.recorded or status not in _REFUSED:
            return
        method = scope.get("method", "WEBSOCKET")
        shown = method if method in _METHODS else "another method"
        client = scope.get("client")
        caller = asked.caller or stranger(client[0] if client else None)
        self._refusals.note(caller, what=f"{status}, {shown} {scope[ROUTE]}")

    def _may_open(self, scope: Scope) -> bool:
        """Whether it is no page that opens this WebSocket, or one of a known origin."""
        return all(value in self._origins for name, value in scope["headers"] if name == b"origin")

    def _count(self, scope: Scope, status: int, started: float) -> None:
        self._metrics.observe(scope[ROUTE], "GET", status, time.perf_counter() - started)

    def _report(self, error: Exception, scope: Scope) -> None:
        """Log where a fault happened: types and code places only, for a message may hold a patient's data."""
        self._log.error(
            "fault",
            request_id=scope[REQUEST_ID],
            route=scope[ROUTE],
            method=scope.get("method", "WEBSOCKET"),
            causes=[_place(cause) for cause in _causes(error)],
        )


def _examine(scope: Scope) -> tuple[bytes, bool]:
    """The client's own request id where it is a short token, else a new one; and whether the Host is well formed."""
    request_id = b""
    hosts = 0
    valid = True
    for name, value in scope["headers"]:
        if name == b"host":
            hosts += 1
            valid = valid and _HOST.fullmatch(value) is not None
        elif name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            request_id = value
    return request_id or token_hex(8).encode(), valid and (hosts == 1 or scope.get("http_version") == "1.0")


def _causes(error: BaseException) -> list[BaseException]:
    """An exception, what caused it, and what a group of them holds: ten at most."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting and len(found) < 10:
        cause = waiting.pop(0)
        if cause is not None and cause not in found:
            found.append(cause)
            waiting.append(cause.__cause__ or cause.__context__)
            waiting.extend(cause.exceptions if isinstance(cause, BaseExceptionGroup) else ())
    return found


def _place(error: BaseException) -> str:
    """``module.Type at file:line function < ...``, innermost first."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
    return f"{type(error).__module__}.{type(error).__qualname__} at {places}"
