"""The processes that run the models of large Bundles: they find what the server itself finds, and leave nothing."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import psutil
import pytest

from hayat_fhir.fhir.validation import model_issues
from hayat_fhir.model_process import FEWEST, ModelProcesses

_COUNT = 3 * FEWEST


def _observation(number: int) -> dict[str, Any]:
    """An Observation; each seventh has two values, which only the models refuse."""
    values: dict[str, Any] = {"valueString": "a"} if number % 7 else {"valueString": "a", "valueInteger": 1}
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **values}


def _children() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # another test's, that ends at this moment
            if "hayat_fhir.model_process" in child.cmdline():
                found.append(child)
    return found


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.05)


async def _ready(processes: ModelProcesses) -> None:
    await _until(lambda: processes.ready(["Observation"] * FEWEST))


@pytest.fixture
async def processes() -> AsyncIterator[ModelProcesses]:
    """Two processes, ready."""
    processes = ModelProcesses(2)
    await _ready(processes)
    yield processes
    await processes.close()
    assert not _children()


async def test_finds_what_the_models_find(processes: ModelProcesses) -> None:
    """The caller's numbers of the resources that do not fit their model."""
    resources = {10 * number: _observation(number) for number in range(_COUNT)}
    found = await processes.begin(resources)
    assert found == {number for number, resource in resources.items() if model_issues(resource)}
    assert len(found) == len(range(0, _COUNT, 7))


async def test_several_at_once(processes: ModelProcesses) -> None:
    """Bundles that are checked at the same time do not get one another's answers; one that is cancelled harms none."""
    bundles = [{number: _observation(number + shift) for number in range(_COUNT)} for shift in range(6)]
    tasks = [processes.begin(bundle) for bundle in bundles]
    await asyncio.sleep(0.02)
    tasks[2].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    for shift, answer in enumerate(answers):
        if shift == 2:
            assert isinstance(answer, asyncio.CancelledError)
        else:
            assert isinstance(answer, frozenset)
            assert sorted(answer) == [number for number in range(_COUNT) if (number + shift) % 7 == 0]


async def test_processes_die(processes: ModelProcesses) -> None:
    """Where the processes are killed the resources are checked all the same, and new processes are started."""
    task = processes.begin({number: _observation(number) for number in range(_COUNT)})
    for child in _children():
        child.send_signal(signal.SIGKILL)
    assert sorted(await task) == list(range(0, _COUNT, 7))
    await _ready(processes)
    assert sorted(await processes.begin({7: _observation(7), 8: _observation(8)})) == [7]


async def test_few_resources_start_nothing() -> None:
    """A small Bundle is not worth a process, and neither is any on a machine of one core."""
    assert not ModelProcesses(2).ready(["Observation"] * (FEWEST - 1))
    assert not ModelProcesses(0).ready(["Observation"] * FEWEST)
    assert not _children()


async def test_idle_processes_end() -> None:
    """Without a large Bundle for a while no process stays."""
    processes = ModelProcesses(1, idle=0.3)
    await _ready(processes)
    await _until(lambda: not _children())
    await _ready(processes)
    await processes.close()


@pytest.mark.parametrize("number", [1, 2])
async def test_closed_while_they_start(number: int) -> None:
    """One that is still being started when they are closed has ended when they are."""
    processes = ModelProcesses(number)
    assert not processes.ready(["Observation"] * FEWEST)
    await _until(lambda: bool(_children()))
    started = [child.pid for child in _children()]
    await processes.close()
    assert not any(psutil.pid_exists(pid) for pid in started)


def test_ends_with_the_server() -> None:
    """The process ends when the one that started it is gone, whatever way it went."""
    child = subprocess.Popen(
        [sys.executable, "-m", "hayat_fhir.model_process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.close()
    assert child.wait(60) == 0
    child.stdout.close()
