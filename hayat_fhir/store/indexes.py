"""The fixed set of indexes: the same for every resource type, whatever its search parameters."""

from __future__ import annotations

from pymongo import ASCENDING, IndexModel

HISTORY = "_history"
"""Ending of the name of the collection that holds a type's earlier versions."""

_KEYS = "index.keys"
_DATE = "index.date"


def of_resources(collection: str) -> bool:
    """Whether this collection holds the current versions of a resource type; it has the type's name then."""
    return collection[:1].isupper() and not collection.endswith(HISTORY)


def indexes_of(collection: str) -> list[IndexModel]:
    """The indexes that this collection needs beside ``_id``."""
    if collection.endswith(HISTORY):
        return _HISTORY_INDEXES
    if collection == "AuditEvent":
        return [model for model in _RESOURCE_INDEXES if model.document["name"] not in _NOT_FOR_AUDIT]
    return _RESOURCE_INDEXES if of_resources(collection) else _SITE_INDEXES.get(collection, [])


_RESOURCE_INDEXES = [
    IndexModel([(_KEYS, ASCENDING), (_DATE, ASCENDING), ("_id", ASCENDING)], name="keys"),
    IndexModel([("compartments", ASCENDING), (_DATE, ASCENDING), ("_id", ASCENDING)], name="compartments"),
    IndexModel([(_DATE, ASCENDING), ("_id", ASCENDING)], name="date"),
    IndexModel(
        [("index.wide", ASCENDING), (_DATE, ASCENDING), ("_id", ASCENDING)],
        name="wide",
        partialFilterExpression={"index.wide": {"$exists": True}},
    ),
    IndexModel([("restricted", ASCENDING)], name="restricted", partialFilterExpression={"restricted": True}),
    IndexModel([("updated", ASCENDING), ("_id", ASCENDING)], name="updated"),
    IndexModel([("generation", ASCENDING)], name="generation"),
    IndexModel([("index.strings", ASCENDING)], name="strings"),
    IndexModel([("index.ranges.p", 1), ("index.ranges.lo", 1), ("index.ranges.hi", 1)], name="low"),
    IndexModel([("index.ranges.p", 1), ("index.ranges.hi", 1), ("index.ranges.lo", 1)], name="high"),
]

_HISTORY_INDEXES = [
    IndexModel([("updated", ASCENDING), ("_id", ASCENDING)], name="updated"),
    IndexModel([("compartments", ASCENDING), ("updated", ASCENDING), ("_id", ASCENDING)], name="compartments"),
]
"""What the history of a type is read by; that of one resource is read by ``_id``."""

_NOT_FOR_AUDIT = frozenset({"strings", "low", "high"})
"""AuditEvents are written with every answer, and looked for by key and date."""

_SITE_INDEXES: dict[str, list[IndexModel]] = {
    "accounts": [IndexModel("email", unique=True), IndexModel("reference")],
    "arrivals": [IndexModel("first"), IndexModel("last")],
    "assertions": [IndexModel("expires", expireAfterSeconds=60)],
    "ended_tokens": [IndexModel("expires", expireAfterSeconds=60)],
    "consultations": [
        IndexModel([("accounts", 1), ("created", -1)]),
        IndexModel("created"),
        IndexModel("doctor.account", unique=True, partialFilterExpression={"open": True}),
        IndexModel("patient.account", unique=True, partialFilterExpression={"open": True}),
    ],
    "imaging_studies": [
        IndexModel([("keys", 1), ("date", -1)], name="keys"),
        IndexModel([("marks", 1), ("date", -1)], name="marks"),
        IndexModel([("marks", 1), ("patient", 1), ("date", 1)], name="patients"),
        IndexModel("imaging_study"),
        IndexModel([("generation", 1)], name="generation"),
    ],
    "commitments": [IndexModel("due")],
    "outbox": [
        IndexModel([("kind", 1), ("key", 1)], unique=True, partialFilterExpression={"unfinished": True}),
        IndexModel("due", partialFilterExpression={"unfinished": True}),
        IndexModel("created"),
        IndexModel([("status", 1), ("created", -1)]),
    ],
    "partners": [
        IndexModel("client_id", unique=True),
        IndexModel("name", unique=True),
        IndexModel("ae_title", unique=True, partialFilterExpression={"ae_title": {"$exists": True}}),
    ],
    "procedure_steps": [IndexModel([("pending", 1), ("at", 1)], partialFilterExpression={"pending": True})],
    "throttles": [IndexModel("expires", expireAfterSeconds=0)],
    "presence": [IndexModel("process")],
    "signals": [IndexModel("at", expireAfterSeconds=60)],
    "tickets": [IndexModel("expires", expireAfterSeconds=0)],
}
"""Indexes of the collections that hold no resources."""
