"""The process of the worker: what the site does by itself, without anybody waiting for it."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from hayat_fhir.app import open_site
from hayat_fhir.logs import configure_logging

if TYPE_CHECKING:
    from hayat_fhir.settings import Settings

_DELIVERIES = 4
"""Shares delivered at a time: a partner that hangs holds one."""


async def serve_worker(settings: Settings) -> None:
    """Project imaging studies, deliver shares and renew the search index until SIGTERM."""
    configure_logging()
    async with open_site(settings) as site:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(site.projection.run(stop))
            tasks.create_task(site.imaging_visibility.run(stop))
            tasks.create_task(site.procedures.run(stop))
            tasks.create_task(site.reindexing.run(stop))
            tasks.create_task(site.earlier_versions.run(stop))
            for _ in range(_DELIVERIES):
                tasks.create_task(site.exchange.run(stop))
