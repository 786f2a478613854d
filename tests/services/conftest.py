"""A whole site without its doors, on a fresh database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from hayat_fhir.app import Site, open_site
from hayat_fhir.settings import Settings


@pytest.fixture
async def site(mongodb_url: str, database_name: str, tmp_path: Path) -> AsyncIterator[Site]:
    """The site's services."""
    settings = Settings(mongodb_url=SecretStr(mongodb_url), data_dir=tmp_path, base_url="http://127.0.0.1:1")
    async with open_site(settings, database_name) as site:
        yield site
        await site.database.drop()
