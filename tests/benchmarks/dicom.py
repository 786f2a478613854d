"""C-STORE by Debian's ``storescu``: against Debian's Orthanc, and against the bound that ``storescp`` is.

Every round pushes the same files to each, in turn, with everything written to disk before; only Hayat and Orthanc
synchronise what they take and index it. Nothing is deleted before the end: ext4 is slow to make files for minutes
after many have gone.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from hayat_fhir.demonstration_site import Site, free_port
from hayat_fhir.store.database import connect_sync
from tests.benchmarks import orthanc, storescp
from tests.benchmarks.ct_images import write_multi_frame, write_series
from tests.benchmarks.figures import BenchmarkFailed, Finding, Spread, Target, spread
from tests.benchmarks.processes import Tree
from tests.benchmarks.run import Run
from tests.benchmarks.site import mongodb_url, processes, running

_CALLING = "BENCH"
_ASSOCIATIONS = (1, 2, 4)
_MEMORY = Target(300, "ours", at_least=False)
_GROWTH = Target(64, "ours", at_least=False)
_FRAMES = 400
_SAMPLE_SECONDS = 0.01
_SETTLING = 4.0
"""Seconds after a push to Hayat until its studies are projected: the next side is not to bear that."""
_PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class _Load:
    """So many instances altogether, and how fast they must come in."""

    name: str
    instances: int
    padded: bool
    against_orthanc: Target
    against_storescp: Target | None


_LOADS = (
    _Load("0.5 MB", 600, True, Target(1.2, "ratio", at_least=True), Target(0.5, "ratio", at_least=True)),
    _Load("40 kB", 2000, False, Target(1.5, "ratio", at_least=True), None),
)


@dataclass(frozen=True, slots=True)
class _Peers:
    """Who is pushed to: AE title and port of each."""

    addresses: dict[str, tuple[str, int]]
    site: Site


def measure(run: Run) -> Iterator[Finding]:
    """The rate of instances over one, two and four associations, and the memory of the DICOM processes.

    Raises:
        Skipped: DCMTK or Orthanc is not installed.
        BenchmarkFailed: Not all instances were stored.
    """
    storescp.find("storescu")
    orthanc.find()
    with (
        run.step("dicom: starting"),
        running(run.folder("dicom")) as site,
        orthanc.running(run.folder("orthanc")) as port,
        storescp.running(run.folder("storescp")) as bare_port,
    ):
        site.hayat(
            *("partner", "add", "--name", "Modality", "--ae-title", _CALLING),
            *("--host", "127.0.0.1", "--port", str(free_port())),
        )
        addresses = {
            "Hayat": (site.ae_title, site.dicom_port),
            "Orthanc": (orthanc.AE_TITLE, port),
            "storescp": (storescp.AE_TITLE, bare_port),
        }
        peers = _Peers(addresses, site)
        yield _growth(run, peers)
        memory: list[float] = []
        for load in _LOADS:
            for associations in _ASSOCIATIONS:
                yield from _compare(run, load, peers, associations, memory)
        _check(site, run.rounds * (1 + len(_ASSOCIATIONS) * sum(load.instances for load in _LOADS)))
        yield Finding("dicom", "RSS of a DICOM process, the largest", "MB", spread(memory), target=_MEMORY)


def _compare(run: Run, load: _Load, peers: _Peers, associations: int, memory: list[float]) -> Iterator[Finding]:
    rates: dict[str, list[float]] = {side: [] for side in peers.addresses}
    size = 0
    series: list[Path] = []
    for _, side in run.alternating(f"dicom: {load.name}, {associations} associations", list(rates)):
        if not series:
            series = [run.folder(f"series-{time.monotonic_ns()}") for _ in range(associations)]
            size = sum(write_series(one, load.instances // associations, padded=load.padded) for one in series)
        rates[side].append(load.instances / _push(*peers.addresses[side], series))
        memory.append(max(_resident(peers.site)))
        if side == "Hayat":
            time.sleep(_SETTLING)
        if len({len(values) for values in rates.values()}) == 1:
            series = []
    note = f"{load.instances} instances of {size / load.instances / 1e6:.2f} MB each, storescu, TCP_NODELAY=1"
    name = f"C-STORE of {load.name}, {associations} association{'s' if associations > 1 else ''}"
    found = {side: spread(values) for side, values in rates.items()}
    yield _against("Orthanc", found, name, note, load.against_orthanc)
    yield _against("storescp", found, name, note, load.against_storescp)


def _against(side: str, found: dict[str, Spread], name: str, note: str, target: Target | None) -> Finding:
    return Finding("dicom", name, "instances/s", found["Hayat"], side, found[side], target, note)


def _growth(run: Run, peers: _Peers) -> Finding:
    """How much larger the DICOM processes become by one large image."""
    folder = run.folder("multi-frame")
    grown: list[float] = []
    for _ in run.alternating("dicom: multi-frame", ["Hayat"]):
        size = write_multi_frame(folder / "one.dcm", _FRAMES)
        before = sum(_resident(peers.site))
        peak = [before]
        over = threading.Event()
        watching = threading.Thread(target=_watch, args=(peers.site, peak, over))
        watching.start()
        try:
            _push(*peers.addresses["Hayat"], [folder])
        finally:
            over.set()
            watching.join()
        grown.append(max(peak) - before)
    note = f"one image of {size / 1e6:.0f} MB, the most at any time beyond what it was before"
    return Finding("dicom", "RSS growth by a multi-frame image", "MB", spread(grown), target=_GROWTH, note=note)


def _watch(site: Site, peak: list[float], over: threading.Event) -> None:
    while not over.wait(_SAMPLE_SECONDS):
        peak.append(sum(_resident(site)))


def _push(ae_title: str, port: int, series: list[Path]) -> float:
    """Seconds until all series are stored, each over an association of its own."""
    os.sync()
    started = time.perf_counter()
    clients = [
        subprocess.Popen(
            [storescp.find("storescu"), "-aet", _CALLING, "-aec", ae_title, "+sd", "127.0.0.1", str(port), str(folder)],
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


def _resident(site: Site) -> list[float]:
    """MB of each DICOM process."""
    return [process.memory_info().rss / 1e6 for process in _dicom_processes(processes(site))]


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
