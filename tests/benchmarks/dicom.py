"""C-STORE of a CT series by Debian's ``storescu``, against Debian's Orthanc."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from hayat_fhir.demonstration_site import Site, free_port
from hayat_fhir.store.database import connect_sync
from tests.benchmarks import orthanc
from tests.benchmarks.ct_images import write_series
from tests.benchmarks.figures import BenchmarkFailed, Finding, Skipped, Target, spread
from tests.benchmarks.processes import Tree, megabytes
from tests.benchmarks.run import Run
from tests.benchmarks.site import mongodb_url, processes, running

_INSTANCES = 300
_PARALLEL = 4
_CALLING = "BENCH"
_MEMORY = Target(300, "ours", at_least=False)
_PATIENCE = 300.0


def measure(run: Run) -> Iterator[Finding]:
    """The rate of instances over one association and over four at once, and the memory of the DICOM process.

    Raises:
        Skipped: ``storescu`` or Orthanc is not installed.
        BenchmarkFailed: Not all instances were stored.
    """
    storescu = shutil.which("storescu", path="/usr/bin:/usr/local/bin")
    if storescu is None:
        raise Skipped("storescu is not installed (Debian: apt-get install dcmtk)")
    orthanc.find()
    with (
        run.step("dicom: starting"),
        running(run.folder("dicom")) as site,
        orthanc.running(run.folder("orthanc")) as port,
    ):
        site.hayat(
            *("partner", "add", "--name", "Modality", "--ae-title", _CALLING),
            *("--host", "127.0.0.1", "--port", str(free_port())),
        )
        peers = {"Hayat": (site.ae_title, site.dicom_port), "Orthanc": (orthanc.AE_TITLE, port)}
        memory: list[float] = []
        for associations in (1, _PARALLEL):
            yield _compare(run, storescu, peers, associations, site, memory)
        _check(site, run.rounds * _INSTANCES * (1 + _PARALLEL))
        yield Finding("dicom", "RSS of the DICOM process", "MB", spread(memory), target=_MEMORY)


def _compare(
    run: Run, storescu: str, peers: dict[str, tuple[str, int]], associations: int, site: Site, memory: list[float]
) -> Finding:
    rates: dict[str, list[float]] = {side: [] for side in peers}
    size = 0
    series: list[Path] = []
    what = f"dicom: {associations} associations"
    for _, side in run.alternating(what, list(peers)):
        if len(series) != associations:
            series, size = _written(run, associations)
        rates[side].append(associations * _INSTANCES / _push(storescu, *peers[side], series))
        if side == "Hayat":
            memory.append(max(megabytes([process], "rss") for process in _dicom_processes(processes(site))))
        if len({len(values) for values in rates.values()}) == 1:
            for folder in series:
                shutil.rmtree(folder)
            series = []
    note = f"{_INSTANCES} CT instances of {size / _INSTANCES / associations / 1e6:.2f} MB each, storescu, TCP_NODELAY=1"
    name = f"C-STORE, {associations} association{'s' if associations > 1 else ''}"
    ours, theirs = spread(rates["Hayat"]), spread(rates["Orthanc"])
    return Finding("dicom", name, "instances/s", ours, "Orthanc", theirs, note=note)


def _written(run: Run, associations: int) -> tuple[list[Path], int]:
    folders = [run.folder(f"series-{time.monotonic_ns()}") for _ in range(associations)]
    return folders, sum(write_series(folder, _INSTANCES) for folder in folders)


def _push(storescu: str, ae_title: str, port: int, series: list[Path]) -> float:
    """Seconds until all series are stored, each over an association of its own."""
    started = time.perf_counter()
    clients = [
        subprocess.Popen(
            [storescu, "-aet", _CALLING, "-aec", ae_title, "+sd", "127.0.0.1", str(port), str(folder)],
            env={"TCP_NODELAY": "1", "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for folder in series
    ]
    outputs = [client.communicate(timeout=_PATIENCE)[0] for client in clients]
    took = time.perf_counter() - started
    for client, output in zip(clients, outputs, strict=True):
        if client.returncode != 0:
            raise BenchmarkFailed(f"storescu to {ae_title} ended with {client.returncode}: {output[-500:]!r}")
    return took


def _dicom_processes(running: Tree) -> list[psutil.Process]:
    found = [process for process in running.own if "dimse" in process.cmdline()]
    if not found:
        raise BenchmarkFailed("the site has no DICOM process")
    return found


def _check(site: Site, expected: int) -> None:
    database = connect_sync(mongodb_url(site))
    with database.client:
        found = database["instances"].estimated_document_count()
    if found != expected:
        raise BenchmarkFailed(f"{expected} instances were acknowledged, but {found} rows are there")
