"""From the instances of a study to the row that DICOM queries ask. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from hayat_fhir.dicom.information_model import LEVEL_OF, Level
from hayat_fhir.dicom.matching import normal_values
from hayat_fhir.dicom.tags import keyword_of, tag_of, vr_of
from hayat_fhir.security.policy import is_restricted
from hayat_fhir.store.arrivals import Arrival
from hayat_fhir.store.documents import source_mark
from hayat_fhir.store.imaging_studies import ANYBODY, ImagingStudyRow, Series
from hayat_fhir.store.instances import Instance
from hayat_fhir.store.records import Stored

Attributes = dict[str, Any]
Details = Mapping[str, Any]
_REQUESTS = "RequestAttributesSequence"
_OF_A_REQUEST = (
    *("AccessionNumber", "RequestedProcedureDescription", "ScheduledProcedureStepDescription"),
    *("ScheduledProcedureStepID", "RequestedProcedureID"),
)
"""What is told of the request for a series; all of it is short text (PS3.3 table 10-9)."""
_MOST_REQUESTS, _LONGEST = 20, 1024


def imaging_study_row(instances: Sequence[Instance], stored: Stored, details: Mapping[str, Details]) -> ImagingStudyRow:
    """The row of a study's instances, which follow one another by series, projected into this ImagingStudy.

    ``details`` are those of the first instance of each series, by UID, as ``read_details`` gives them.
    """
    first = instances[0]
    attributes = _of(instances, frozenset({Level.PATIENT, Level.STUDY}))
    series = tuple(_series(list(members), details) for _, members in groupby(instances, key=lambda one: one.series))
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


def _series(instances: Sequence[Instance], details: Mapping[str, Details]) -> Series:
    return Series(
        instances[0].series,
        len(instances),
        tuple(sorted({one.sop_class for one in instances})),
        {**_of(instances, frozenset({Level.SERIES})), **_requests(details.get(instances[0].uid, {}))},
    )


def _requests(details: Details) -> Attributes:
    """The requests for a series, which its instances' own rows do not hold."""
    items = [
        {
            tag_of(keyword): {"vr": vr_of(keyword), "Value": [str(value)[:_LONGEST] for value in item[keyword]]}
            for keyword in _OF_A_REQUEST
            if keyword in item
        }
        for item in details.get(_REQUESTS, ())
        if isinstance(item, Mapping)
    ]
    found = [item for item in items if item][:_MOST_REQUESTS]
    return {tag_of(_REQUESTS): {"vr": "SQ", "Value": found}} if found else {}


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
