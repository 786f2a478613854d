"""``hayat reindex``, run as a person runs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from hayat_fhir.search.entries import IndexEntries, key
from hayat_fhir.store.database import connect_sync
from hayat_fhir.store.documents import now, to_document
from hayat_fhir.store.mongod import EmbeddedMongod
from hayat_fhir.store.records import Change
from tests.family import environment, hayat


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Database[dict[str, Any]]]:
    """The database of a site in ``tmp_path`` of which no other process runs."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    mongod = EmbeddedMongod(folder)
    database = connect_sync(mongod.start())
    with database.client:
        yield database
    mongod.stop()


def _stored(type: str, id: str, **resource: object) -> dict[str, Any]:
    document = to_document(Change(type, id, 0, {"resourceType": type, **resource}, IndexEntries()), now())
    del document["generation"]
    return document


def test_reindex_at_once(rows: Database[dict[str, Any]], tmp_path: Path) -> None:
    """``--check`` tells what is outdated, ``reindex`` renews the types that are named, or all."""
    observations = [_stored("Observation", str(number), status="final") for number in range(300)]
    rows["Observation"].insert_many(observations)
    rows["Patient"].insert_one(_stored("Patient", "p", gender="female"))
    settings = environment(tmp_path)

    check = hayat(settings, "reindex", "--check")
    assert (check.returncode, check.stdout) == (1, "Observation\t300\nPatient\t1\n"), check.stderr
    some = hayat(settings, "reindex", "Patient")
    assert (some.returncode, some.stdout, some.stderr) == (0, "Patient\t1\n", "")
    assert rows["Patient"].count_documents({"index.keys": key("gender", "female")}) == 1
    rest = hayat(settings, "reindex")
    assert (rest.returncode, rest.stdout, rest.stderr) == (0, "Observation\t300\n", "")
    assert rows["Observation"].count_documents({"index.keys": key("status", "final")}) == 300
    check = hayat(settings, "reindex", "--check")
    assert (check.returncode, check.stdout, check.stderr) == (0, "", "")

    rows["Patient"].update_one({}, {"$set": {"index.keys": []}})
    assert hayat(settings, "reindex").stdout == ""
    assert hayat(settings, "reindex", "--all", "Patient").stdout == "Patient\t1\n"
    assert rows["Patient"].count_documents({"index.keys": key("gender", "female")}) == 1


def test_reindex_names_what_it_cannot(rows: Database[dict[str, Any]], tmp_path: Path) -> None:
    """What the rules refuse is named, with status 1; a type that FHIR does not know is a mistake, with status 2."""
    rows["Patient"].insert_many([_stored("Patient", "good"), _stored("Patient", "bad", birthDate="2026-02-31")])
    settings = environment(tmp_path)
    done = hayat(settings, "reindex")
    assert (done.returncode, done.stdout) == (1, "Patient\t1\n")
    assert done.stderr == "hayat: Patient/bad cannot be indexed\n"
    done = hayat(settings, "reindex", "Patients")
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "hayat: Patients is no resource type, nor imaging_studies\n",
    )
