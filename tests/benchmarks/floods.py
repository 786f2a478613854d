"""Clients that send without end: what others notice of it, and what it does to the API's memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from statistics import median

from websockets.asyncio.client import ClientConnection

from tests.benchmarks.figures import Finding, Target, spread
from tests.benchmarks.flooding import FLOODS, opened
from tests.benchmarks.presence import people
from tests.benchmarks.processes import megabytes, program
from tests.benchmarks.run import Run
from tests.benchmarks.site import processes, running

_HOSTILE, _OTHERS = 4, 20
_PAUSE = 0.2
_PATIENCE = 30.0
_STARTING = 2.0
_UNDISTURBED = Target(2, "ratio", at_least=False)
_FLAT = Target(1.2, "ratio", at_least=False)


def measure(run: Run) -> Iterator[Finding]:
    """The time that others wait for an acknowledgement, with and without each flood.

    Raises:
        BenchmarkFailed: A socket of the others was refused.
    """
    with run.step("floods: starting"), running(run.folder("floods"), roles=()) as site:
        tokens = people(site, _OTHERS, _HOSTILE)
        api = [process for process in processes(site).own if "api" in process.cmdline()]
        where = f"ws://127.0.0.1:{site.http_port}/socket.io/?EIO=4&transport=websocket"
        for name in FLOODS:
            calm, flooded, before, after = asyncio.run(_rounds(run, where, tokens, name, lambda: megabytes(api, "rss")))
            note = f"{_HOSTILE} clients that come again when they are put out; {_OTHERS} others"
            yield Finding(
                *("floods", f"others' wait under {name}", "ms", spread(flooded)),
                *("the same without", spread(calm), _UNDISTURBED, note),
            )
            yield Finding(
                *("floods", f"API's memory after {name}", "MB", spread(after), "before it", spread(before), _FLAT)
            )


async def _rounds(
    run: Run, where: str, tokens: dict[str, list[str]], name: str, memory: Callable[[], float]
) -> tuple[list[float], list[float], list[float], list[float]]:
    calm: list[float] = []
    flooded: list[float] = []
    sizes: tuple[list[float], list[float]] = ([], [])
    async with _connected(where, tokens["doctor"]) as others:
        await _waits(others, run.seconds)
        for _ in range(run.rounds):
            calm.append(await _waits(others, run.seconds))
            sizes[0].append(memory())
            with program("flooding", {"where": where, "tokens": tokens["patient"], "name": name}):
                await asyncio.sleep(_STARTING)
                flooded.append(await _waits(others, run.seconds))
            sizes[1].append(memory())
    return calm, flooded, *sizes


async def _waits(others: list[ClientConnection], seconds: float) -> float:
    """The median milliseconds until an event of theirs is acknowledged."""
    until = time.perf_counter() + seconds
    waits: list[float] = []

    async def one(socket: ClientConnection) -> None:
        while time.perf_counter() < until:
            begun = time.perf_counter()
            await socket.send('421["watch-presence"]')
            while not (packet := str(await socket.recv())).startswith("43"):
                if packet == "2":
                    await socket.send("3")
            waits.append((time.perf_counter() - begun) * 1000)
            await asyncio.sleep(_PAUSE)

    async with asyncio.timeout(seconds + _PATIENCE):
        await asyncio.gather(*(one(socket) for socket in others))
    return median(waits)


@asynccontextmanager
async def _connected(where: str, tokens: list[str]) -> AsyncIterator[list[ClientConnection]]:
    sockets = [await opened(where, token) for token in tokens]
    try:
        yield sockets
    finally:
        for socket in sockets:
            await socket.close()
