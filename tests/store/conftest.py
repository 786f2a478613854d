"""Fixtures of the store's tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hayat_fhir.search.entries import IndexEntries
from hayat_fhir.store.database import Database
from hayat_fhir.store.records import Change
from hayat_fhir.store.resources import Resources

MakeChange = Callable[..., Change]


@pytest.fixture
def resources(database: Database) -> Resources:
    """A resource store on an empty database; the principal date of Observation is ``date``."""
    return Resources(database, {"Observation": "date"})


@pytest.fixture
def change() -> MakeChange:
    """Makes a change of an Observation: ``change(id, expected=0, *, resource={..}, entries=.., compartments=..)``."""

    def make(id: str = "a", expected: int = 0, *, type: str = "Observation", **rest: Any) -> Change:
        given = rest.pop("resource", {"status": "final"})
        resource = None if given is None else {"resourceType": type, **given}
        return Change(type, id, expected, resource, rest.pop("entries", IndexEntries()), **rest)

    return make
