"""How much one connection may send: so many messages at once, and so many a second after that."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY_VIOLATION = 1008
TOO_BIG = 1009
CLOSE = "hayat.close"


class Allowance:
    """A bucket of ``burst`` tokens that fills by ``rate`` a second."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = time.monotonic()

    def take(self) -> bool:
        """Take one; False where the bucket is empty."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Limited:
    """An application whose WebSockets are closed when a client sends too much at once, or too often.

    ``longest``: characters or bytes of one message. The application finds in the scope, under ``CLOSE``, a way to end
    a connection whatever its client does. ``exceeded`` is told the scope of one whose client sends too much.
    """

    def __init__(
        self,
        application: Application,
        *,
        rate: float,
        burst: float,
        longest: int,
        exceeded: Callable[[Scope], None] = lambda _: None,
    ) -> None:
        self._application = application
        self._rate = rate
        self._burst = burst
        self._longest = longest
        self._exceeded = exceeded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand one connection on."""
        if scope["type"] != "websocket":
            await self._application(scope, receive, send)
            return
        allowance = Allowance(self._rate, self._burst)

        async def limited() -> Message:
            message = await receive()
            if message["type"] != "websocket.receive":
                if message.get("code") == TOO_BIG:
                    self._exceeded(inner)
                return message
            code = 0
            if len(message.get("text") or message.get("bytes") or b"") > self._longest:
                code = TOO_BIG
            elif not allowance.take():
                code = POLICY_VIOLATION
            if not code:
                return message
            self._exceeded(inner)
            await send({"type": "websocket.close", "code": code})
            return {"type": "websocket.disconnect", "code": code}

        async def close() -> None:
            with contextlib.suppress(RuntimeError):
                await send({"type": "websocket.close", "code": POLICY_VIOLATION})

        inner = {**scope, CLOSE: close}
        await self._application(inner, limited, send)
