"""Programs that a benchmark starts, and what they use."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil

from tests.benchmarks.figures import BenchmarkFailed

_PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class Tree:
    """The processes of a site: its own, and its mongod."""

    own: tuple[psutil.Process, ...]
    mongod: tuple[psutil.Process, ...]


def tree(pid: int) -> Tree:
    """The process and all below it."""
    root = psutil.Process(pid)
    everything = [root, *root.children(recursive=True)]
    named = [(process, _is_mongod(process)) for process in everything]
    return Tree(
        tuple(process for process, mongod in named if not mongod), tuple(process for process, mongod in named if mongod)
    )


def _is_mongod(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.name() == "mongod"
    return False


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """User and system time that these processes have used so far."""
    total = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def megabytes(processes: Iterable[psutil.Process], measure: str) -> float:
    """Memory in MB: ``rss`` counts shared pages in each process, ``pss`` shares them out."""
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += getattr(process.memory_full_info(), measure)
    return total / 1e6


@contextmanager
def program(module: str, configuration: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """A module of this package as a process of its own; it reads its configuration as JSON from standard input."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.benchmarks.{module}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        if process.stdin is None:
            raise BenchmarkFailed(f"{module} has no standard input")
        process.stdin.write(json.dumps(configuration))
        process.stdin.close()
        yield process
    finally:
        end(process)


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next line that the program prints, as JSON.

    Raises:
        BenchmarkFailed: It ended without one.
    """
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise BenchmarkFailed(f"a benchmark program ended with status {process.wait(_PATIENCE)}")
    value: dict[str, Any] = json.loads(line)
    return value


def end(process: subprocess.Popen[Any]) -> None:
    """End the process, first politely."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(condition: Callable[[], bool], what: str, patience: float = _PATIENCE) -> None:
    """Return once ``condition`` holds.

    Raises:
        BenchmarkFailed: It did not in ``patience`` seconds.
    """
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise BenchmarkFailed(f"{what} did not happen within {patience:g} s")
        time.sleep(0.02)
