"""Retrieving images: whoever may see the ImagingStudy that was projected from an image may see it, and nobody else.

Of a document among them, the resource that was made of it as well.
An image that a caller may not see is answered like one that is not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hayat_fhir.dicom.header import is_uid
from hayat_fhir.errors import InvalidRequest, NotAcceptable, NotFound
from hayat_fhir.security.callers import Caller
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.document_visibility import DocumentVisibility
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.image_metadata import ImageMetadata
from hayat_fhir.store.imaging_studies import ImagingStudyRows
from hayat_fhir.store.instances import Instance, Instances

_TOGETHER = 8
_BATCH = 64


class Reads(Protocol):
    """Reads objects of strangers where they can do no harm."""

    async def run(self, task: str, path: str) -> list[bytes]:
        """What a task makes of the object in this file; raises a Refusal."""
        ...


@dataclass(frozen=True, slots=True)
class Retrieved:
    """An image's file (PS3.10): its preamble is zero and its data set as it was received."""

    study: str
    series: str
    uid: str
    sop_class: str
    path: Path
    length: int
    transfer_syntax: str
    sha256: str


class Retrieval:
    """Finds images for callers."""

    def __init__(
        self,
        instances: Instances,
        blobs: Blobs,
        studies: ImagingStudyRows,
        kept: ImageMetadata,
        reads: Reads,
        policy: Policy,
        auditing: Auditing,
        documents: DocumentVisibility,
    ) -> None:
        self._instances = instances
        self._blobs = blobs
        self._studies = studies
        self._kept = kept
        self._reads = reads
        self._policy = policy
        self._auditing = auditing
        self._documents = documents

    async def images(
        self, caller: Caller, study: str, series: str | None = None, instance: str | None = None
    ) -> list[Retrieved]:
        """The images of a study, of one of its series, or one of them, by series.

        Raises:
            NotFound: There is none that the caller may see.
            Forbidden: The caller may not see imaging studies at all.
        """
        async with self._auditing.access(caller, "instances-accessed") as access:
            restriction = self._policy.restriction(caller, Interaction.READ, "ImagingStudy")
            if not all(is_uid(uid) for uid in (study, series, instance) if uid is not None):
                raise NotFound("no such study, series or instance")
            rows = await self._instances.located(study, series, instance)
            projected = {row.imaging_study for row in rows if row.imaging_study is not None}
            visible = await self._studies.visible(restriction, sorted(projected))
            found: list[Retrieved] = []
            for id, compartments in visible.items():
                of_study = [row for row in rows if row.imaging_study == id]
                found += map(self._retrieved, await self._shown(caller, of_study, compartments))
            if not found:
                raise NotFound("no such study, series or instance")
            for id, compartments in visible.items():
                access.entities.append(f"ImagingStudy/{id}")
                access.patients.update(compartments)
            return found

    async def _shown(self, caller: Caller, rows: Sequence[Instance], marks: Sequence[str]) -> list[Instance]:
        return await self._documents.shown(rows, self._documents.of(caller, Interaction.READ), marks)

    async def instance(self, caller: Caller, study: str, series: str, instance: str) -> Retrieved:
        """One image.

        Raises:
            NotFound: No such image, or none that the caller may see.
            Forbidden: The caller may not see imaging studies at all.
        """
        return (await self.images(caller, study, series, instance))[0]

    async def metadata(self, images: Sequence[Retrieved]) -> AsyncIterator[tuple[Retrieved, bytes]]:
        """The DICOM JSON of images that the caller has been found to be entitled to; extracted once, then kept.

        An object whose header cannot be read any more is left out.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        for start in range(0, len(images), _BATCH):
            batch = images[start : start + _BATCH]
            known = await self._kept.get({image.uid: image.sha256 for image in batch})
            missing = [image for image in batch if image.uid not in known]
            if missing:
                known |= await self._extracted(missing)
            for image in batch:
                if image.uid in known:
                    yield image, known[image.uid]

    async def layout(self, image: Retrieved) -> bytes:
        """Where the frames of an image lie, as the JSON of ``dicom.frame_layout.layout``; as ``metadata``.

        Raises:
            NotFound, NotAcceptable, InvalidRequest: The object cannot be read.
            Unavailable: MongoDB does not answer.
        """
        known = await self._kept.layouts({image.uid: image.sha256})
        if image.uid in known:
            return known[image.uid]
        json, layout = await self._reads.run("metadata", str(image.path))
        await self._kept.put([(image.uid, image.sha256, json, layout)])
        return layout

    async def _extracted(self, images: Sequence[Retrieved]) -> dict[str, bytes]:
        limit = asyncio.Semaphore(_TOGETHER)

        async def extracted(image: Retrieved) -> tuple[str, str, bytes, bytes] | None:
            async with limit:
                try:
                    json, layout = await self._reads.run("metadata", str(image.path))
                except (InvalidRequest, NotAcceptable, NotFound):
                    return None
                return image.uid, image.sha256, json, layout

        found = [one for one in await asyncio.gather(*map(extracted, images)) if one is not None]
        await self._kept.put(found)
        return {uid: json for uid, _, json, _ in found}

    def _retrieved(self, row: Instance) -> Retrieved:
        return Retrieved(
            row.study,
            row.series,
            row.uid,
            row.sop_class,
            self._blobs.path(row.blob),
            row.offset + row.size,
            row.transfer_syntax,
            row.sha256,
        )
