"""Figures of the site that several processes keep together, for Prometheus and for people.

Counters are added up in the database, so that they outlive the processes; gauges are those of the processes that
live. ``figures``: ``{_id: counter and labels, name, labels, value}`` and ``{_id: process, at, gauges, shared}``.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from uuid import uuid4

from pymongo import UpdateOne
from pymongo.database import Database as SyncDatabase

from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import now
from hayat_fhir.store.faults import answered
from hayat_fhir.store.index_renewal import IndexRenewal

_FRESH = timedelta(seconds=15)
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. ``name`` follows https://prometheus.io/docs/practices/naming/, a counter's without ``_total``."""

    name: str
    kind: Literal["counter", "gauge"]
    value: float
    labels: Labels = ()


class Figures:
    """What one process has counted since it last published it.

    ``shared`` are gauges that read the same in every process; those of ``show`` are added up. Both are read whenever
    they are published.
    """

    def __init__(self, shared: Mapping[str, Callable[[], float]] | None = None) -> None:
        self._shared = dict(shared or {})
        self._gauges: dict[str, Callable[[], float]] = {}
        self._lock = threading.Lock()
        self._counted: Counter[tuple[str, Labels]] = Counter()
        self._process = uuid4().hex

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Count something; label values are few and of our own choice, never what somebody sent."""
        with self._lock:
            self._counted[name, tuple(sorted(labels.items()))] += amount

    def show(self, name: str, gauge: Callable[[], float]) -> None:
        """Publish this gauge from now on."""
        self._gauges[name] = gauge

    def publish(self, database: SyncDatabase[dict[str, Any]]) -> None:
        """Add what has been counted to what stands in the database, and say what the gauges read.

        Raises:
            Unavailable: MongoDB does not answer; what has been counted is published next time.
        """
        with self._lock:
            counted, self._counted = self._counted, Counter()
        gauges, shared = _read(self._gauges), _read(self._shared)
        state = {"at": now(), "gauges": gauges, "shared": shared}
        writes = [UpdateOne({"_id": self._process}, {"$set": state}, upsert=True)]
        writes += [added(name, amount, labels) for (name, labels), amount in counted.items()]
        try:
            with answered():
                database["figures"].bulk_write(writes, ordered=False)
        except BaseException:
            with self._lock:
                self._counted += counted
            raise

    def withdraw(self, database: SyncDatabase[dict[str, Any]]) -> None:
        """This process ends: its gauges go.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            database["figures"].delete_one({"_id": self._process})
            database["figures"].delete_many({"at": {"$lt": now() - _FRESH}})


def added(name: str, amount: int, labels: Labels) -> UpdateOne:
    """The statement that adds to a counter of the site, for whoever writes to ``figures`` at once."""
    about = {"name": name, "labels": [list(label) for label in labels]}
    key = " ".join([name, *(f"{label}={value}" for label, value in labels)])
    return UpdateOne({"_id": key}, {"$inc": {"value": amount}, "$setOnInsert": about}, upsert=True)


class SiteFigures:
    """What all processes have published, and what the database itself tells."""

    def __init__(self, database: Database) -> None:
        self._rows = database.collection("figures")
        self._outbox = database.collection("outbox")
        self._instances = database.collection("instances")
        self._quarantine = database.collection("quarantine")
        self._renewal = IndexRenewal(database)

    async def read(self) -> list[Figure]:
        """All of them.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        found: list[Figure] = []
        gauges: defaultdict[str, float] = defaultdict(float)
        with answered():
            async for row in self._rows.find({}):
                if "name" in row:
                    labels = tuple((str(label), str(value)) for label, value in row["labels"])
                    found.append(Figure(row["name"], "counter", float(row["value"]), labels))
                elif row["at"] > now() - _FRESH:
                    for name, value in row["gauges"].items():
                        gauges[name] += value
                    gauges |= row["shared"]
                    gauges["hayat_dicom_processes"] += 1
            gauges["hayat_imaging_instances"] = await self._instances.estimated_document_count()
            pending = await self._instances.distinct("study", {"pending": True})
            gauges["hayat_imaging_pending_studies"] = len(pending)
            gauges["hayat_search_outdated_documents"] = sum((await self._renewal.due()).values())
            found += [Figure(name, "gauge", value) for name, value in gauges.items()]
            found += await self._of_quarantine()
            by_kind: list[dict[str, Any]] = [
                {"$match": {"unfinished": True}},
                {"$group": {"_id": {"kind": "$kind", "status": "$status"}, "jobs": {"$sum": 1}}},
            ]
            async for row in await self._outbox.aggregate(by_kind):
                of = tuple(sorted((str(key), str(value)) for key, value in row["_id"].items()))
                found.append(Figure("hayat_outbox_jobs", "gauge", float(row["jobs"]), of))
        return found

    async def _of_quarantine(self) -> list[Figure]:
        """How much is in quarantine by state; what waits for a decision is told even where that is nothing."""
        entries = {"open": 0.0}
        by_state: list[dict[str, Any]] = [{"$group": {"_id": "$state", "entries": {"$sum": 1}}}]
        async for row in await self._quarantine.aggregate(by_state):
            entries[str(row["_id"])] = float(row["entries"])
        return [Figure("hayat_imaging_quarantine", "gauge", n, (("state", state),)) for state, n in entries.items()]


def _read(gauges: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    return {name: float(gauge()) for name, gauge in gauges.items()}
