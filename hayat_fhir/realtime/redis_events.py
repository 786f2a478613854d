"""Redis between the API processes of a site, as the Socket.IO library does it, and ended when the process ends."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakSet

import socketio


class RedisEvents(socketio.AsyncRedisManager):  # type: ignore[misc]
    """The library's way over Redis, whose connections are closed: the library leaves them to the garbage collector."""

    thread: asyncio.Task[None] | None = None

    def __init__(self, url: str) -> None:
        super().__init__(url, "hayat")
        self._opened: WeakSet[Any] = WeakSet()

    def _redis_connect(self) -> None:
        super()._redis_connect()
        self._opened.update((self.pubsub, self.redis))

    async def close(self) -> None:
        """End the subscription, and close every connection."""
        if self.thread is not None:
            self.thread.cancel()
            await asyncio.wait([self.thread])
        for opened in list(self._opened):
            await opened.aclose()
