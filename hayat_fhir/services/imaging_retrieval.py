"""Retrieval of images by their unique keys: those that whoever asks may see, and whoever receives them too.

PS3.4 C.4.2.1.4, https://dicom.nema.org/medical/dicom/current/output/html/part04.html#sect_C.4.2.1.4
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hayat_fhir.dicom.information_model import UNIQUE, Level, Query
from hayat_fhir.dicom.matching import Condition
from hayat_fhir.errors import Forbidden, InvalidRequest, Refusal, TooLarge
from hayat_fhir.security.callers import Caller
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.document_visibility import DocumentVisibility
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.images import Image, Images
from hayat_fhir.store.imaging_studies import ImagingStudyRows, Visible

MOST = 65_535
"""Images of one retrieval: more cannot be counted in its answers."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a retrieval is about: images with their files, and what of them the receiver may not have."""

    images: tuple[tuple[Image, Path], ...]
    withheld: tuple[str, ...]
    studies: tuple[str, ...]
    patients: tuple[str, ...]


class ImagingRetrieval:
    """Finds the images of retrievals."""

    def __init__(
        self,
        rows: ImagingStudyRows,
        images: Images,
        blobs: Blobs,
        policy: Policy,
        auditing: Auditing,
        documents: DocumentVisibility,
    ) -> None:
        self._rows = rows
        self._images = images
        self._blobs = blobs
        self._policy = policy
        self._auditing = auditing
        self._documents = documents

    async def choose(self, caller: Caller, query: Query, receiver: Caller | None = None) -> Chosen:
        """The images that are asked for; that they are about to leave is on record.

        Raises:
            InvalidRequest: The query names nothing.
            Forbidden: The caller may not see imaging studies at all.
            TooLarge: These are too many.
            Unavailable: MongoDB does not answer.
        """
        try:
            chosen = await self._chosen(caller, query, receiver)
        except Refusal:
            await self._auditing.record(caller, "instances-transferring", "4")
            raise
        to = [] if receiver is None or receiver.reference is None else [receiver.reference]
        await self._auditing.record(
            caller, "instances-transferring", "0", [*chosen.studies, *to], chosen.patients, _named(query)
        )
        return chosen

    async def still(self, chosen: Chosen, *entitled: Caller) -> None:
        """Return if all of these, as they are known now, may have what was chosen.

        Raises:
            Forbidden: One may not, any more.
            Unavailable: MongoDB does not answer.
        """
        ids = {study.removeprefix("ImagingStudy/") for study in chosen.studies}
        for caller in entitled:
            restriction = self._policy.restriction(caller, Interaction.READ, "ImagingStudy")
            if len(await self._rows.visible(restriction, ids)) < len(ids):
                raise Forbidden("the images may not be sent any more", code="suppressed")

    async def done(self, caller: Caller, chosen: Chosen, *, complete: bool) -> None:
        """A retrieval has ended; whether all images were taken is on record.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        outcome = "0" if complete else "8"
        await self._auditing.record(caller, "instances-sent", outcome, chosen.studies, chosen.patients)

    async def _chosen(self, caller: Caller, query: Query, receiver: Caller | None) -> Chosen:
        if not any(key.conditions for key in query.at(query.level) if key.keyword == UNIQUE[query.level]):
            raise InvalidRequest("a unique key is missing", code="required", expression=[UNIQUE[query.level]])
        restriction = self._policy.restriction(caller, Interaction.READ, "ImagingStudy")
        images: list[Image] = []
        withheld: list[str] = []
        studies: list[Visible] = []
        async for found in self._rows.find(restriction, _wanted(query), query.unique(Level.STUDY)):
            theirs = await self._receivable(found, receiver)
            for one in found:
                study = await self._shown(caller, await self._of_study(one, query), one)
                if not study:
                    continue
                kept: list[Image] = []
                if one.row.uid in theirs:
                    kept = study if receiver is None else await self._shown(receiver, study, one)
                    images += kept
                    studies.append(one)
                withheld += sorted({image.uid for image in study} - {image.uid for image in kept})
                if len(images) + len(withheld) > MOST:
                    raise TooLarge("too many images for one retrieval")
        return Chosen(
            tuple((image, self._blobs.path(image.blob)) for image in images),
            tuple(withheld),
            tuple(f"ImagingStudy/{one.row.imaging_study}" for one in studies),
            tuple(sorted({mark for one in studies for mark in one.compartments})),
        )

    async def _of_study(self, study: Visible, query: Query) -> list[Image]:
        found: list[Image] = []
        uids = (query.unique(Level.SERIES), query.unique(Level.IMAGE))
        async for images in self._images.of_study(study.row.uid, study.row.imaging_study, *uids, attributes=False):
            found += images
        return found

    async def _shown(self, caller: Caller, images: list[Image], study: Visible) -> list[Image]:
        """Those of a study's images that a caller who may see it may have."""
        return await self._documents.shown(images, self._documents.of(caller, Interaction.READ), study.compartments)

    async def _receivable(self, studies: Sequence[Visible], receiver: Caller | None) -> set[str]:
        """The Study Instance UIDs that the receiver may have as well."""
        uids = [one.row.uid for one in studies]
        if receiver is None:
            return set(uids)
        restriction = self._policy.restriction(receiver, Interaction.READ, "ImagingStudy")
        return {one.row.uid async for found in self._rows.find(restriction, {}, uids) for one in found}


def _wanted(query: Query) -> dict[str, tuple[Condition, ...]]:
    key = query.keys.get(UNIQUE[Level.PATIENT])
    return {key.keyword: key.conditions} if key is not None and key.conditions else {}


def _named(query: Query) -> str:
    asked = [f"{key.keyword}={key.asked}" for key in query.keys.values() if key.conditions]
    return "&".join([f"QueryRetrieveLevel={query.level.name}", *asked])
