"""How a command reaches the site: by the settings, and the running site's database or one started for the moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from hayat_fhir.app import Site
    from hayat_fhir.settings import Settings

T = TypeVar("T")


def settings(http_port: int | None = None, dicom_port: int | None = None, data_dir: Path | None = None) -> Settings:
    """The settings of this site, with what the command line says instead.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    from hayat_fhir.settings import load

    return load(http_port=http_port, dicom_port=dicom_port, data_dir=data_dir)


def with_site(use: Callable[[Site], Awaitable[T]]) -> T:
    """Call services of this site: of the running one's database, or of one started for the moment."""
    from hayat_fhir.app import open_site

    async def run() -> T:
        async with open_site(settings()) as site:
            return await use(site)

    return asyncio.run(run())
