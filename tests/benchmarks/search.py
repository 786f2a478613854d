"""Searches over HTTP on ten thousand and on a million Observations: their latency must stay flat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from urllib.parse import quote

from hayat_fhir.demonstration_site import Site
from tests.benchmarks.figures import Finding, Target, spread
from tests.benchmarks.http_load import Load, load
from tests.benchmarks.observations import IDENTIFIER_SYSTEM, LOINC, PATIENTS, Source
from tests.benchmarks.resource_load import fill
from tests.benchmarks.run import Run
from tests.benchmarks.site import mongodb_url, running

_TARGET = Target(1.5, "ratio", at_least=False)
_QUERIES = 400
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class _Query:
    """One kind of search: ``target`` makes it from the number of an Observation that must be among its matches."""

    name: str
    target: Callable[[Source, int], str]
    judged: bool = False


def measure(run: Run) -> Iterator[Finding]:
    """The p50 and p95 of each kind of search, one client, on both sizes in turn.

    Raises:
        BenchmarkFailed: A search was refused.
    """
    source = Source()
    with ExitStack() as stack:
        sites = {}
        for size in (run.small, run.large):
            with run.step(f"search: a site of {size:,} Observations starts"):
                site = stack.enter_context(running(run.folder(f"search-{size}")))
            fill(run, "search", mongodb_url(site), source, {"Patients": PATIENTS, "Observations": size})
            sites[size] = site
        for query in _QUERIES_MADE:
            yield from _compare(run, query, source, sites)


def _compare(run: Run, query: _Query, source: Source, sites: dict[int, Site]) -> Iterator[Finding]:
    sizes = {str(size): size for size in sites}
    found: dict[int, list[Load]] = {size: [] for size in sites}
    for size, site in sites.items():
        _ask(run, query, source, size, site, -1)
    for number, name in run.alternating(f"search: {query.name}", list(sizes)):
        size = sizes[name]
        found[size].append(_ask(run, query, source, size, sites[size], number))
    large, small = found[run.large], found[run.small]
    against = f"{run.small:,} Observations"
    note = f"{run.large:,} Observations; mean answers {_kilobytes(large)} and {_kilobytes(small)} kB"
    ours, theirs = spread([load.p50 for load in large]), spread([load.p50 for load in small])
    target = _TARGET if query.judged else None
    yield Finding("search", f"{query.name}, p50", "ms", ours, against, theirs, target, note)
    ours, theirs = spread([load.p95 for load in large]), spread([load.p95 for load in small])
    yield Finding("search", f"{query.name}, p95", "ms", ours, against, theirs)


def _ask(run: Run, query: _Query, source: Source, size: int, site: Site, number: int) -> Load:
    """One round: other Observations in each round, the same in every run."""
    chance = Random(f"{query.name}:{size}:{number}")
    targets = [query.target(source, chance.randrange(size)) for _ in range(_QUERIES)]
    return load(site.http_port, targets, site.token("doctor"), connections=1, seconds=run.seconds, most=_QUERIES)


def _kilobytes(loads: list[Load]) -> str:
    return f"{sum(load.size for load in loads) / len(loads) / 1000:.1f}"


def _code(source: Source, number: int) -> str:
    return quote(f"{LOINC}|{source.pair(number)[1]}")


def _taken(source: Source, number: int) -> datetime:
    return datetime.fromisoformat(source.observation(number)["effectiveDateTime"])


def _days(source: Source, number: int, days: float) -> str:
    """The interval of this length around the Observation, as two search parameters."""
    taken = _taken(source, number)
    ends = [(taken + timedelta(days=sign * days / 2)).isoformat(timespec="milliseconds") for sign in (-1, 1)]
    return f"date=ge{quote(ends[0])}&date=lt{quote(ends[1])}"


def _patient_and_code(source: Source, number: int) -> str:
    patient, _ = source.pair(number)
    id = source.patient_id(patient)
    return f"/fhir/Observation?patient={id}&code={_code(source, number)}&_sort=-date&_count=20"


def _patient_alone(source: Source, number: int) -> str:
    return f"/fhir/Observation?patient={source.patient_id(source.pair(number)[0])}&_sort=-date&_count=20"


def _code_alone(source: Source, number: int) -> str:
    return f"/fhir/Observation?code={_code(source, number)}&_sort=-date&_count=20"


def _identifier(source: Source, number: int) -> str:
    value = source.observation(number)["identifier"][0]["value"]
    return f"/fhir/Observation?identifier={quote(f'{IDENTIFIER_SYSTEM}|{value}')}"


def _date(source: Source, number: int) -> str:
    return f"/fhir/Observation?{_days(source, number, 1)}&_sort=date&_count=20"


def _code_and_date(source: Source, number: int) -> str:
    return f"/fhir/Observation?code={_code(source, number)}&{_days(source, number, 30)}&_sort=-date&_count=20"


def _last_updated(source: Source, number: int) -> str:
    del source, number
    return "/fhir/Observation?_lastUpdated=gt2000-01-01&_sort=-_lastUpdated&_count=20"


def _by_id(source: Source, number: int) -> str:
    return f"/fhir/Observation?_id={source.observation(number)['id']}"


def _name(source: Source, number: int) -> str:
    family = str(source.patient(source.pair(number)[0])["name"][0]["family"])
    return f"/fhir/Patient?family={quote(family[:4])}&_count=20"


_QUERIES_MADE = (
    _Query("patient, code, newest first", _patient_and_code, judged=True),
    _Query("patient, newest first", _patient_alone),
    _Query("code, newest first", _code_alone),
    _Query("identifier", _identifier),
    _Query("_id", _by_id),
    _Query("date within a day", _date),
    _Query("code and date within 30 days", _code_and_date),
    _Query("_lastUpdated, newest first", _last_updated),
    _Query("Patient by the start of the family name", _name),
)
