"""Loads seeded Patients and Observations past the door: indexed and laid out by the site's own code, in raw batches."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import psutil
from pymongo import MongoClient
from pymongo.write_concern import WriteConcern

from hayat_fhir import definitions
from hayat_fhir.search.indexing import Indexer
from hayat_fhir.search.parameters import SearchParameters
from hayat_fhir.store.database import connect_sync
from hayat_fhir.store.documents import to_document
from hayat_fhir.store.indexes import indexes_of
from hayat_fhir.store.records import Change
from tests.benchmarks.observations import PATIENTS, Source
from tests.benchmarks.processes import answer, program
from tests.benchmarks.run import Run

_BATCH = 500
_RELAXED = WriteConcern(1, j=False)


def fill(run: Run, url: str, source: Source, observations: int) -> None:
    """Load all Patients, and this many Observations, with a process per core but one; then build the indexes.

    Raises:
        BenchmarkFailed: A loading process ended early.
    """
    loaders = max((psutil.cpu_count() or 2) - 1, 1)
    total = PATIENTS + observations
    with run.step(f"search: loading {observations:,} Observations", total) as task, ExitStack() as stack:
        parts = [_part(url, source, observations, part, loaders) for part in range(loaders)]
        running = [stack.enter_context(program("observation_load", part)) for part in parts]
        while running:
            for loader in list(running):
                loaded = answer(loader)["loaded"]
                if loaded:
                    run.progress.advance(task, loaded)
                else:
                    running.remove(loader)
    _build_indexes(run, url)


def _part(url: str, source: Source, observations: int, part: int, loaders: int) -> dict[str, Any]:
    """What one loading process is told: every ``loaders``-th resource from ``part``."""
    return {
        "url": url,
        "seed": source.seed,
        "patients": [part, PATIENTS, loaders],
        "observations": [part, observations, loaders],
    }


def _build_indexes(run: Run, url: str) -> None:
    """Build all indexes at once: growing them entry by entry in a small cache is several times slower."""
    client: MongoClient[dict[str, Any]] = MongoClient(url)
    with client, run.step("search: building indexes"):
        for type in ("Patient", "Observation"):
            client["hayat"][type].create_indexes(list(indexes_of(type)))


def _changes(indexer: Indexer, make: Callable[[int], dict[str, Any]], numbers: Iterable[int]) -> Iterator[Change]:
    for number in numbers:
        resource = make(number)
        type, id = resource["resourceType"], resource["id"]
        entries = indexer.index(resource, id)
        yield Change(type, id, 0, resource, entries, tuple(indexer.compartments(resource, id)))


def main() -> None:
    """Load the slices that standard input names; write a line of JSON for each batch, and one of 0 at the end."""
    given = json.load(sys.stdin)
    source = Source(given["seed"])
    tables = definitions.load()
    parameters = SearchParameters(tables.search_parameters, tables.resource_types)
    indexer = Indexer(parameters, tables.compartments, "http://127.0.0.1/fhir")
    database = connect_sync(given["url"])
    slices = ((source.patient, range(*given["patients"])), (source.observation, range(*given["observations"])))
    for make, numbers in slices:
        changes = _changes(indexer, make, numbers)
        while batch := list(islice(changes, _BATCH)):
            now = datetime.now(UTC)
            collection = database.get_collection(batch[0].type, write_concern=_RELAXED)
            collection.insert_many([to_document(change, now) for change in batch], ordered=False)
            sys.stdout.write(json.dumps({"loaded": len(batch)}) + "\n")
            sys.stdout.flush()
    sys.stdout.write(json.dumps({"loaded": 0}) + "\n")


if __name__ == "__main__":
    main()
