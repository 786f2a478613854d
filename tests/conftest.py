"""Fixtures for every test: a real MongoDB, one for all workers of a run, and a fresh database for each test."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import settings as hypothesis_settings

from hayat_fhir.store.database import Database, connect
from hayat_fhir.store.mongod import EmbeddedMongod

pytest_plugins = ["tests.skips"]
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")


@pytest.fixture(scope="session")
def mongodb_url(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[str]:
    """The URL of an embedded mongod that runs for the whole session, shared by all xdist workers.

    The worker that gets the lock starts it, and waits at its own end until the others need it no more.
    """
    base = tmp_path_factory.getbasetemp()
    folder: Path = (base if worker_id == "master" else base.parent) / "shared-mongod"
    folder.mkdir(exist_ok=True)
    mongod = EmbeddedMongod(folder)
    with (folder / "users").open("ab") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield mongod.start()
        finally:
            if mongod.pid is None:
                fcntl.flock(users, fcntl.LOCK_UN)
            else:
                fcntl.flock(users, fcntl.LOCK_EX)
                mongod.stop()
                shutil.rmtree(folder / "mongod")


@pytest.fixture
def database_name() -> str:
    """A database name that no other test uses; drop what you make under it, or use ``database``."""
    return f"hayat_test_{uuid4().hex}"


@pytest.fixture
async def database(mongodb_url: str, database_name: str) -> AsyncIterator[Database]:
    """An empty database named ``database_name`` on ``mongodb_url``, dropped after the test."""
    database = connect(mongodb_url, database_name)
    yield database
    await database.drop()
    await database.close()
