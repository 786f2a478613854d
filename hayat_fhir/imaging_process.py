"""Processes that read objects and decode pixels which strangers have made, bounded in memory and time: both sides.

What such an object does, it does to one of these: the process is killed and replaced, and whoever asked hears that
the object cannot be shown. A process is started when it is needed, and ends when nothing was asked of it for a while.
Its standard input is its lifeline, as with the processes of the supervisor.

One message is four bytes of length and JSON: to the process ``{task, path, ..}``, from it ``{sizes, ..}`` or
``{refused, text}``, followed by that many bytes.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, BinaryIO

import orjson

from hayat_fhir.child_process import leave_no_core, limit_memory
from hayat_fhir.errors import InvalidRequest, NotAcceptable, NotFound, Refusal, Throttled

_LENGTH = struct.Struct(">I")
_MEMORY = 1536
"""MB of one process."""
_PATIENCE = 20.0
"""Seconds of one task."""
_IDLE = 60.0
_MOST_WAITING = 200
_REFUSALS = {one.__name__: one for one in (InvalidRequest, NotAcceptable, NotFound)}
_DEATH = "the object cannot be processed"


class ImagingProcesses:
    """Runs tasks in processes of its own. Belongs to one event loop.

    ``character_set`` is what text is taken to be in that declares none and is not UTF-8.
    """

    def __init__(
        self,
        number: int | None = None,
        patience: float = _PATIENCE,
        memory: int = _MEMORY,
        character_set: str = "ISO_IR 100",
    ) -> None:
        self._patience = patience
        self._memory = memory
        self._character_set = character_set
        self._idle: list[Process] = []
        self._free = asyncio.Semaphore(number or max(min(4, os.cpu_count() or 1), 1))
        self._waiting = 0
        self._ending: asyncio.TimerHandle | None = None

    async def run(self, task: str, path: str, **arguments: object) -> list[bytes]:
        """What a task makes of the object in this file.

        Raises:
            NotAcceptable: The object needs more time or memory than it may, or it cannot be shown as asked.
            NotFound: It has no such frame or value.
            InvalidRequest: It cannot be read.
            Throttled: Too many are waiting.
        """
        async with self._process() as process:
            return await self._asked(process, {"task": task, "path": path, **arguments})

    async def close(self) -> None:
        """End the processes."""
        if self._ending is not None:
            self._ending.cancel()
        while self._idle:
            process = self._idle.pop()
            _kill(process)
            await process.wait()

    @asynccontextmanager
    async def _process(self) -> AsyncIterator[Process]:
        """A process for one task; it does not come back if it has died."""
        if self._waiting >= _MOST_WAITING:
            raise Throttled("too many images are being decoded at this moment")
        self._waiting += 1
        try:
            async with self._free:
                process = self._idle.pop() if self._idle else await self._start()
                try:
                    yield process
                except Refusal:
                    raise
                except BaseException:
                    _kill(process)  # its answer would be taken for the next one's
                    raise
                finally:
                    if process.returncode is None:
                        self._idle.append(process)
                        self._stay()
        finally:
            self._waiting -= 1

    async def _start(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hayat_fhir.imaging_process", str(self._memory), self._character_set),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            start_new_session=True,
        )

    async def _asked(self, process: Process, message: dict[str, Any]) -> list[bytes]:
        incoming, outgoing = process.stdin, process.stdout
        if incoming is None or outgoing is None:
            raise NotAcceptable(_DEATH)
        body = orjson.dumps(message)
        try:
            async with asyncio.timeout(self._patience):
                incoming.write(_LENGTH.pack(len(body)) + body)
                (length,) = _LENGTH.unpack(await outgoing.readexactly(_LENGTH.size))
                answer = orjson.loads(await outgoing.readexactly(length))
                found = [await outgoing.readexactly(size) for size in answer.get("sizes", ())]
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as death:
            _kill(process)
            await process.wait()
            raise NotAcceptable(_DEATH) from death
        if "refused" in answer:
            raise _REFUSALS[answer["refused"]](answer["text"])
        return found

    def _stay(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
        self._ending = asyncio.get_running_loop().call_later(_IDLE, self._end)

    def _end(self) -> None:
        while self._idle:
            _kill(self._idle.pop())


def _kill(process: Process) -> None:
    if process.returncode is None:
        process.kill()


def _tasks(character_set: str) -> dict[str, Callable[..., list[bytes]]]:
    """What the process can do; its imports are not for the server's own process."""
    from hayat_fhir.dicom import frame_layout, metadata, object_file, rendering, transcoding

    @lru_cache(maxsize=8)
    def opened(path: str) -> object_file.ObjectFile:
        return object_file.opened(path, character_set)

    def header(path: str) -> list[bytes]:
        one = opened(path)
        told = orjson.dumps(metadata.metadata(one), option=orjson.OPT_NON_STR_KEYS)
        return [told, orjson.dumps(frame_layout.layout(one))]

    def bulk(path: str, place: str) -> list[bytes]:
        one = opened(path)
        if metadata.is_pixels(one, place):
            return rendering.pixel_value(one)
        return [metadata.bulk_value(one, place)]

    def stored(path: str, numbers: list[int]) -> list[bytes]:
        one = opened(path)
        return (object_file.stored_frames if one.compressed else rendering.decoded_frames)(one, numbers)

    def decoded(path: str, numbers: list[int]) -> list[bytes]:
        return rendering.decoded_frames(opened(path), numbers)

    def encoded(path: str, numbers: list[int], syntax: str) -> list[bytes]:
        return rendering.encoded_frames(opened(path), numbers, syntax)

    def picture(path: str, number: int | None, how: dict[str, Any]) -> list[bytes]:
        one = opened(path)
        asked: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in how.items()
        }
        return [rendering.rendered(one, number or (one.frames + 1) // 2, rendering.Rendering(**asked))]

    def transcoded(path: str, syntax: str) -> list[bytes]:
        content, made = transcoding.transcoded(opened(path), syntax)
        return [content, made.encode()]

    return {
        "transcoded": transcoded,
        "metadata": header,
        "bulk": bulk,
        "stored": stored,
        "decoded": decoded,
        "encoded": encoded,
        "rendered": picture,
    }


def answer_all(incoming: BinaryIO, outgoing: BinaryIO, character_set: str) -> None:
    """In the process: do task after task until the other side is gone."""
    tasks = _tasks(character_set)
    while len(head := incoming.read(_LENGTH.size)) == _LENGTH.size:
        message: dict[str, Any] = orjson.loads(incoming.read(*_LENGTH.unpack(head)))
        found: list[bytes] = []
        try:
            found = tasks[message.pop("task")](**message)
            answer: dict[str, Any] = {"sizes": [len(part) for part in found]}
        except Refusal as refusal:
            answer = {"refused": type(refusal).__name__, "text": refusal.issues[0].diagnostics}
        body = orjson.dumps(answer)
        outgoing.write(_LENGTH.pack(len(body)) + body)
        outgoing.writelines(found)
        outgoing.flush()


if __name__ == "__main__":
    leave_no_core()
    limit_memory(int(sys.argv[1]))
    answer_all(sys.stdin.buffer, sys.stdout.buffer, sys.argv[2])
