"""A closed loop of keep-alive HTTP/1.1 connections, in a process of its own.

Thin on purpose: a general HTTP client needs more time for a request than the server that is measured. Every
answer must be 200 with a Content-Length.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.figures import BenchmarkFailed, quantile
from tests.benchmarks.processes import answer, program

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Load:
    """What a load round found. Times are in milliseconds; ``size`` is the mean size of a body in bytes."""

    rate: float
    p50: float
    p95: float
    size: float


def load(
    port: int,
    targets: list[str],
    token: str | None,
    *,
    connections: int,
    seconds: float,
    most: int | None = None,
    accept: str = "application/fhir+json",
) -> Load:
    """Ask for these targets in turn, over and over, from a process of its own.

    Ends after ``seconds``, or after ``most`` requests.

    Raises:
        BenchmarkFailed: An answer was not 200.
    """
    configuration = {
        "port": port,
        "targets": targets,
        "token": token,
        "connections": connections,
        "seconds": seconds,
        "most": most,
        "accept": accept,
    }
    with program("http_load", configuration) as process:
        found = answer(process)
    if "failure" in found:
        raise BenchmarkFailed(found["failure"])
    return Load(**found)


@dataclass(slots=True)
class _Tally:
    requests: Iterator[bytes]
    end: float
    left: int
    finished: asyncio.Future[None]
    open: int = 0
    times: list[float] = field(default_factory=list)
    size: int = 0
    failure: str | None = None

    def close(self, failure: str | None = None) -> None:
        """Count one connection out, or give up."""
        self.failure = self.failure or failure
        self.open -= 1
        if (self.open == 0 or failure) and not self.finished.done():
            self.finished.set_result(None)


class _Connection(asyncio.Protocol):
    """One connection: the next request leaves when the answer is complete."""

    def __init__(self, tally: _Tally) -> None:
        self._tally = tally
        self._buffer = bytearray()
        self._needed = 0
        self._sent = 0.0
        self._done = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._tally.open += 1
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._needed:
            head_end = self._buffer.find(_HEAD_END)
            if head_end < 0:
                return
            head = bytes(self._buffer[:head_end]).lower()
            at = head.find(b"\r\ncontent-length:")
            if not head.startswith(b"http/1.1 200 ") or at < 0:
                self._finish(f"an answer was {head.splitlines()[0].decode('latin-1')}: {bytes(self._buffer[-300:])!r}")
                return
            length = int(head[at + 17 :].split(b"\r\n", 1)[0])
            self._needed = head_end + 4 + length
            self._tally.size += length
        if len(self._buffer) >= self._needed:
            self._tally.times.append(time.perf_counter() - self._sent)
            self._buffer = bytearray()
            self._needed = 0
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done:
            self._finish("the server closed a connection")

    def _next(self) -> None:
        tally = self._tally
        if tally.left <= 0 or time.perf_counter() >= tally.end:
            self._finish(None)
            return
        tally.left -= 1
        self._sent = time.perf_counter()
        if self._transport is not None:
            self._transport.write(next(tally.requests))

    def _finish(self, failure: str | None) -> None:
        self._done = True
        if self._transport is not None:
            self._transport.close()
        self._tally.close(failure)


async def _measure(configuration: dict[str, Any]) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    port = configuration["port"]
    token = configuration["token"]
    lines = f"Host: 127.0.0.1:{port}\r\nAccept: {configuration['accept']}\r\n"
    if token:
        lines += f"Authorization: Bearer {token}\r\n"
    requests = [f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode() for target in configuration["targets"]]
    started = time.perf_counter()
    tally = _Tally(
        itertools.cycle(requests),
        started + configuration["seconds"],
        configuration["most"] or sys.maxsize,
        loop.create_future(),
    )
    for _ in range(configuration["connections"]):
        await loop.create_connection(lambda: _Connection(tally), "127.0.0.1", port)
    await tally.finished
    took = time.perf_counter() - started
    if tally.failure or not tally.times:
        return {"failure": tally.failure or "no answer"}
    return {
        "rate": len(tally.times) / took,
        "p50": quantile(tally.times, 0.5) * 1e3,
        "p95": quantile(tally.times, 0.95) * 1e3,
        "size": tally.size / len(tally.times),
    }


def main() -> None:
    """Read the configuration, measure, and write what was found as one line of JSON."""
    found = asyncio.run(_measure(json.load(sys.stdin)))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
