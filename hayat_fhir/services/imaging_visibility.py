"""Imaging studies are found by those who see their ImagingStudy: also after it has been relabelled or moved.

What nobody may see any more is never told, for every query asks the ImagingStudy itself; this lets those find a study
who may see it now.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import structlog
from structlog.typing import FilteringBoundLogger

from hayat_fhir.errors import Unavailable
from hayat_fhir.store.imaging_studies import ImagingStudyRows

_POLL = 1.0
_OVERLAP = timedelta(seconds=10)
"""A change that began earlier may become visible later: the last seconds are looked at again."""
_FIRST = timedelta(days=1)
"""At the start, so much is looked at that may have changed while nobody followed."""


class ImagingVisibility:
    """Follows the ImagingStudy resources."""

    def __init__(self, rows: ImagingStudyRows) -> None:
        self._rows = rows
        self._log: FilteringBoundLogger = structlog.get_logger("hayat_fhir.imaging")

    async def run(self, stop: asyncio.Event) -> None:
        """Follow, until ``stop`` is set."""
        since = datetime.now(UTC) - _FIRST
        while not stop.is_set():
            try:
                since = max(since, await self._rows.follow(since - _OVERLAP))
            except Unavailable as refusal:
                self._log.warning("imaging studies not followed", code=refusal.issues[0].code)
            try:
                await asyncio.wait_for(stop.wait(), _POLL)
            except TimeoutError:
                continue
