"""Processes beside the server that run the models of fhir.resources over large Bundles, from both sides.

The models take half of the time of a large Bundle, and need nothing but the resources: while they run here, the
server's own process parses, indexes and writes. A process is started when the first large Bundle comes, and ends
when none has come for a while: an idle server has none. Its standard input is its lifeline: when the server is gone,
whatever way it went, the kernel closes the pipe, and the process ends.

One message is four bytes of length and then JSON: to the process an array of resources, from it an array that
tells of each of them whether it fits its model.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import orjson
import structlog

from hayat_fhir.child_process import leave_no_core
from hayat_fhir.fhir.json import serialize
from hayat_fhir.fhir.validation import model_issues

FEWEST = 64
"""Resources of a Bundle that is worth the way to another process."""
_CHUNK = 48
_MOST = 2
_IDLE = 60.0
"""Seconds without a large Bundle after which the processes end."""
_LENGTH = struct.Struct(">I")

_LOG = structlog.get_logger("hayat_fhir.models")


@dataclass(slots=True)
class _Child:
    """One process; it answers one message at a time."""

    process: Process
    alone: asyncio.Lock = field(default_factory=asyncio.Lock)
    alive: bool = True

    async def ask(self, message: bytes) -> bytes:
        """Its answer to one message.

        Raises:
            OSError, asyncio.IncompleteReadError: It has died.
        """
        incoming, outgoing = self.process.stdin, self.process.stdout
        if incoming is None or outgoing is None:
            raise BrokenPipeError
        try:
            incoming.write(_LENGTH.pack(len(message)))
            incoming.write(message)
            await incoming.drain()
            (length,) = _LENGTH.unpack(await outgoing.readexactly(_LENGTH.size))
            return await outgoing.readexactly(length)
        except BaseException:
            self.kill()  # also where the caller is cancelled: the answer would be taken for the next one's
            raise

    def kill(self) -> None:
        """End it; nothing is lost with it."""
        self.alive = False
        if self.process.returncode is None:
            self.process.kill()


def processes_on(cores: int) -> int:
    """How many processes a server has for models: not more than leave a core to the server; none on one core."""
    return min(_MOST, cores - 1)


class ModelProcesses:
    """Checks resources against the models in processes of its own. Belongs to one event loop.

    ``number`` of processes: by default what this machine's cores are good for. They end after ``idle`` seconds without
    a large Bundle.
    """

    def __init__(self, number: int | None = None, idle: float = _IDLE) -> None:
        self._idle = idle
        self._number = processes_on(os.cpu_count() or 1) if number is None else number
        self._children: list[_Child] = []
        self._starting: asyncio.Task[None] | None = None
        self._under_way = 0
        self._ending: asyncio.TimerHandle | None = None

    def ready(self, types: Sequence[str]) -> bool:
        """Whether resources of these types, one name for each, are best checked here.

        False where they are few, or no process runs yet: then the caller runs the models itself, and the first
        large Bundle has the processes started for the next one.
        """
        if len(types) < FEWEST or not self._number:
            return False
        self._children = [child for child in self._children if child.alive]
        self._stay()
        if not self._children and self._starting is None:
            self._starting = asyncio.create_task(self._start(sorted(set(types))))
        return bool(self._children)

    def begin(self, resources: Mapping[int, Mapping[str, Any]]) -> asyncio.Task[frozenset[int]]:
        """Begin to check resources, whose structure is right, by numbers of the caller's own.

        The task gives the numbers of those that do not fit their model.
        """
        return asyncio.create_task(self._check(resources))

    async def close(self) -> None:
        """End the processes."""
        if self._ending is not None:
            self._ending.cancel()
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        for child in self._children:
            child.kill()
            await child.process.wait()
        self._children = []

    async def _start(self, types: Sequence[str]) -> None:
        """Start the processes and have them import the models of these types."""
        warm = serialize([{"resourceType": type} for type in types])
        try:
            for _ in range(self._number):
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "hayat_fhir.model_process", stdin=PIPE, stdout=PIPE, start_new_session=True
                )
                child = _Child(process)
                try:
                    await child.ask(warm)
                finally:
                    if not child.alive:  # nobody else knows it: whoever closes would leave it behind
                        await process.wait()
                self._children.append(child)
        except (OSError, asyncio.IncompleteReadError):
            _LOG.warning("a process for models cannot be started")
        finally:
            self._starting = None

    async def _check(self, resources: Mapping[int, Mapping[str, Any]]) -> frozenset[int]:
        numbers = list(resources)
        chunks = deque(numbers[start : start + _CHUNK] for start in range(0, len(numbers), _CHUNK))
        unfit: set[int] = set()
        self._under_way += 1
        try:
            async with asyncio.TaskGroup() as group:
                for child in self._children:
                    group.create_task(_work(child, chunks, resources, unfit))
            while chunks:  # every process has died
                unfit.update(number for number in chunks.popleft() if model_issues(resources[number]))
                await asyncio.sleep(0)
            return frozenset(unfit)
        finally:
            self._under_way -= 1
            self._stay()

    def _stay(self) -> None:
        """Put the end off."""
        if self._ending is not None:
            self._ending.cancel()
        self._ending = asyncio.get_running_loop().call_later(self._idle, self._end_if_idle)

    def _end_if_idle(self) -> None:
        if self._under_way or self._starting is not None:
            self._stay()
            return
        for child in self._children:
            child.kill()
        self._children = []


async def _work(
    child: _Child,
    chunks: deque[list[int]],
    resources: Mapping[int, Mapping[str, Any]],
    unfit: set[int],
) -> None:
    """Have one process check chunk after chunk; one that it dies of is left to others."""
    while chunks and child.alive:
        async with child.alone:
            if not chunks:
                return
            chunk = chunks.popleft()
            try:
                answer = await child.ask(serialize([resources[number] for number in chunk]))
            except (OSError, asyncio.IncompleteReadError):
                chunks.append(chunk)
                return
        unfit.update(number for number, fits in zip(chunk, orjson.loads(answer), strict=True) if not fits)


def answer_all(incoming: BinaryIO, outgoing: BinaryIO) -> None:
    """In the process: answer message after message until the other side is gone."""
    while len(head := incoming.read(_LENGTH.size)) == _LENGTH.size:
        resources = orjson.loads(incoming.read(*_LENGTH.unpack(head)))
        body = orjson.dumps([not model_issues(resource) for resource in resources])
        outgoing.write(_LENGTH.pack(len(body)) + body)
        outgoing.flush()


if __name__ == "__main__":
    leave_no_core()
    answer_all(sys.stdin.buffer, sys.stdout.buffer)
