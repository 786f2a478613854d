"""From the instances of a study to the row that DICOM queries ask. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from hayat_fhir.dicom.information_model import LEVEL_OF, Level
from hayat_fhir.dicom.matching import normal_values
from hayat_fhir.dicom.tags import keyword_of, tag_of
from hayat_fhir.security.policy import is_restricted
from hayat_fhir.store.arrivals import Arrival
from hayat_fhir.store.documents import source_mark
from hayat_fhir.store.imaging_studies import ANYBODY, ImagingStudyRow, Series
from hayat_fhir.store.instances import Instance
from hayat_fhir.store.records import Stored

Attributes = dict[str, Any]


def imaging_study_row(instances: Sequence[Instance], stored: Stored) -> ImagingStudyRow:
    """The row of a study's instances, which follow one another by series, projected into this ImagingStudy."""
    first = instances[0]
    attributes = _of(instances, frozenset({Level.PATIENT, Level.STUDY}))
    series = tuple(_series(list(members)) for _, members in groupby(instances, key=lambda one: one.series))
    match = {keyword_of(tag): values for tag, element in attributes.items() if (values := _compared(element))}
    match["ModalitiesInStudy"] = sorted({code for one in series for code in modality(one.attributes)})
    match["SOPClassesInStudy"] = sorted({code for one in series for code in one.classes})
    return ImagingStudyRow(
        uid=first.study,
        imaging_study=stored.id,
        marks=marks(stored),
        restricted=is_restricted(stored.resource),
        patient=f"{first.system}|{first.patient_id}" if first.patient_id else f"study|{first.study}",
        date=next(iter(match.get("StudyDate", ())), ""),
        match=match,
        attributes=attributes,
        series=series,
    )


def arrival(instances: Sequence[Instance], row: ImagingStudyRow, patient: str) -> Arrival:
    """How far these instances of a study, which is this row and this Patient's, have arrived."""
    return Arrival(
        study=row.uid,
        first=min(one.received for one in instances),
        last=max(one.received for one in instances),
        imaging_study=row.imaging_study,
        patient=patient,
        sender=instances[0].peer,
        modalities=tuple(row.match["ModalitiesInStudy"]),
        instances=len(instances),
        bytes=sum(one.size for one in instances),
    )


def marks(stored: Stored) -> tuple[str, ...]:
    """Who may see what was projected into this ImagingStudy."""
    return (ANYBODY, *stored.compartments, *([] if stored.source is None else [source_mark(stored.source)]))


def modality(attributes: Attributes) -> list[str]:
    """The modality of a series, as it is compared."""
    return normal_values(attributes.get(tag_of("Modality"), {}))


def _series(instances: Sequence[Instance]) -> Series:
    return Series(
        instances[0].series,
        len(instances),
        tuple(sorted({one.sop_class for one in instances})),
        _of(instances, frozenset({Level.SERIES})),
    )


def _of(instances: Iterable[Instance], levels: frozenset[Level]) -> Attributes:
    """The attributes of these levels: of the first instance that has a value."""
    found: Attributes = {}
    for instance in instances:
        for tag, element in instance.attributes.items():
            level = LEVEL_OF.get(keyword_of(tag), Level.IMAGE)
            if level in levels and not found.get(tag, {}).get("Value"):
                found[tag] = element
    return found


def _compared(element: Attributes) -> list[str]:
    if element.get("vr") == "SQ":
        return []
    return [value for value in normal_values(element) if value]
