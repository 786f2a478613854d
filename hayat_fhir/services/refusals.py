"""What a door refuses before any service is asked leaves an AuditEvent too, and cannot be used to flood the store.

The first refusal of a kind to somebody is written at once; what follows within a minute is counted, and one further
event tells how many there were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass

import structlog
from structlog.typing import FilteringBoundLogger

from hayat_fhir.errors import Unavailable
from hayat_fhir.security.callers import Caller, network_of, stranger
from hayat_fhir.services.auditing import Auditing

_WINDOW = 60.0
_MOST = 64
"""To how many at a time refusals are told apart; what is refused to others stands together in one event."""

REQUEST = "refused"
"""The kind of a refused HTTP request, a key of ``security.audit.EVENTS``."""


@dataclass(slots=True)
class _Tally:
    """Refusals of one kind to one caller that no event has told of yet."""

    caller: Caller
    kind: str
    what: str = ""
    count: int = 0


class Refusals:
    """Writes AuditEvents of refusals, afterwards and at most so many a minute. Belongs to one event loop."""

    def __init__(self, auditing: Auditing, window: float = _WINDOW) -> None:
        self._auditing = auditing
        self._window = window
        self._log: FilteringBoundLogger = structlog.get_logger("hayat_fhir.audit")
        self._tallies: dict[Hashable, _Tally] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    def note(self, caller: Caller, kind: str = REQUEST, what: str = "") -> None:
        """Take down one refusal; ``what`` says what was refused, in words of this site's own."""
        key: Hashable = (caller.subject, network_of(caller.address), kind)
        if key not in self._tallies and len(self._tallies) >= _MOST:
            caller, key = stranger(None), kind
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = _Tally(caller, kind)
            task = asyncio.get_running_loop().create_task(self._tell(key, tally))
            self._telling.add(task)
            task.add_done_callback(self._ended)
        tally.what = what
        tally.count += 1

    async def close(self) -> None:
        """Return once everything noted so far is written, or cannot be."""
        self._closing.set()
        while self._telling:
            await asyncio.wait(self._telling)

    async def _tell(self, key: Hashable, tally: _Tally) -> None:
        """Write what has been counted, once a window, until nothing more has been."""
        try:
            await self._tell_all(tally)
        finally:
            del self._tallies[key]

    async def _tell_all(self, tally: _Tally) -> None:
        while tally.count:
            count, tally.count = tally.count, 0
            text = f"{count} times, the last: {tally.what}" if count > 1 else tally.what
            try:
                await self._auditing.record(tally.caller, tally.kind, "4", description=text or None)
            except Unavailable:
                tally.count += count
                if self._closing.is_set():
                    break
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._window)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.error("refusals not audited", error=type(error).__name__)
