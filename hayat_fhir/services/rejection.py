"""Rejection notes: Key Object Selections by which a sender withdraws images of its own, also before these arrive.

IHE RAD TF-1, Imaging Object Change Management (IOCM), https://profiles.ihe.net/RAD/. What is withdrawn is moved into
quarantine, with its bytes, where nobody but the staff sees it; the note goes there too.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import structlog
from structlog.typing import FilteringBoundLogger

from hayat_fhir.dicom.key_objects import RETENTION_EXPIRED, SOP_CLASS, KeyObjects, read_key_objects
from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.dates import instant
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.interactions import Interactions
from hayat_fhir.services.report_resources import identifier_of
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.instances import OPEN, Instance, Instances
from hayat_fhir.store.quarantine import WITHHELD, QuarantineRows
from hayat_fhir.store.rejections import Rejection, Rejections

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
FOREIGN = "rejection note about images of another sender"
NOTE = "rejection note "
REJECTED = "rejected by note "
"""What the reason of an entry begins with; the code of the note's title follows."""


class RejectionNotes:
    """Honours the notes among a study's instances. ``titles`` is mappings/codes/rejection_notes.toml."""

    def __init__(
        self,
        titles: Mapping[str, Mapping[str, Any]],
        instances: Instances,
        quarantine: QuarantineRows,
        rejections: Rejections,
        blobs: Blobs,
        interactions: Interactions,
        auditing: Auditing,
    ) -> None:
        self._log: FilteringBoundLogger = structlog.get_logger("hayat_fhir.imaging")
        self._titles = titles
        self._instances = instances
        self._quarantine = quarantine
        self._rejections = rejections
        self._blobs = blobs
        self._interactions = interactions
        self._auditing = auditing

    async def apply(self, instances: Sequence[Instance]) -> bool:
        """Withdraw what notes reject of these instances of one study; whether there was anything.

        Raises:
            Unavailable: The database does not answer.
        """
        notes = [one for one in instances if one.sop_class == SOP_CLASS and one.admitted is None]
        taken = [await self._note(one) for one in notes]
        withdrawn = await self._withdraw(instances)
        return any(taken) or withdrawn

    def status(self, reason: str) -> str | None:
        """The status of an ImagingStudy of which everything is in quarantine for this reason; None: it says none."""
        title = self._titles.get(reason.removeprefix(REJECTED)) if reason.startswith(REJECTED) else None
        return None if title is None else str(title["code"])

    async def _note(self, note: Instance) -> bool:
        """Take one selection for what it is; whether it was a rejection note."""
        try:
            selection: KeyObjects = await asyncio.to_thread(read_key_objects, self._blobs.path(note.blob))
        except InvalidRequest:
            self._log.warning("key object selection not understood", image=note.uid)
            return False
        if selection.title not in self._titles:
            return False
        referred = await self._instances.named(selection.references)
        if any(one.peer != note.peer for one in referred):
            await self._quarantine.hold([note], FOREIGN, OPEN)
            await self._audit(note, "4", 0)
            return True
        await self._rejections.add(
            [Rejection(uid, selection.title, note.uid, note.peer, note.received) for uid in selection.references]
        )
        await self._record(note, selection.title, referred)
        await self._quarantine.touch({one.study for one in referred})
        await self._quarantine.hold([note], f"{NOTE}{selection.title}", WITHHELD)
        await self._audit(note, "0", len(referred))
        return True

    async def _record(self, note: Instance, title: str, referred: Sequence[Instance]) -> None:
        """The Provenance of what becomes of the imaging studies: who has withdrawn images of them, and why."""
        studies = sorted({one.imaging_study for one in referred if one.imaging_study is not None})
        if not studies:
            return
        id = str(uuid5(NAMESPACE_OID, note.uid))
        reason = {"system": _DCM, "code": title, "display": str(self._titles[title]["display"])}
        resource = {
            "resourceType": "Provenance",
            "id": id,
            "target": [{"reference": f"ImagingStudy/{study}"} for study in studies],
            "recorded": instant(note.received),
            "reason": [{"coding": [reason]}],
            "activity": {"coding": [{"system": _OPERATION, "code": "NULLIFY"}]},
            "agent": [{"who": {"reference": f"Organization/{note.peer}"} if note.peer else {"display": "this site"}}],
            "entity": [{"role": "source", "what": {"identifier": identifier_of(note.uid)}}],
        }
        await self._interactions.update(
            Caller(Role.SITE, "imaging", source=note.peer or None), "Provenance", id, resource
        )

    async def _withdraw(self, instances: Sequence[Instance]) -> bool:
        """Move what is rejected into quarantine; after a retention has expired, the same may come again."""
        found = await self._rejections.of([(one.uid, one.peer) for one in instances])
        withdrawn: defaultdict[str, list[Instance]] = defaultdict(list)
        for instance in instances:
            rejection = found.get((instance.uid, instance.peer))
            if rejection is None or instance.admitted is not None:
                continue
            if rejection.code == RETENTION_EXPIRED and instance.received > rejection.at:
                await self._rejections.forget(rejection)
            else:
                withdrawn[rejection.code].append(instance)
        for code, several in withdrawn.items():
            for blob in await self._quarantine.hold(several, f"{REJECTED}{code}", WITHHELD):
                await asyncio.to_thread(self._blobs.remove, blob)
        return bool(withdrawn)

    async def _audit(self, note: Instance, outcome: str, images: int) -> None:
        caller = Caller(Role.PARTNER, note.peer, f"Organization/{note.peer}")
        await self._auditing.record(caller, "instances-rejected", outcome)
        self._log.info("rejection note", note=note.uid, peer=note.peer, images=images, outcome=outcome)
