"""Queries of patients, studies, series and images: what meets them, and may be seen by whoever asks.

What a caller may see is the restriction that the policy puts on ImagingStudy; it is a part of every query. A document
whose resource the caller may not see is no match as an instance; that it is there its ImagingStudy tells. Each batch
of answers is on record in the audit trail before it leaves.
PS3.4 C.4.1, https://dicom.nema.org/medical/dicom/current/output/html/part04.html#sect_C.4.1
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import groupby
from typing import Any

from hayat_fhir.dicom.information_model import UNIQUE, Key, Level, Query
from hayat_fhir.dicom.matching import Condition
from hayat_fhir.dicom.tags import tag_of, vr_of
from hayat_fhir.errors import Refusal
from hayat_fhir.security.callers import Caller, Restriction
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.document_visibility import Admit, DocumentVisibility
from hayat_fhir.services.imaging_rows import modality
from hayat_fhir.store.images import Image, Images
from hayat_fhir.store.imaging_studies import ImagingStudyRow, ImagingStudyRows, Series, Visible

Attributes = dict[str, Any]
"""An object of the DICOM JSON model: elements by tag."""
_UPPER = (Level.PATIENT, Level.STUDY)


class ImagingQuery:
    """Answers queries."""

    def __init__(
        self,
        rows: ImagingStudyRows,
        images: Images,
        policy: Policy,
        auditing: Auditing,
        documents: DocumentVisibility,
    ) -> None:
        self._rows = rows
        self._images = images
        self._policy = policy
        self._auditing = auditing
        self._documents = documents

    async def find(self, caller: Caller, query: Query) -> AsyncIterator[list[Attributes]]:
        """What meets the query, in batches: the attributes of its level and of those above.

        Raises:
            Forbidden: The caller may not search imaging studies at all.
            Unavailable: MongoDB does not answer.
        """
        asked = _asked(query)
        answered = False
        try:
            restriction = self._policy.restriction(caller, Interaction.SEARCH, "ImagingStudy")
            admit = self._documents.of(caller, Interaction.SEARCH)
            async for studies, matches in self._matches(restriction, query, admit):
                await self._record(caller, studies, asked)
                answered = True
                yield matches
        except Refusal:
            await self._auditing.record(caller, "query", "4", query=asked)
            raise
        if not answered:
            await self._auditing.record(caller, "query", "0", query=asked)

    async def _record(self, caller: Caller, studies: Iterable[Visible], asked: str) -> None:
        found = list(studies)
        references = [f"ImagingStudy/{one.row.imaging_study}" for one in found]
        patients = {mark for one in found for mark in one.compartments}
        await self._auditing.record(caller, "query", "0", references, patients, asked)

    async def _matches(
        self, restriction: Restriction, query: Query, admit: Admit
    ) -> AsyncIterator[tuple[list[Visible], list[Attributes]]]:
        wanted = {key.keyword: key.conditions for level in _UPPER for key in query.at(level)}
        wanted.pop(UNIQUE[Level.STUDY], None)
        uids = query.unique(Level.STUDY)
        if query.level is Level.PATIENT:
            async for patients in self._patients(restriction, wanted):
                yield patients
            return
        async for studies in self._rows.find(restriction, wanted, uids):
            if query.level is Level.STUDY:
                yield studies, [_study(one.row) for one in studies]
                continue
            for one in studies:
                if query.level is Level.SERIES:
                    chosen = _series(one.row, query)
                    if chosen:
                        yield [one], [{**_study(one.row), **_of_series(part)} for part in chosen]
                else:
                    async for found in self._instances(one, query, admit):
                        yield [one], found

    async def _patients(
        self, restriction: Restriction, wanted: dict[str, tuple[Condition, ...]]
    ) -> AsyncIterator[tuple[list[Visible], list[Attributes]]]:
        """One match for each patient, with the counts of what may be seen of them."""
        held: list[Visible] = []
        async for studies in self._rows.find(restriction, wanted, by_patient=True):
            held += studies
            complete = [list(group) for _, group in groupby(held, key=lambda one: one.row.patient)]
            held = complete.pop()
            if complete:
                yield [one for group in complete for one in group], [_patient(group) for group in complete]
        if held:
            yield held, [_patient(held)]

    async def _instances(self, study: Visible, query: Query, admit: Admit) -> AsyncIterator[list[Attributes]]:
        row = study.row
        parts = {one.uid: one for one in _series(row, query)}
        if not parts:
            return
        keys = [key for key in query.at(Level.IMAGE) if key.keyword != UNIQUE[Level.IMAGE]]
        chosen = () if len(parts) == len(row.series) else tuple(parts)
        async for images in self._images.of_study(row.uid, row.imaging_study, chosen, query.unique(Level.IMAGE)):
            found = [
                {**_study(row), **_of_series(parts[image.series]), **_image(image)}
                for image in await self._documents.shown(images, admit, study.compartments)
                if image.series in parts and all(key.is_met(image.attributes) for key in keys)
            ]
            if found:
                yield found


def _series(row: ImagingStudyRow, query: Query) -> list[Series]:
    """The series of a study that meet the query."""
    uids = query.unique(Level.SERIES)
    keys = [key for key in query.at(Level.SERIES) if key.keyword != UNIQUE[Level.SERIES]]
    return [
        one for one in row.series if (not uids or one.uid in uids) and all(key.is_met(one.attributes) for key in keys)
    ]


def _patient(studies: list[Visible]) -> Attributes:
    rows = [one.row for one in studies]
    return {
        **rows[0].attributes,
        **_element("NumberOfPatientRelatedStudies", len(rows)),
        **_element("NumberOfPatientRelatedSeries", sum(len(row.series) for row in rows)),
        **_element("NumberOfPatientRelatedInstances", sum(row.instances for row in rows)),
    }


def _study(row: ImagingStudyRow) -> Attributes:
    return {
        **row.attributes,
        **_element("StudyInstanceUID", row.uid),
        **_element("ModalitiesInStudy", *sorted({code for one in row.series for code in modality(one.attributes)})),
        **_element("SOPClassesInStudy", *sorted({code for one in row.series for code in one.classes})),
        **_element("NumberOfStudyRelatedSeries", len(row.series)),
        **_element("NumberOfStudyRelatedInstances", row.instances),
    }


def _of_series(series: Series) -> Attributes:
    return {
        **series.attributes,
        **_element("SeriesInstanceUID", series.uid),
        **_element("NumberOfSeriesRelatedInstances", series.instances),
    }


def _image(image: Image) -> Attributes:
    return {
        **image.attributes,
        **_element("SOPInstanceUID", image.uid),
        **_element("SOPClassUID", image.sop_class),
        **_element("AvailableTransferSyntaxUID", image.transfer_syntax),
    }


def _element(keyword: str, *values: object) -> Attributes:
    return {tag_of(keyword): {"vr": vr_of(keyword), "Value": list(values)}}


def _asked(query: Query) -> str:
    """The query as it stands in the audit trail: its level, and each key that selects."""
    return "&".join([f"QueryRetrieveLevel={query.level.name}", *_keys(query.keys.values())])


def _keys(keys: Iterable[Key], path: str = "") -> Iterator[str]:
    for key in keys:
        if key.conditions:
            yield f"{path}{key.keyword}={key.asked}"
        yield from _keys(key.within, f"{path}{key.keyword}.")
