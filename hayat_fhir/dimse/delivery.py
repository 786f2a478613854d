"""Delivering the images of studies to a partner, byte for byte, and having it proven that they are there.

What becomes of each image is on record. A delivery that is repeated sends what has not arrived, and has all of it
proven again: by the partner's storage commitment, or, where it does not do that, by reading it back. Objects that this
site makes itself go along; a partner that takes none of their kind gets the images all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from hayat_fhir.dicom.composed_object import SYNTAX, Composed
from hayat_fhir.dimse.entitlement import Ask, Entitlement
from hayat_fhir.dimse.event_loop import EventLoop
from hayat_fhir.dimse.proof import Wanted, ask, new_transaction, read_back
from hayat_fhir.dimse.requestor import Requestor
from hayat_fhir.dimse.sender import send, was_taken
from hayat_fhir.dimse.suboperations import Outgoing
from hayat_fhir.errors import Unavailable, Unprocessable
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.commitments import CommitmentRequests
from hayat_fhir.store.database import Database
from hayat_fhir.store.deliveries import ARRIVED, PROVEN, Delivered, Deliveries, State
from hayat_fhir.store.instances import Instance, Instances
from hayat_fhir.store.partners import Partner

_AT_ONCE = 50
"""Images of which it is put on record together that they were sent."""
_PATIENCE = 60.0
"""Seconds for which the partner's report is waited for; it may come later, and count for the next attempt."""
_TICK = 0.25


class ImageDelivery:
    """Finds the images of studies, sends them and has them proven."""

    def __init__(self, database: Database, instances: Instances, blobs: Blobs, requestor: Requestor) -> None:
        self._deliveries = Deliveries(database)
        self._requests = CommitmentRequests(database)
        self._instances = instances
        self._blobs = blobs
        self._requestor = requestor

    async def send(
        self,
        partner: Partner,
        studies: Sequence[str],
        objects: Sequence[Composed],
        still: Ask,
        withheld: Collection[str] = (),
    ) -> tuple[int, int]:
        """Send what the partner has not got of these studies and objects; how many these are, and how many are proven.

        ``still`` is asked between images; what it raises ends the transfer. ``withheld`` are the UIDs of what the
        partner may not have of the studies.

        Raises:
            Unavailable: The partner cannot be reached, or has not kept an image: try again.
            Unprocessable: The partner has no DICOM port, or refuses an image; its DIMSE status is in the issue.
        """
        if partner.ae_title is None or partner.host is None or partner.port is None:
            raise Unprocessable("the partner has no DICOM port")
        rows = [row for study in studies for row in await self._instances.of_study(study) if row.uid not in withheld]
        rows += [_row(one) for one in objects]
        if not rows:
            return 0, 0
        known = await self._deliveries.of(partner.id, [row.uid for row in rows])
        missing = [row for row in rows if not _arrived(known.get(row.uid), row)]
        made = {one.uid: one for one in objects}
        await self._send(partner, missing, made, still)
        known = await self._deliveries.of(partner.id, [row.uid for row in rows])
        arrived = [row for row in rows if _arrived(known.get(row.uid), row)]
        proven = await self._prove(partner, arrived)
        _check([one for row in rows if row.uid not in made and (one := known.get(row.uid)) is not None])
        return len(rows), proven

    async def _send(
        self, partner: Partner, rows: Sequence[Instance], objects: Mapping[str, Composed], still: Ask
    ) -> None:
        if not rows:
            return
        loop = EventLoop(asyncio.get_running_loop())
        by_uid = {row.uid: row for row in rows}

        def work() -> None:
            held: list[Delivered] = []

            def report(image: Outgoing, status: int) -> None:
                state = State.SENT if was_taken(status) else State.REFUSED
                held.append(_delivered(by_uid[image.uid], state, status))
                if len(held) >= _AT_ONCE:
                    loop.wait(self._deliveries.record(partner.id, held))
                    held.clear()

            try:
                with _written(objects) as made:
                    images = [
                        Outgoing(
                            row.uid,
                            row.sop_class,
                            row.transfer_syntax,
                            made.get(row.uid) or self._blobs.path(row.blob),
                            row.offset,
                            row.size,
                        )
                        for row in rows
                    ]
                    send(images, partner, self._requestor, Entitlement(loop, still).check, report)
            finally:
                loop.wait(self._deliveries.record(partner.id, held))

        await asyncio.to_thread(work)

    async def _prove(self, partner: Partner, rows: Sequence[Instance]) -> int:
        """Have it proven that these images are there; how many are.

        Raises:
            Unavailable: The partner does not vouch for one, or has not answered yet.
        """
        if not rows:
            return 0
        states = await self._committed(partner, rows)
        if states is None:
            states = await self._read_back(partner, rows)
        by_uid = {row.uid: row for row in rows}
        found = [_delivered(by_uid[uid], state, reason) for uid, (state, reason) in states.items()]
        await self._deliveries.record(partner.id, found)
        if any(one.state is State.REFUSED for one in found):
            raise Unavailable("the partner does not vouch for an image that it has taken")
        return sum(one.state in PROVEN for one in found)

    async def _committed(
        self, partner: Partner, rows: Sequence[Instance]
    ) -> dict[str, tuple[State, int | None]] | None:
        """What the partner vouches for; None where it does not do that."""
        loop, transaction = EventLoop(asyncio.get_running_loop()), new_transaction()
        references = [(row.sop_class, row.uid) for row in rows]
        await self._requests.add(transaction, partner.id, references)

        def heard(said: str, committed: list[str], failed: dict[str, int]) -> bool:
            return loop.wait(self._requests.answer(said, partner.id, committed, failed))

        def answered() -> bool:
            found = loop.wait(self._requests.get(transaction))
            return found is not None and found.answered

        if not await asyncio.to_thread(ask, partner, self._requestor, transaction, references, heard, answered):
            return None
        return await self._answer(transaction)

    async def _answer(self, transaction: str) -> dict[str, tuple[State, int | None]]:
        for _ in range(int(_PATIENCE / _TICK)):
            found = await self._requests.get(transaction)
            if found is not None and found.answered:
                good: dict[str, tuple[State, int | None]] = dict.fromkeys(found.committed, (State.COMMITTED, None))
                return good | {uid: (State.REFUSED, reason) for uid, reason in found.failed.items()}
            await asyncio.sleep(_TICK)
        raise Unavailable("the partner has not answered the request for storage commitment yet")

    async def _read_back(self, partner: Partner, rows: Sequence[Instance]) -> dict[str, tuple[State, int | None]]:
        wanted = [Wanted(row.study, row.series, row.uid, row.sop_class, row.transfer_syntax) for row in rows]
        digests = await asyncio.to_thread(read_back, partner, self._requestor, wanted)
        return {
            row.uid: (State.VERIFIED if digests[row.uid] == row.sha256 else State.ALTERED, None)
            for row in rows
            if row.uid in digests
        }


def _row(one: Composed) -> Instance:
    """An object that this site has made, as if it had come in."""
    digest, size = one.sha256, len(one.data)
    return Instance(
        one.uid, one.study, one.series, one.sop_class, SYNTAX, digest, size, "", 0, "", "", "", datetime.now(UTC)
    )


@contextmanager
def _written(objects: Mapping[str, Composed]) -> Iterator[Mapping[str, Path]]:
    """These objects as files, by UID, for a while."""
    with TemporaryDirectory(prefix="hayat") as folder:
        paths = {uid: Path(folder) / str(number) for number, uid in enumerate(objects)}
        for uid, path in paths.items():
            path.write_bytes(objects[uid].data)
        yield paths


def _arrived(known: Delivered | None, row: Instance) -> bool:
    return known is not None and known.state in ARRIVED and known.sha256 == row.sha256


def _delivered(row: Instance, state: State, status: int | None) -> Delivered:
    return Delivered(row.uid, row.study, row.sha256, state, status)


def _check(delivered: Sequence[Delivered]) -> None:
    """Raise for what the partner has refused.

    Raises:
        Unprocessable: It refuses an image.
    """
    refused = [one for one in delivered if one.state is State.REFUSED]
    if refused:
        status = refused[0].status or 0
        raise Unprocessable(f"the partner's DICOM port refused {len(refused)} images, the first with 0x{status:04X}")
