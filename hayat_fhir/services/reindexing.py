"""The search index follows its rules: what an earlier version of this software has indexed is indexed again.

By itself in the worker, at half its speed and batch by batch, and at once on demand. What is left to do stands in the
documents, so that a process that is killed loses nothing, and another goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import structlog
from structlog.typing import FilteringBoundLogger

from hayat_fhir.errors import Unavailable
from hayat_fhir.search.entries import GENERATION
from hayat_fhir.services.imaging_renewal import ImagingRenewal
from hayat_fhir.store.index_renewal import IMAGING, IndexRenewal, MakeEntries, Renewed

_POLL = 60.0
"""Seconds between two looks at whether processes of an earlier version, in a rolling upgrade, have written more."""
_RETRY = 3600.0
"""Seconds before what the present rules refuse is tried again."""
_AWAY = 5.0
"""Seconds before it goes on where MongoDB did not answer."""
_TELL = 30.0


class Reindexing:
    """Brings documents to the present generation of index rules; ``make`` is these rules for resources.

    What is searched is named by its collection: a resource type, or ``IMAGING`` for what DICOM clients search.
    """

    def __init__(self, renewal: IndexRenewal, make: MakeEntries, imaging: ImagingRenewal) -> None:
        self._renewal = renewal
        self._make = make
        self._imaging = imaging
        self._log: FilteringBoundLogger = structlog.get_logger("hayat_fhir.index")

    async def due(self, *, everything: bool = False) -> dict[str, int]:
        """How many documents ``reindex`` would look at, by collection; all of which there are any.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        await self._renewal.prepare()
        return {name: count for name, count in (await self._renewal.due(everything=everything)).items() if count}

    async def reindex(self, names: Sequence[str], *, everything: bool = False) -> AsyncGenerator[tuple[str, Renewed]]:
        """Renew these collections one after another, at full speed; tells what has become of each batch.

        ``everything``: also what the present rules have indexed, where it is not as they would have it.

        Raises:
            Unavailable: MongoDB does not answer; called again, it goes on.
        """
        await self._renewal.prepare()
        for name in names:
            if name == IMAGING:
                renewal = self._imaging.renew(everything=everything)
            else:
                renewal = self._renewal.renew(name, self._make, everything=everything)
            async with aclosing(renewal) as batches:
                async for batch in batches:
                    yield name, batch

    async def run(self, stop: asyncio.Event) -> None:
        """Renew what is outdated, now and whenever there is more of it, until ``stop`` is set."""
        while not stop.is_set():
            pause = _POLL
            try:
                outdated = await self.due()
                if outdated and not await self._catch_up(outdated, stop):
                    pause = _RETRY
            except Unavailable as refusal:
                self._log.warning("search index not renewed", code=refusal.issues[0].code)
                pause = _AWAY
            await _stopped(stop, pause)

    async def _catch_up(self, outdated: dict[str, int], stop: asyncio.Event) -> int:
        """One pass over what is outdated, the audit log last; returns how many documents are renewed."""
        total, done, refused = sum(outdated.values()), 0, 0
        self._log.info("search index outdated", generation=GENERATION, documents=total, collections=len(outdated))
        began = batch_began = told = time.monotonic()
        names = sorted(outdated, key=lambda name: (name == "AuditEvent", name))
        async with aclosing(self.reindex(names)) as batches:
            async for name, batch in batches:
                done += batch.done
                refused += len(batch.refused)
                if time.monotonic() - told > _TELL:
                    told = time.monotonic()
                    self._log.info("search index being renewed", collection=name, done=done, of=total)
                if await _stopped(stop, time.monotonic() - batch_began):
                    return done
                batch_began = time.monotonic()
        seconds = round(time.monotonic() - began, 3)
        self._log.info("search index renewed", documents=done, refused=refused, seconds=seconds)
        return done


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    """Whether it is to end, after at most so many seconds."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True
