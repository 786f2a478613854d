"""Images that arrive over HTTP: taken into the same custody as those of the DICOM door, for whoever may add studies.

A partner's images are its own contribution; those of a doctor are the site's, and name its patients by the site's
own numbers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from hayat_fhir.errors import Forbidden
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.ingest import Arrival, Ingest, Taken
from hayat_fhir.store.partners import Partner, Partners

_THREADS = 8
T = TypeVar("T")
A = TypeVarTuple("A")


class Storing:
    """Takes images in for callers. ``patient_id_system`` is that of the site's own numbers."""

    def __init__(
        self, ingest: Ingest, partners: Partners, policy: Policy, auditing: Auditing, patient_id_system: str
    ) -> None:
        self._ingest = ingest
        self._partners = partners
        self._policy = policy
        self._auditing = auditing
        self._patient_id_system = patient_id_system
        self._threads = ThreadPoolExecutor(_THREADS, "storing")

    async def sender(self, caller: Caller) -> Partner:
        """As whom the caller adds images.

        Raises:
            Forbidden: The caller may not add any.
        """
        async with self._auditing.access(caller, "instances-transferred"):
            self._policy.restriction(caller, Interaction.CREATE, "ImagingStudy")
            if caller.role is not Role.PARTNER:
                return Partner("", "", "", patient_id_system=self._patient_id_system)
            partner = await self._partners.by_id(caller.subject)
            if partner is None or partner.disabled:
                raise Forbidden("the partner is not registered")
            return partner

    async def begin(self, transfer_syntax: str, sop_class: str, uid: str, sender: Partner) -> Arrival:
        """An image is about to arrive.

        Raises:
            InvalidRequest: A UID is malformed.
            Unavailable: It cannot be stored now.
        """
        return await self._apart(self._ingest.begin, transfer_syntax, sop_class, uid, sender)

    async def write(self, arrival: Arrival, data: bytes) -> None:
        """The next bytes of its data set.

        Raises:
            TooLarge: There are more than may be.
            Unavailable: The disk is full or fails.
        """
        await self._apart(arrival.write, data)

    async def take(self, caller: Caller, arrival: Arrival, study: str | None) -> Taken:
        """Take it into custody, as an image of this study, if any is named; when this returns, it is durable.

        Raises:
            InvalidRequest: The data set cannot be read.
            Unprocessable: The data set is not the one that is named, or of another study.
            Unavailable: It cannot be made durable now.
        """
        taken = await self._apart(self._ingest.take, arrival, study)
        if taken is Taken.QUARANTINED:
            await self._auditing.record(caller, "conflict", "4")
        return taken

    async def close(self) -> None:
        """End the threads."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _apart(self, what: Callable[[*A], T], *arguments: *A) -> T:
        """Disk and database are waited for in a thread; one that has begun is not left half done."""
        running = asyncio.get_running_loop().run_in_executor(self._threads, what, *arguments)
        return await asyncio.shield(running)
