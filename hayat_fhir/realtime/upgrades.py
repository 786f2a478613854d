"""One WebSocket for a session of Engine.IO: its library lets several that race upgrade the same session, each to speak.

https://socket.io/docs/v4/engine-io-protocol/#upgrade
"""

from __future__ import annotations

from urllib.parse import parse_qs

from hayat_fhir.realtime.allowance import POLICY_VIOLATION, Application, Receive, Scope, Send


def session_id(scope: Scope) -> str:
    """The session of Engine.IO that a request names; empty where it begins one."""
    query: bytes = scope.get("query_string", b"")
    return parse_qs(query).get(b"sid", [b""])[0].decode("ascii", "replace")


class SingleUpgrade:
    """An application whose WebSockets are refused while another one of the same session is open."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._sessions: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand one connection on."""
        session = session_id(scope)
        if scope["type"] != "websocket" or not session:
            await self._application(scope, receive, send)
        elif session in self._sessions:
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        else:
            self._sessions.add(session)
            try:
                await self._application(scope, receive, send)
            finally:
                self._sessions.discard(session)
