"""Media processes, as the API sees them: started when somebody needs one, few at a time, ended with their work."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from hayat_fhir.errors import Throttled, Unavailable

_MODULE = "hayat_fhir.realtime.media_process"
_START = 20.0
_FINISH = 15.0
_LONGEST_LINE = 256 * 1024


class MediaProcess:
    """One media process: ``send`` orders, and read what it is ``told``."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def send(self, order: dict[str, Any]) -> None:
        """Give an order.

        Raises:
            Unavailable: The process has died.
        """
        if self._process.stdin is None:
            raise Unavailable("the media process has ended")
        try:
            self._process.stdin.write(orjson.dumps(order) + b"\n")
            await self._process.stdin.drain()
        except (ConnectionError, RuntimeError) as error:
            raise Unavailable("the media process has ended") from error

    async def told(self) -> dict[str, Any]:
        """What it says next.

        Raises:
            Unavailable: The process has died.
        """
        if self._process.stdout is None:
            raise Unavailable("the media process has ended")
        line = await self._process.stdout.readline()
        if not line:
            raise Unavailable("the media process has ended")
        message: dict[str, Any] = orjson.loads(line)
        return message

    async def end(self) -> None:
        """Let it finish what it has begun, then end it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_FINISH):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


class MediaProcesses:
    """At most ``most`` media processes of this API process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running = 0

    @property
    def free(self) -> bool:
        """Whether another one may be started."""
        return self._running < self._most

    @asynccontextmanager
    async def one(self) -> AsyncIterator[MediaProcess]:
        """A media process for as long as the block runs.

        Raises:
            Throttled: As many as may be are running.
            Unavailable: It does not start.
        """
        if self._running >= self._most:
            raise Throttled("all media processes are busy")
        self._running += 1
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", _MODULE, stdin=PIPE, stdout=PIPE, limit=_LONGEST_LINE, start_new_session=True
            )
            media = MediaProcess(process)
            try:
                async with asyncio.timeout(_START):
                    await media.told()
                yield media
            except TimeoutError as error:
                raise Unavailable("the media process does not start") from error
            finally:
                await media.end()
        finally:
            self._running -= 1
