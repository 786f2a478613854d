"""Fixtures of the security tests: keys in a folder of their own, made once."""

from __future__ import annotations

import pytest

from hayat_fhir.definitions import Definitions, load
from hayat_fhir.security.keys import SiteKeys


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> SiteKeys:
    """The keys of a site."""
    return SiteKeys.load_or_create(tmp_path_factory.mktemp("secrets"))


@pytest.fixture(scope="session")
def definitions() -> Definitions:
    """The tables of R4."""
    return load()
