"""Transaction Bundles of Synthea over HTTP, against validation and raw inserts alone."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from hayat_fhir.demonstration_site import Site
from hayat_fhir.model_process import processes_on
from tests.benchmarks.figures import BenchmarkFailed, Finding, Target, spread
from tests.benchmarks.processes import answer, cpu_seconds, program
from tests.benchmarks.run import Run
from tests.benchmarks.site import mongodb_url, processes, running
from tests.benchmarks.synthea import BundleFile, bundles

_TARGET = Target(0.5, "ratio", at_least=True)
_PATIENCE = 60.0
_CLIENTS = 4
_WARMING = 3.0
"""Seconds that a process for models needs for its imports, at most."""
_STORED = frozenset({"200", "201"})


@dataclass(frozen=True, slots=True)
class _Round:
    """Seconds by the clock, one client and several, and seconds of processor time of our processes and of mongod."""

    seconds: float
    own: float
    mongod: float
    batch_seconds: float
    crowd_seconds: float


def measure(run: Run) -> Iterator[Finding]:
    """The rate of resources stored by one client that posts one Bundle after the other, into a fresh database.

    Raises:
        Skipped: There are no Synthea Bundles.
        BenchmarkFailed: A Bundle was refused.
    """
    first, patients = bundles(run.synthea)
    count = sum(len(bundle.resources) for bundle in patients)
    batched = sum(len(bundle.resources) for bundle in first)
    ours: list[_Round] = []
    bound: list[float] = []
    for number in range(run.rounds):
        with (
            run.step(f"bundles: round {number + 1} of {run.rounds}"),
            running(run.folder(f"bundles-{number}")) as site,
        ):
            if number % 2:
                bound.append(_bound(run, site))
            ours.append(_post(site, first, patients))
            if not number % 2:
                bound.append(_bound(run, site))
    rate = spread([count / each.seconds for each in ours])
    against = "validate + raw insert_many"
    note = f"{count} resources in {len(patients)} Bundles, one client"
    bound_rate = spread([count / seconds for seconds in bound])
    yield Finding("bundles", "transactions", "resources/s", rate, against, bound_rate, _TARGET, note)
    crowd = spread([count / each.crowd_seconds for each in ours])
    yield Finding("bundles", f"transactions of {_CLIENTS} clients at once", "resources/s", crowd, against, bound_rate)
    per_core = spread([count / each.own for each in ours])
    yield Finding("bundles", "per core of our processes", "resources/s", per_core)
    per_core = spread([count / each.mongod for each in ours])
    yield Finding("bundles", "per core of mongod", "resources/s", per_core)
    rate = spread([batched / each.batch_seconds for each in ours])
    note = f"{batched} conditional creates in {len(first)} batch Bundles, entry by entry"
    yield Finding("bundles", "batches", "resources/s", rate, note=note)


def _post(site: Site, first: Sequence[BundleFile], patients: Sequence[BundleFile]) -> _Round:
    partner = site.hayat("partner", "add", "--name", "Synthea", "--scope", "system/*.cruds")
    token = site.hayat("token", "--partner", partner)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
    with httpx.Client(base_url=site.url, headers=headers, timeout=_PATIENCE, trust_env=False) as client:
        _import_models(client, [*first, *patients])
        started = time.perf_counter()
        for bundle in first:
            _send(client, bundle)
        batch_seconds = time.perf_counter() - started
        _start_model_processes(client, site, patients[0])
        running = processes(site)
        own, mongod = cpu_seconds(running.own), cpu_seconds(running.mongod)
        started = time.perf_counter()
        for bundle in patients:
            _send(client, bundle)
        took = time.perf_counter() - started
        own, mongod = cpu_seconds(running.own) - own, cpu_seconds(running.mongod) - mongod
        started = time.perf_counter()
        with ThreadPoolExecutor(_CLIENTS) as clients:
            list(clients.map(lambda bundle: _send(client, bundle), patients))
        return _Round(took, own, mongod, batch_seconds, time.perf_counter() - started)


def _import_models(client: httpx.Client, all_bundles: Sequence[BundleFile]) -> None:
    """Have every model imported, as in a server that has run for a while: store one resource of each type."""
    examples = {resource["resourceType"]: resource for bundle in all_bundles for resource in bundle.resources}
    for type, resource in sorted(examples.items()):
        answer = client.post(f"/fhir/{type}", content=json.dumps(resource))
        if answer.status_code != httpx.codes.CREATED:
            raise BenchmarkFailed(f"a {type} was answered with {answer.status_code}: {answer.text[:500]}")


def _start_model_processes(client: httpx.Client, site: Site, bundle: BundleFile) -> None:
    """Have the server start the processes in which it runs the models of large Bundles, and wait for them.

    Raises:
        BenchmarkFailed: It starts none.
    """
    before = len(processes(site).own)
    _send(client, bundle)
    deadline = time.monotonic() + _PATIENCE
    while len(processes(site).own) < before + processes_on(os.cpu_count() or 1):
        if time.monotonic() > deadline:
            raise BenchmarkFailed("the server has started no processes for models")
        time.sleep(0.1)
    time.sleep(_WARMING)


def _send(client: httpx.Client, bundle: BundleFile) -> None:
    response = client.post("/fhir", content=bundle.body)
    if response.status_code != httpx.codes.OK:
        raise BenchmarkFailed(f"{bundle.name} was answered with {response.status_code}: {response.text[:500]}")
    answers = response.json()["entry"]
    wrong = [each["response"] for each in answers if each["response"]["status"][:3] not in _STORED]
    if wrong or len(answers) != len(bundle.resources):
        raise BenchmarkFailed(f"{bundle.name}: {len(wrong)} entries were not stored: {json.dumps(wrong[:1])[:500]}")


def _bound(run: Run, site: Site) -> float:
    """Seconds that the bound needs for the same patients, on the same mongod."""
    with program("bundle_bound", {"url": mongodb_url(site), "synthea": str(run.synthea.absolute())}) as process:
        return float(answer(process)["seconds"])
