"""A real ``hayat serve`` for the length of a benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hayat_fhir.demonstration_site import Site
from hayat_fhir.store.mongod import attach
from tests.benchmarks.figures import BenchmarkFailed
from tests.benchmarks.processes import Tree, tree


@contextmanager
def running(
    folder: Path, *, roles: tuple[str, ...] = ("doctor",), settings: dict[str, str] | None = None
) -> Iterator[Site]:
    """A fresh site in this folder, ready, with an account of each role; it ends with the block."""
    site = Site("Benchmark", "HAYAT", folder, further_settings=settings or {})
    try:
        site.start()
        site.wait_until_ready()
        for role in roles:
            site.add_account(role)
        yield site
    finally:
        site.stop()


def data_dir(site: Site) -> Path:
    """Where the site keeps its data."""
    return Path(site.settings["HAYAT_DATA_DIR"])


def mongodb_url(site: Site) -> str:
    """The URL of the site's own mongod.

    Raises:
        BenchmarkFailed: It has none.
    """
    url = attach(data_dir(site))
    if url is None:
        raise BenchmarkFailed("the site's mongod does not answer")
    return url


def processes(site: Site) -> Tree:
    """The site's processes.

    Raises:
        BenchmarkFailed: It is not running.
    """
    if site.process is None:
        raise BenchmarkFailed("the site is not running")
    return tree(site.process.pid)
