"""The threads of associations and the event loop of their process: a thread waits for what the loop does for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

from hayat_fhir.errors import Unavailable

T = TypeVar("T")
_PATIENCE = 30.0
_END = object()


class EventLoop:
    """Lets threads wait for what runs in an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def wait(self, doing: Coroutine[Any, Any, T], seconds: float = _PATIENCE) -> T:
        """What it returns, or raises.

        Raises:
            Unavailable: It takes longer than this, or the loop has ended.
        """
        try:
            future = asyncio.run_coroutine_threadsafe(doing, self._loop)
        except RuntimeError as error:
            doing.close()
            raise Unavailable("the event loop has ended") from error
        try:
            return future.result(seconds)
        except TimeoutError as error:
            future.cancel()
            raise Unavailable("not done in time") from error

    def each(self, items: AsyncIterator[T]) -> Iterator[T]:
        """One item after the other, each waited for; what is left when nobody asks any more is closed."""
        try:
            while (item := self.wait(_next(items))) is not _END:
                yield item  # type: ignore[misc]
        finally:
            self.wait(_close(items))


async def _next(items: AsyncIterator[T]) -> T | object:
    return await anext(items, _END)


async def _close(items: AsyncIterator[Any]) -> None:
    close = getattr(items, "aclose", None)
    if close is not None:
        await close()
