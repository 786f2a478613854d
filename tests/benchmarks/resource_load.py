"""Loads seeded resources past the door: indexed and laid out by the site's own code, in raw batches."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
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
from tests.benchmarks import reports
from tests.benchmarks.observations import Source
from tests.benchmarks.processes import answer, program
from tests.benchmarks.run import Run

KINDS: dict[str, Callable[[Source, int], dict[str, Any]]] = {
    "Patients": Source.patient,
    "Observations": Source.observation,
    "DiagnosticReports": reports.report,
    "notes": reports.note,
    "Practitioners": reports.practitioner,
}
"""What can be loaded, and how number n of it is made."""

_BATCH = 500
_RELAXED = WriteConcern(1, j=False)


def fill(run: Run, what: str, url: str, source: Source, wanted: dict[str, int]) -> None:
    """Load this many of each of the ``KINDS``, with a process per core but one; then build the indexes.

    Raises:
        BenchmarkFailed: A loading process ended early.
    """
    client: MongoClient[dict[str, Any]] = MongoClient(url)
    with client:
        present = client["hayat"].list_collection_names()
    loaders = max((psutil.cpu_count() or 2) - 1, 1)
    with run.step(f"{what}: loading {_described(wanted)}", sum(wanted.values())) as task, ExitStack() as stack:
        parts = [
            {
                "url": url,
                "source": [source.seed, source.patients],
                "present": present,
                "slices": {kind: [part, number, loaders] for kind, number in wanted.items()},
            }
            for part in range(loaders)
        ]
        running = [stack.enter_context(program("resource_load", part)) for part in parts]
        while running:
            for loader in list(running):
                loaded = answer(loader)["loaded"]
                if loaded:
                    run.progress.advance(task, loaded)
                else:
                    running.remove(loader)
    _build_indexes(run, what, url, wanted, present)


def _described(wanted: dict[str, int]) -> str:
    return ", ".join(f"{number:,} of {kind}" for kind, number in wanted.items())


def _loading(type: str, present: Collection[str]) -> str:
    """Where resources of a type go: beside its collection where there is none, lest the site indexes it meanwhile."""
    return type if type in present else f"loading.{type}"


def _build_indexes(run: Run, what: str, url: str, kinds: Iterable[str], present: Collection[str]) -> None:
    """Build all indexes at once: growing them entry by entry in a small cache is several times slower."""
    client: MongoClient[dict[str, Any]] = MongoClient(url)
    with client, run.step(f"{what}: building indexes"):
        for type in sorted({KINDS[kind](Source(), 0)["resourceType"] for kind in kinds}):
            loaded = client["hayat"][_loading(type, present)]
            loaded.create_indexes(list(indexes_of(type)))
            if type not in present:
                loaded.rename(type)


def _changes(indexer: Indexer, make: Callable[[int], dict[str, Any]], numbers: Iterable[int]) -> Iterator[Change]:
    for number in numbers:
        resource = make(number)
        type, id = resource["resourceType"], resource["id"]
        entries = indexer.index(resource, id)
        yield Change(type, id, 0, resource, entries, tuple(indexer.compartments(resource, id)))


def main() -> None:
    """Load the slices that standard input names; write a line of JSON for each batch, and one of 0 at the end."""
    given = json.load(sys.stdin)
    source = Source(*given["source"])
    tables = definitions.load()
    parameters = SearchParameters(tables.search_parameters, tables.resource_types)
    indexer = Indexer(parameters, tables.compartments, "http://127.0.0.1/fhir")
    database = connect_sync(given["url"])
    for kind, part in given["slices"].items():
        changes = _changes(indexer, partial(KINDS[kind], source), range(*part))
        while batch := list(islice(changes, _BATCH)):
            now = datetime.now(UTC)
            name = _loading(batch[0].type, given["present"])
            collection = database.get_collection(name, write_concern=_RELAXED)
            collection.insert_many([to_document(change, now) for change in batch], ordered=False)
            sys.stdout.write(json.dumps({"loaded": len(batch)}) + "\n")
            sys.stdout.flush()
    sys.stdout.write(json.dumps({"loaded": 0}) + "\n")


if __name__ == "__main__":
    main()
