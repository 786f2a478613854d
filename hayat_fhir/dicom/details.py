"""What is told once for a series or a document, read from a file when its study is projected: orders, people, reasons.

At ingest it would cost each image of the series what it costs here once.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from pydicom import dcmread

from hayat_fhir.dicom.character_sets import declare
from hayat_fhir.dicom.header import by_keyword

KEYWORDS = (
    "SpecificCharacterSet",
    "AnatomicRegionSequence",
    "ReferringPhysicianIdentificationSequence",
    "PhysiciansReadingStudyIdentificationSequence",
    "PerformingPhysicianName",
    "PerformingPhysicianIdentificationSequence",
    "OperatorsName",
    "OperatorIdentificationSequence",
    "ReasonForPerformedProcedureCodeSequence",
    "RequestAttributesSequence",
    "ReferencedRequestSequence",
    "ConceptNameCodeSequence",
)
_LONGEST = 256 * 1024


def read_details(path: Path) -> dict[str, Any]:
    """Values by keyword, as ``by_keyword`` gives them; nothing where the file cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(path, stop_before_pixels=True, specific_tags=list(KEYWORDS))
            declare(dataset)
            dataset.decode()
            found = dataset.to_json_dict(suppress_invalid_tags=True)
    except Exception:  # noqa: BLE001 - pydicom raises whatever a stranger's bytes make it
        return {}
    return by_keyword({tag: element for tag, element in found.items() if len(str(element)) <= _LONGEST})
