"""The registry and the indexer with the committed tables."""

from __future__ import annotations

import pytest

from hayat_fhir import definitions
from hayat_fhir.search.indexing import Indexer
from hayat_fhir.search.parameters import SearchParameters

BASE = "https://site.example/fhir"


@pytest.fixture(scope="session")
def parameters() -> SearchParameters:
    """All search parameters of R4."""
    loaded = definitions.load()
    return SearchParameters(loaded.search_parameters, loaded.resource_types)


@pytest.fixture(scope="session")
def indexer(parameters: SearchParameters) -> Indexer:
    """The indexer of a site at ``BASE``."""
    return Indexer(parameters, definitions.load().compartments, BASE)
