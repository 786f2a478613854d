"""The bound of a transaction: validate every entry with fhir.resources, then ``insert_many`` the same documents.

One process; a Bundle is parsed with orjson, its resources validated one by one with the R4B models and inserted
as they are, per type, with the write concern of the site, into collections without further indexes.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import psutil
from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.write_concern import WriteConcern

from tests.benchmarks.synthea import BundleFile, bundles


def _insert(database: Database[dict[str, Any]], bundle: BundleFile) -> int:
    """Parse, validate and insert; returns how many resources the packaged models refuse (they are inserted too)."""
    refused = 0
    by_type: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in orjson.loads(bundle.body)["entry"]:
        resource = entry["resource"]
        try:
            get_fhir_model_class(resource["resourceType"]).model_validate(resource)
        except ValidationError:
            refused += 1
        by_type[resource["resourceType"]].append({**resource, "_id": str(uuid4())})
    concern = WriteConcern("majority", j=True)
    for type, documents in by_type.items():
        database.get_collection(type, write_concern=concern).insert_many(documents, ordered=False)
    return refused


def main() -> None:
    """Measure one round per line read from standard input, into a fresh database each."""
    given = json.load(sys.stdin)
    first, patients = bundles(Path(given["synthea"]))
    for bundle in (*first, *patients):
        for type in {resource["resourceType"] for resource in bundle.resources}:
            get_fhir_model_class(type)
    client: MongoClient[dict[str, Any]] = MongoClient(given["url"])
    name = f"bound_{uuid4().hex}"
    for bundle in first:
        _insert(client[name], bundle)
    started, cpu_before = time.perf_counter(), sum(psutil.Process().cpu_times()[:2])
    refused = sum(_insert(client[name], bundle) for bundle in patients)
    took, cpu = time.perf_counter() - started, sum(psutil.Process().cpu_times()[:2]) - cpu_before
    client.drop_database(name)
    sys.stdout.write(json.dumps({"seconds": took, "cpu": cpu, "refused": refused}) + "\n")


if __name__ == "__main__":
    main()
