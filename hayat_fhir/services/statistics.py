"""What the site does, in numbers, for the staff: studies, transfers, consultations, storage. No patient is in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hayat_fhir.errors import Forbidden, InvalidRequest
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.store.arrivals import Arrival, Arrivals
from hayat_fhir.store.statistics import Count, Statistics

MOST_DAYS = 366
MOST_ARRIVALS = 100
DiskUsage = Callable[[], tuple[int, int]]
"""Bytes of the disk in all, and those that are free."""


@dataclass(frozen=True, slots=True)
class SiteStatistics:
    """The numbers since a moment: counts by subject (studies, transfers, consultations), and what is stored."""

    since: datetime
    counts: Mapping[str, Sequence[Count]]
    storage: Mapping[str, int]


class Dashboard:
    """Counts for the staff, and tells them what arrives."""

    def __init__(
        self, statistics: Statistics, arrivals: Arrivals, disk: DiskUsage, policy: Policy, auditing: Auditing
    ) -> None:
        self._statistics = statistics
        self._arrivals = arrivals
        self._disk = disk
        self._policy = policy
        self._auditing = auditing

    async def statistics(self, caller: Caller, days: int = 30) -> SiteStatistics:
        """The numbers of the last days, today included.

        Raises:
            Forbidden: The caller is not staff.
            InvalidRequest: That many days are not counted.
            Unavailable: They cannot be counted in time, or not be audited.
        """
        if not 1 <= days <= MOST_DAYS:
            raise InvalidRequest(f"days is a number from 1 to {MOST_DAYS}", code="value", expression=["days"])
        async with self._auditing.access(caller, "operation-statistics"):
            self._check(caller)
            today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            since = today - timedelta(days=days - 1)
            studies, shares, received, consultations, holdings, (total, free) = await asyncio.gather(
                self._statistics.studies(since),
                self._statistics.shares(since),
                self._statistics.received(since),
                self._statistics.consultations(since),
                self._statistics.holdings(since),
                asyncio.to_thread(self._disk),
            )
            storage = {
                "disk-total": total,
                "disk-free": free,
                "instances": holdings.instances,
                "bytes-arrived": holdings.recent_bytes,
            }
            counts = {"studies": studies, "transfers": [*shares, *received], "consultations": consultations}
            return SiteStatistics(since, counts, storage)

    async def arrivals(self, caller: Caller, count: int = 20) -> Sequence[Arrival]:
        """The studies to which images came last.

        Raises:
            Forbidden: The caller is not staff.
            InvalidRequest: The count is out of bounds.
            Unavailable: They cannot be read, or not be audited.
        """
        if not 1 <= count <= MOST_ARRIVALS:
            raise InvalidRequest(f"a page has 1 to {MOST_ARRIVALS} entries", code="value", expression=["_count"])
        async with self._auditing.access(caller, "operation-arrivals") as access:
            self._check(caller)
            found = await self._arrivals.latest(count)
            access.patients.update(one.patient for one in found)
            return found

    def _check(self, caller: Caller) -> None:
        """How the site does, and whether images come in, is for those to see who manage it; not what is on them."""
        if caller.role not in {Role.STAFF, Role.SITE}:
            raise Forbidden("the site's figures are for the staff")
        self._policy.restriction(caller, Interaction.READ, "Patient")
