"""DICOMweb: queries on few and on many instances, metadata of a series, and frames, the latter against Orthanc.

Debian's Orthanc answers through its own REST routes, which its DICOMweb plugin calls too: the tags of all instances of
a series, and the raw bytes of a frame.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import psutil

from hayat_fhir.demonstration_site import Site, free_port
from tests.benchmarks import instance_load, orthanc, storescp
from tests.benchmarks.ct_images import write_series
from tests.benchmarks.figures import BenchmarkFailed, Finding, Target, spread
from tests.benchmarks.http_load import Load, load
from tests.benchmarks.run import Run
from tests.benchmarks.site import mongodb_url, running

_FLAT = Target(1.5, "ratio", at_least=False)
_FASTER = Target(1.0, "ratio", at_least=False)
_RATE = Target(1.0, "ratio", at_least=True)
_JSON = "application/dicom+json"
_OCTETS = 'multipart/related; type="application/octet-stream"'
_IN_SERIES = 500
_CONNECTIONS = 16
_PROCESSES = psutil.cpu_count() or 1
"""HTTP processes: Orthanc uses all cores too."""
_QUERIES = 300
_PATIENCE = 120.0


def measure(run: Run) -> Iterator[Finding]:
    """The three figures.

    Raises:
        Skipped: DCMTK or Orthanc is not installed.
        BenchmarkFailed: An answer was wrong.
    """
    storescp.find("storescu")
    orthanc.find()
    yield from _queries(run)
    yield from _retrievals(run)


def _queries(run: Run) -> Iterator[Finding]:
    """QIDO-RS of one patient's studies."""
    with ExitStack() as stack:
        sites: dict[str, tuple[Site, list[str]]] = {}
        for size in (run.small, run.large):
            with run.step(f"dicomweb: a site of {size:,} instances starts"):
                site = stack.enter_context(running(run.folder(f"dicomweb-{size}")))
            instance_load.fill(run, mongodb_url(site), size)
            studies = size // instance_load.IN_STUDY
            chosen = range(0, studies, max(studies // 100, 1))
            sites[f"{size:,}"] = (
                site,
                [f"/dicomweb/studies?PatientID={instance_load.patient_number(study)}" for study in chosen],
            )
        for site, paths in sites.values():
            _ask(site.http_port, paths, site.token("doctor"), _JSON, run.seconds)
        found: dict[str, list[float]] = {name: [] for name in sites}
        for _, name in run.alternating("dicomweb: studies of a patient", list(sites)):
            site, paths = sites[name]
            found[name].append(_ask(site.http_port, paths, site.token("doctor"), _JSON, run.seconds).p50)
        small, large = (spread(found[name]) for name in sites)
        note = f"GET /studies?PatientID=.., {instance_load.OF_PATIENT} matches, one client, each query audited durably"
        name = f"studies of a patient among {run.large:,} instances, p50"
        yield Finding("dicomweb", name, "ms", large, f"{run.small:,} instances", small, _FLAT, note)


@dataclass(frozen=True, slots=True)
class _Side:
    """Where one side answers: its port, what must be presented, and the paths of the series and of its frames."""

    port: int
    token: str | None
    metadata: str
    frames: list[str]


def _retrievals(run: Run) -> Iterator[Finding]:
    http_port = free_port()
    with (
        run.step("dicomweb: starting"),
        running(run.folder("dicomweb"), settings={"HAYAT_WORKERS": str(_PROCESSES)}) as site,
        orthanc.running(run.folder("dicomweb-orthanc"), http_port) as port,
    ):
        site.hayat(
            *("partner", "add", "--name", "Modality", "--ae-title", "BENCH"),
            *("--host", "127.0.0.1", "--port", str(free_port())),
        )
        folder = run.folder("dicomweb-series")
        size = write_series(folder, _IN_SERIES) / _IN_SERIES
        for title, dicom_port in ((site.ae_title, site.dicom_port), (orthanc.AE_TITLE, port)):
            _push(title, dicom_port, str(folder))
        sides = {"Hayat": _ours(site), "Orthanc": _theirs(http_port)}
        yield from _compare(run, sides, size)


def _compare(run: Run, sides: dict[str, _Side], size: float) -> Iterator[Finding]:
    times: dict[str, list[float]] = {name: [] for name in sides}
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():  # what is taken out of the files once, is taken out now
        _ask(side.port, [side.metadata], side.token, _JSON, _PATIENCE, most=2)
    for _, name in run.alternating("dicomweb: metadata of a series", list(sides)):
        side = sides[name]
        times[name].append(_ask(side.port, [side.metadata], side.token, _JSON, run.seconds).p50)
    ours, theirs = spread(times["Hayat"]), spread(times["Orthanc"])
    note = f"{_IN_SERIES} instances, one client; every attribute as DICOM JSON, Orthanc's /series/../instances-tags"
    yield Finding("dicomweb", "metadata of a series, p50", "ms", ours, "Orthanc", theirs, _FASTER, note)
    for _, name in run.alternating("dicomweb: frames", list(sides)):
        side = sides[name]
        found = load(side.port, side.frames, side.token, connections=_CONNECTIONS, seconds=run.seconds, accept=_OCTETS)
        rates[name].append(found.rate)
    ours, theirs = spread(rates["Hayat"]), spread(rates["Orthanc"])
    note = (
        f"frames of {size / 1e6:.2f} MB, {_CONNECTIONS} connections, {_PROCESSES} processes, each audited durably; "
        "Orthanc's frames/0/raw"
    )
    yield Finding("dicomweb", "frames", "frames/s", ours, "Orthanc", theirs, _RATE, note)


def _ask(port: int, paths: list[str], token: str | None, accept: str, seconds: float, most: int | None = None) -> Load:
    return load(port, paths, token, connections=1, seconds=seconds, most=most or _QUERIES, accept=accept)


def _push(title: str, port: int, folder: str) -> None:
    command = [storescp.find("storescu"), "-aet", "BENCH", "-aec", title, "+sd", "127.0.0.1", str(port), folder]
    environment = {"TCP_NODELAY": "1", "PATH": "/usr/bin:/bin"}
    if subprocess.run(command, env=environment, capture_output=True, timeout=_PATIENCE, check=False).returncode:
        raise BenchmarkFailed(f"storescu to {title} failed")


def _ours(site: Site) -> _Side:
    """The paths at the site, once all images are shown."""
    token = site.token("doctor")
    client = httpx.Client(
        base_url=f"{site.url}/dicomweb", headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False
    )
    with client:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            answer = client.get("/instances", params={"limit": 1000})
            found = answer.json() if answer.status_code == 200 else []
            if len(found) == _IN_SERIES:
                paths = [f"/dicomweb{one['00081190']['Value'][0].partition('/dicomweb')[2]}" for one in found]
                series = paths[0].partition("/instances")[0]
                return _Side(site.http_port, token, f"{series}/metadata", [f"{path}/frames/1" for path in paths])
            time.sleep(0.5)
    raise BenchmarkFailed("the images did not appear")


def _theirs(port: int) -> _Side:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
        (series,) = client.get("/series").json()
        instances = client.get("/instances").json()
    if len(instances) != _IN_SERIES:
        raise BenchmarkFailed("Orthanc does not have all images")
    return _Side(
        port, None, f"/series/{series}/instances-tags", [f"/instances/{one}/frames/0/raw" for one in instances]
    )
