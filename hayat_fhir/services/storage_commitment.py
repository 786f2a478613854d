"""Storage commitment: this site vouches for what it holds, as who asks may know, and hears what partners vouch for.

An image is committed to when its row is there and its file has the length that the row says: both were durable before
its C-STORE was answered. PS3.4 annex J, https://dicom.nema.org/medical/dicom/current/output/html/part04.html#chapter_J
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from hayat_fhir.dicom.header import is_uid
from hayat_fhir.errors import Conflict, InvalidRequest
from hayat_fhir.security.callers import Caller
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.commitments import Commitment, CommitmentRequests, Commitments, Reference
from hayat_fhir.store.images import Held, Images
from hayat_fhir.store.imaging_studies import ImagingStudyRows

NO_SUCH_INSTANCE, CLASS_CONFLICT = 0x0112, 0x0119
FIRST_WAIT = timedelta(seconds=5)
"""For so long the report is left to the association that asked for it."""
_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(hours=1)
_MOST_ATTEMPTS = 30


class StorageCommitment:
    """Answers requests for storage commitment, and takes the answers to those of this site."""

    def __init__(
        self,
        images: Images,
        rows: ImagingStudyRows,
        blobs: Blobs,
        commitments: Commitments,
        requests: CommitmentRequests,
        policy: Policy,
        auditing: Auditing,
    ) -> None:
        self._images = images
        self._rows = rows
        self._blobs = blobs
        self._commitments = commitments
        self._requests = requests
        self._policy = policy
        self._auditing = auditing

    async def request(self, caller: Caller, transaction: str, references: Sequence[Reference]) -> Commitment:
        """What this site vouches for of these instances; a report of it is owed from now on.

        Raises:
            InvalidRequest: A UID is malformed, or nothing is asked for.
            Conflict: A report of this transaction is owed already.
            Unavailable: MongoDB does not answer.
        """
        async with self._auditing.access(caller, "commitment", query=f"TransactionUID={transaction[:64]}") as access:
            if not references or not is_uid(transaction):
                raise InvalidRequest("a UID is missing or malformed", code="value", expression=["TransactionUID"])
            held = {one.uid: one for one in await self._visible(caller, [uid for _, uid in references])}
            lost = await asyncio.to_thread(self._lost, list(held.values()))
            committed, failed = [], []
            for sop_class, uid in references:
                if uid not in held or uid in lost:
                    failed.append((sop_class, uid, NO_SUCH_INSTANCE))
                elif held[uid].sop_class != sop_class:
                    failed.append((sop_class, uid, CLASS_CONFLICT))
                else:
                    committed.append((sop_class, uid))
            made = Commitment(caller.subject, transaction, tuple(committed), tuple(failed))
            if not await self._commitments.add(made, FIRST_WAIT):
                raise Conflict("a report of this transaction is owed already", code="duplicate")
            studies = {one.imaging_study for one in held.values() if one.imaging_study}
            access.entities += [f"ImagingStudy/{study}" for study in sorted(studies)]
            return made

    async def _visible(self, caller: Caller, uids: Sequence[str]) -> list[Held]:
        """The images that the caller contributed, be they projected yet or not, or whose study it may see."""
        restriction = self._policy.restriction(caller, Interaction.READ, "ImagingStudy")
        found = await self._images.held([uid for uid in dict.fromkeys(uids) if is_uid(uid)])
        others = {one.imaging_study for one in found if one.imaging_study and one.peer != caller.source}
        seen = await self._rows.visible(restriction, others)
        return [one for one in found if one.peer == caller.source or one.imaging_study in seen]

    def _lost(self, held: Sequence[Held]) -> set[str]:
        """Those whose file is not there as it was taken in."""
        lost = set()
        for one in held:
            try:
                intact = self._blobs.path(one.blob).stat().st_size == one.offset + one.size
            except OSError:
                intact = False
            if not intact:
                lost.add(one.uid)
        return lost

    async def due(self) -> Commitment | None:
        """A report that is to be delivered now.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._commitments.lease()

    async def delivered(self, commitment: Commitment) -> None:
        """The peer has taken the report.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        await self._commitments.end(commitment)

    async def undelivered(self, commitment: Commitment) -> bool:
        """The peer could not be reached: it will be tried again, later and later; False where it is given up.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        if commitment.attempts >= _MOST_ATTEMPTS:
            await self._commitments.end(commitment)
            return False
        pause = min(_FIRST_PAUSE * 2 ** max(commitment.attempts - 1, 0), _LONGEST_PAUSE)
        until = datetime.now(UTC) + (pause if commitment.attempts else timedelta(0))
        await self._commitments.postpone(commitment, until)
        return True

    async def report(
        self, caller: Caller, transaction: str, committed: Sequence[str], failed: Mapping[str, int]
    ) -> bool:
        """A partner vouches for what it was sent; whether it was asked to. What it was not asked is on record only.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        asked = is_uid(transaction) and await self._requests.answer(transaction, caller.subject, committed, failed)
        query = f"TransactionUID={transaction[:64]}"
        await self._auditing.record(caller, "commitment-report", "0" if asked else "4", query=query)
        return asked
