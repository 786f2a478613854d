"""The legacy routes: a patient's records among a million, and a list beside the same search through ``/fhir``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from random import Random

from hayat_fhir.demonstration_site import Site
from tests.benchmarks import reports
from tests.benchmarks.figures import Finding, Target, spread
from tests.benchmarks.http_load import Load, load
from tests.benchmarks.observations import Source
from tests.benchmarks.resource_load import fill
from tests.benchmarks.run import Run
from tests.benchmarks.site import mongodb_url, running

_FLAT = Target(1.5, "ratio", at_least=False)
_HALF = Target(0.5, "ratio", at_least=True)
_QUERIES = 400
_CONNECTIONS = 8
_HISTORY = 100
"""Reports of each patient, on either size: the answers are of one length, and only the store is larger."""

_LIST = "/api/v1/patient?limit=100"
_SEARCH = "/fhir/Patient?_count=100"


def measure(run: Run) -> Iterator[Finding]:
    """Latency of one patient's records on both sizes, and the rate of a list of 100 patients.

    Raises:
        BenchmarkFailed: A request was refused.
    """
    sources = {size: Source(patients=size // _HISTORY) for size in (run.small, run.large)}
    with ExitStack() as stack:
        sites = {}
        for size, source in sources.items():
            with run.step(f"legacy: a site of {size:,} DiagnosticReports starts"):
                site = stack.enter_context(running(run.folder(f"legacy-{size}")))
            wanted = {
                "Patients": source.patients,
                "Practitioners": reports.PRACTITIONERS,
                "DiagnosticReports": size,
                "notes": reports.notes(size),
            }
            fill(run, "legacy", mongodb_url(site), source, wanted)
            sites[size] = site
        yield from _records(run, sources, sites)
        yield from _list(run, sites[run.small])


def _records(run: Run, sources: dict[int, Source], sites: dict[int, Site]) -> Iterator[Finding]:
    sizes = {str(size): size for size in sites}
    found: dict[int, list[Load]] = {size: [] for size in sites}
    for size, site in sites.items():
        _ask(run, sources[size], size, site, -1)
    for number, name in run.alternating("legacy: records of a patient", list(sizes)):
        found[sizes[name]].append(_ask(run, sources[sizes[name]], sizes[name], sites[sizes[name]], number))
    large, small = found[run.large], found[run.small]
    note = f"{run.large:,} DiagnosticReports, {_HISTORY} of each patient, 20 a page; " + " and ".join(
        f"{sum(each.size for each in loads) / len(loads) / 1000:.1f} kB" for loads in (large, small)
    )
    against = f"{run.small:,} DiagnosticReports"
    ours, theirs = spread([each.p50 for each in large]), spread([each.p50 for each in small])
    yield Finding("legacy", "a patient's records, newest first, p50", "ms", ours, against, theirs, _FLAT, note)
    ours, theirs = spread([each.p95 for each in large]), spread([each.p95 for each in small])
    yield Finding("legacy", "a patient's records, newest first, p95", "ms", ours, against, theirs)


def _ask(run: Run, source: Source, size: int, site: Site, number: int) -> Load:
    """One round of 20 records of patients who have some; other patients in each round, the same in every run."""
    chance = Random(f"legacy:{size}:{number}")
    patients = [reports.subject(source, chance.randrange(size)) for _ in range(_QUERIES)]
    targets = [f"/api/v1/medicalRecord?patient={id}&sort=-date&limit=20" for id in patients]
    return load(site.http_port, targets, site.token("doctor"), connections=1, seconds=run.seconds, most=_QUERIES)


def _list(run: Run, site: Site) -> Iterator[Finding]:
    sides = {"/api/v1": _LIST, "/fhir": _SEARCH}
    rates: dict[str, list[float]] = {side: [] for side in sides}
    for _, side in run.alternating("legacy: a list of 100 patients", list(sides)):
        token = site.token("doctor")
        found = load(site.http_port, [sides[side]], token, connections=_CONNECTIONS, seconds=run.seconds)
        rates[side].append(found.rate)
    ours, theirs = spread(rates["/api/v1"]), spread(rates["/fhir"])
    note = f"{_CONNECTIONS} connections, every list audited durably"
    yield Finding("legacy", "lists of 100 patients", "requests/s", ours, _SEARCH, theirs, _HALF, note)
