"""Socket.IO: who is behind each socket, for how long, and how much they may send.

https://socket.io/docs/v4/socket-io-protocol/
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import socketio
import structlog

from hayat_fhir.errors import HayatError, Refusal, Throttled, Unauthenticated, Unavailable
from hayat_fhir.realtime.allowance import CLOSE, Allowance, Application, Limited, Scope
from hayat_fhir.realtime.redis_events import RedisEvents
from hayat_fhir.realtime.upgrades import SingleUpgrade, session_id
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.authentication import Authentication

RATE, BURST = 20, 60
"""Messages a second, and at once, of one socket."""
LONGEST = 64 * 1024
_PING, _PONG = 10, 15
_SILENT = 10.0
"""Seconds in which a connection must have presented a token."""
_MOST_OF_ACCOUNT = 20
_WARNING = 60.0
_CHECK = 1.0
_REVOKED = 2.2
"""Seconds after the change of an account at which its tokens are looked at again: the next read is a fresh one."""
_BARRED = 10.0
"""Seconds for which a token is not taken again whose socket has sent too much."""
_RECONSIDER = 1.0
"""Seconds after which one that comes in that time is told so: it costs least while it waits."""
_PARTING = 0.5
"""Seconds in which a client that is put out takes the last words."""
_ROLES = frozenset({Role.PATIENT, Role.DOCTOR, Role.STAFF})
_LOG = structlog.get_logger("hayat_fhir.realtime")
_SILENCED = logging.getLogger("hayat_fhir.realtime.library")
_SILENCED.disabled = True


@dataclass(slots=True)
class Session:
    """One socket: its holder, token, and the token's end (seconds since 1970)."""

    sid: str
    caller: Caller
    token: str
    expires: float
    connection: Scope
    """Of its WebSocket, or of the first request where it polls."""
    allowance: Allowance = field(default_factory=lambda: Allowance(RATE, BURST))
    warned: bool = False


Handler = Callable[[Session, Sequence[Any]], Awaitable[Any]]
Gone = Callable[[Session], Awaitable[None]]


class Sockets:
    """All sockets of this process.

    ``origins``: web pages that may connect; ``polling``: without a WebSocket too; ``redis_url``: the Redis over which
    the processes of the site hand one another events for sockets, as the Socket.IO library does it.
    """

    def __init__(
        self,
        authentication: Authentication,
        auditing: Auditing,
        origins: Sequence[str],
        *,
        polling: bool,
        redis_url: str | None = None,
    ) -> None:
        self.shared = redis_url is not None
        self._redis = None if redis_url is None else RedisEvents(redis_url)
        self.server = socketio.AsyncServer(
            async_mode="asgi",
            client_manager=self._redis,
            cors_allowed_origins=list(origins),
            cors_credentials=False,
            ping_interval=_PING,
            ping_timeout=_PONG,
            max_http_buffer_size=LONGEST,
            transports=["polling", "websocket"] if polling else ["websocket"],
            http_compression=False,
            logger=_SILENCED,
            engineio_logger=_SILENCED,
        )
        self.sessions: dict[str, Session] = {}
        self._authentication = authentication
        self._auditing = auditing
        self._gone: list[Gone] = []
        self._anonymous: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._barred: dict[str, float] = {}
        self.server.on("connect", self._connect)
        self.server.on("disconnect", self._disconnect)
        self.server.on("*", self._unknown)
        self.on("refresh", self._refresh)

    @property
    def application(self) -> Application:
        """The door at ``/socket.io``."""
        inner: Application = socketio.ASGIApp(self.server, socketio_path="socket.io")
        return Limited(SingleUpgrade(inner), rate=RATE, burst=BURST, longest=LONGEST, exceeded=self._exceeded)

    def on(self, event: str, handler: Handler) -> None:
        """Have an event handled; what the handler returns goes into the acknowledgement."""

        async def handled(sid: str, *payload: object) -> dict[str, Any] | None:
            session = self.sessions.get(sid)
            if session is None:
                return None
            try:
                if not session.allowance.take():
                    raise Throttled("too many messages")
                return {"ok": True, **(await handler(session, payload) or {})}
            except Refusal as refusal:
                answer = _told(refusal)
                await self.emit("refused", {"event": event, **answer}, to=sid)
                if isinstance(refusal, Throttled):
                    await self._put_out(session)
                return {"ok": False, **answer}
            except Exception as error:  # noqa: BLE001 - a boundary: nothing of a fault may leave the process
                _LOG.error("fault", event=event, cause=type(error).__name__)
                return {"ok": False, "code": "exception", "message": "internal error"}

        self.server.on(event, handled)

    def on_gone(self, gone: Gone) -> None:
        """Have every end of a socket told."""
        self._gone.append(gone)

    async def denied(self, session: Session) -> None:
        """Audit that a socket claimed to be somebody else, or asked for what is not its own."""
        await self._auditing.record(session.caller, "denied", "4")

    async def emit(
        self, event: str, payload: object, *, to: str, skip_sid: str | None = None, everywhere: bool = False
    ) -> None:
        """Send an event to a socket or a room of this process; ``everywhere``: over Redis also to those of others."""
        await self.server.emit(event, payload, to=to, skip_sid=skip_sid, ignore_queue=not everywhere)

    async def tell(self, event: str, message: dict[str, Any], whom: Callable[[Caller], bool]) -> None:
        """Tell those connected here whom it is for."""
        for session in list(self.sessions.values()):
            if whom(session.caller):
                await self.emit(event, message, to=session.sid)

    def account_changed(self, account: str) -> None:
        """Look at the tokens of an account again, soon."""
        due = time.monotonic() + _REVOKED
        for session in self.sessions.values():
            if session.caller.subject == account:
                self._due[session.sid] = due

    def token_ended(self, token: str) -> None:
        """Look at the sockets of a token, by its id, soon: its holder has signed out."""
        due = time.monotonic() + _REVOKED
        for session in self.sessions.values():
            if session.caller.token == token:
                self._due[session.sid] = due

    def all_changed(self) -> None:
        """Look at all tokens again: changes of accounts may have been missed."""
        for session in self.sessions.values():
            self.account_changed(session.caller.subject)

    async def close(self) -> None:
        """End the conversation with the other processes."""
        if self._redis is not None:
            await self._redis.close()

    async def watch(self) -> None:
        """Close sockets whose token ends or is revoked, and connections without one; until cancelled."""
        while True:
            await asyncio.sleep(_CHECK)
            now = time.time()
            sessions = list(self.sessions.values())
            await asyncio.gather(*(self._end(session) for session in sessions if session.expires <= now))
            for session in sessions:
                if now < session.expires < now + _WARNING and not session.warned:
                    session.warned = True
                    await self.emit("token-expiring", {"seconds": int(session.expires - now)}, to=session.sid)
            due = [sid for sid, moment in self._due.items() if moment <= time.monotonic()]
            await asyncio.gather(*(self._recheck(sid) for sid in due))
            await self._drop_anonymous()
            self._barred = {token: end for token, end in self._barred.items() if end > time.monotonic()}

    async def _recheck(self, sid: str) -> None:
        self._due.pop(sid, None)
        session = self.sessions.get(sid)
        if session is None:
            return
        try:
            await self._authentication.caller(session.token)
        except Unauthenticated:
            await self._end(session)
        except Unavailable:
            self._due[sid] = time.monotonic() + _CHECK

    async def _end(self, session: Session) -> None:
        """Put a socket out, and do not wait for its client to leave: the library would, until the next ping."""
        transport = self.server.eio.sockets.get(self._engine_id(session.sid))
        await self.server.disconnect(session.sid)
        close = session.connection.get(CLOSE)
        if close is not None and transport is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PARTING):
                    await transport.queue.join()
            await close()

    async def _put_out(self, session: Session) -> None:
        """End a socket that has sent too much."""
        self._bar(session)
        await self._end(session)

    def _exceeded(self, connection: Scope) -> None:
        """Bar the session of a WebSocket: one of its own, or one that has polled before."""
        id = session_id(connection)
        for session in list(self.sessions.values()):
            if session.connection is connection or (id and id == self._engine_id(session.sid)):
                self._bar(session)

    def _bar(self, session: Session) -> None:
        self._barred[session.token] = time.monotonic() + _BARRED

    def _engine_id(self, sid: str) -> str | None:
        """Of a socket, the id of its session of Engine.IO."""
        id: str | None = self.server.manager.eio_sid_from_sid(sid, "/")
        return id

    async def _drop_anonymous(self) -> None:
        """Close connections that have not presented a token in time."""
        now = time.monotonic()
        known = {self._engine_id(sid) for sid in self.sessions}
        self._anonymous = {id: self._anonymous.get(id, now) for id in list(self.server.eio.sockets) if id not in known}
        for id, since in self._anonymous.items():
            if now - since > _SILENT:
                await self.server.eio.disconnect(id)

    async def _connect(self, sid: str, environ: dict[str, Any], auth: object = None) -> None:
        token = auth.get("token") if isinstance(auth, dict) else None
        try:
            if not isinstance(token, str):
                raise Unauthenticated("a token is needed")
            if token in self._barred:
                await asyncio.sleep(_RECONSIDER)
                raise Throttled("too many messages")
            client = environ["asgi.scope"].get("client")
            caller = await self._authentication.caller(token, client[0] if client else None)
            expires = await self._authentication.until(token)
            if caller.role not in _ROLES:
                raise Unauthenticated("only people connect")
            others = sum(session.caller.subject == caller.subject for session in self.sessions.values())
            if others >= _MOST_OF_ACCOUNT:
                raise Throttled("too many connections")
        except HayatError as refusal:
            told = _told(refusal) if isinstance(refusal, Refusal) else {}
            raise socketio.exceptions.ConnectionRefusedError(told.get("message", "refused"), told) from None
        self.sessions[sid] = Session(sid, caller, token, expires, environ["asgi.scope"])
        await self.server.enter_room(sid, account_room(caller.subject))
        await self.server.enter_room(sid, role_room(caller.role))

    async def _disconnect(self, sid: str, reason: object = None) -> None:
        del reason
        session = self.sessions.pop(sid, None)
        self._due.pop(sid, None)
        if session is not None:
            for gone in self._gone:
                await gone(session)

    async def _refresh(self, session: Session, payload: Sequence[Any]) -> dict[str, Any]:
        token = payload[0].get("token") if payload and isinstance(payload[0], dict) else None
        if not isinstance(token, str):
            raise Unauthenticated("a token is needed")
        caller = await self._authentication.caller(token, session.caller.address)
        if caller.subject != session.caller.subject:
            await self.denied(session)
            raise Unauthenticated("the token is another account's")
        session.caller, session.token, session.warned = caller, token, False
        session.expires = await self._authentication.until(token)
        return {"seconds": int(session.expires - time.time())}

    async def _unknown(self, event: str, sid: str, *payload: object) -> dict[str, Any]:
        del event, payload
        session = self.sessions.get(sid)
        if session is not None and not session.allowance.take():
            await self._put_out(session)
        return {"ok": False, "code": "not-supported", "message": "there is no such event"}


def account_room(account: str) -> str:
    """The Socket.IO room of all sockets of an account."""
    return f"account:{account}"


def role_room(role: str) -> str:
    """The Socket.IO room of all sockets of a role."""
    return f"role:{role}"


def consultation_room(consultation: str) -> str:
    """The Socket.IO room of all sockets that have joined a consultation."""
    return f"consultation:{consultation}"


def _told(refusal: Refusal) -> dict[str, Any]:
    issue = refusal.issues[0]
    return {"code": issue.code, "message": issue.diagnostics}
