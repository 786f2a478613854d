"""What is told once for a series or a document, read from a file when its study is projected: orders, people, reasons.

At ingest it would cost each image of the series what it costs here once.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from hayat_fhir.dicom.character_sets import LATIN_1, declare
from hayat_fhir.dicom.header import by_keyword

KEYWORDS = (
    # in what is mostly written in letters beyond ASCII, an undeclared code page shows
    *("SpecificCharacterSet", "PatientName", "StudyDescription", "SeriesDescription", "InstitutionName"),
    "ReferringPhysicianName",
    "AnatomicRegionSequence",
    "ReferringPhysicianIdentificationSequence",
    "PhysiciansReadingStudyIdentificationSequence",
    "PerformingPhysicianName",
    "PerformingPhysicianIdentificationSequence",
    "OperatorsName",
    "OperatorIdentificationSequence",
    "ReasonForPerformedProcedureCodeSequence",
    "ReasonForVisit",
    "ReasonForVisitCodeSequence",
    "PhysiciansOfRecord",
    "PhysiciansOfRecordIdentificationSequence",
    "RequestAttributesSequence",
    "ReferencedRequestSequence",
    "ReferencedSeriesSequence",
    "SeriesDescriptionCodeSequence",
    "SpecimenDescriptionSequence",
    "OtherPatientIDsSequence",
    "PatientBirthTime",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "PatientSpeciesDescription",
    "PatientSpeciesCodeSequence",
    "PatientBreedDescription",
    "PatientBreedCodeSequence",
    "PatientSexNeutered",
    "StationName",
    "DeviceSerialNumber",
    "DeviceUID",
    "ConceptNameCodeSequence",
)
ASSUMED = "AssumedCharacterSet"
"""The key of what text in no declared character set was taken to be in."""
_FRAMES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_SEGMENTS = "SegmentSequence"
_LONGEST = 256 * 1024
_MOST_FRAMES = 10_000


def read_details(path: Path, character_set: str = LATIN_1) -> dict[str, Any]:
    """Values by keyword, as ``by_keyword`` gives them; nothing where the file cannot be read.

    ``FrameLaterality`` and ``SegmentAlgorithmName`` are those in which all frames or segments agree.
    ``character_set`` is what text is taken to be in that declares none and is not UTF-8.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tags = [*KEYWORDS, *_FRAMES, _SEGMENTS]
            dataset = dcmread(path, stop_before_pixels=True, specific_tags=tags)
            assumed = declare(dataset, character_set)
            agreed = _agreed(dataset)
            for keyword in (*_FRAMES, _SEGMENTS):
                if keyword in dataset:
                    del dataset[keyword]
            dataset.decode()
            found = dataset.to_json_dict(suppress_invalid_tags=True)
    except Exception:  # noqa: BLE001 - pydicom raises whatever a stranger's bytes make it
        return {}
    said = by_keyword({tag: element for tag, element in found.items() if len(str(element)) <= _LONGEST})
    if assumed:
        said[ASSUMED] = said.get("SpecificCharacterSet", [character_set])
    return {**agreed, **said}


def _agreed(dataset: Dataset) -> dict[str, Any]:
    """What all frames, or all segments, have in common."""
    shared, each = (list(dataset.get(keyword) or ()) for keyword in _FRAMES)
    holders = shared if any("FrameAnatomySequence" in one for one in shared) else each[: _MOST_FRAMES + 1]
    anatomy = [next(iter(one.get("FrameAnatomySequence") or ()), Dataset()) for one in holders]
    sides = {str(one.get("FrameLaterality", "")) for one in anatomy}
    algorithms = {str(one.get("SegmentAlgorithmName", "")) for one in dataset.get(_SEGMENTS) or ()}
    found: dict[str, Any] = {}
    if len(sides) == 1 and len(holders) <= _MOST_FRAMES:
        found["FrameLaterality"] = list(sides)
    regions = [next(iter(one.get("AnatomicRegionSequence") or ()), Dataset()) for one in anatomy]
    if len({str(one.get("CodeValue", "")) for one in regions}) == 1 and regions[0].get("CodeValue"):
        keywords = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
        region = {keyword: [str(regions[0].get(keyword))] for keyword in keywords if regions[0].get(keyword)}
        found["AnatomicRegionSequence"] = [region]
    if len(algorithms) == 1:
        found["SegmentAlgorithmName"] = list(algorithms)
    return {keyword: value for keyword, value in found.items() if value != [""]}
