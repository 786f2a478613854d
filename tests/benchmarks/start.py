"""A warm start of ``hayat serve``, its idle memory, and its end."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil

from hayat_fhir.demonstration_site import Site
from tests.benchmarks.figures import BenchmarkFailed, Finding, Target, spread
from tests.benchmarks.processes import megabytes
from tests.benchmarks.run import Run
from tests.benchmarks.site import processes, running

_READY = Target(5, "ours", at_least=False)
_STOPPED = Target(10, "ours", at_least=False)
_MEMORY = Target(500, "ours", at_least=False)
_SETTLE = 5.0
_PATIENCE = 15.0


def measure(run: Run) -> Iterator[Finding]:
    """Seconds until ready, memory after five idle seconds, seconds from SIGTERM to the end of all processes."""
    folder = run.folder("start")
    with run.step("start: the first start makes the site"), running(folder):
        pass
    ready: list[float] = []
    memory: dict[str, list[float]] = {"pss": [], "rss": [], "mongod": []}
    stopped: list[float] = []
    site = Site("Benchmark", "HAYAT", folder)
    try:
        for _ in run.alternating("start", ["Hayat"]):
            started = time.perf_counter()
            site.start()
            site.wait_until_ready()
            ready.append(time.perf_counter() - started)
            time.sleep(_SETTLE)
            running_now = processes(site)
            everything = (*running_now.own, *running_now.mongod)
            for measure_ in ("pss", "rss"):
                memory[measure_].append(megabytes(running_now.own, measure_))
            memory["mongod"].append(megabytes(running_now.mongod, "rss"))
            started = time.perf_counter()
            site.stop()
            _, alive = psutil.wait_procs(everything, timeout=_PATIENCE)
            if alive:
                raise BenchmarkFailed(f"{len(alive)} processes outlived the site")
            stopped.append(time.perf_counter() - started)
    finally:
        site.stop()
    note = f"{len(running_now.own)} processes"
    yield Finding("start", "warm start until ready", "s", spread(ready), target=_READY)
    yield Finding("start", "idle memory, own processes, PSS", "MB", spread(memory["pss"]), note=note)
    yield Finding("start", "idle memory, own processes, RSS", "MB", spread(memory["rss"]), target=_MEMORY, note=note)
    yield Finding("start", "idle memory, mongod, RSS", "MB", spread(memory["mongod"]))
    yield Finding("start", "SIGTERM until the end", "s", spread(stopped), target=_STOPPED)
