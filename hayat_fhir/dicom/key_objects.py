"""Key Object Selections: what their title says, and to which instances they refer. PS3.3 A.35.4, PS3.16 TID 2010.

https://dicom.nema.org/medical/dicom/current/output/html/part16.html#sect_TID_2010
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pydicom import dcmread
from pydicom.dataset import Dataset

from hayat_fhir.dicom.header import is_uid
from hayat_fhir.errors import InvalidRequest

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.88.59"
RETENTION_EXPIRED = "113039"
"""The title of a rejection after which the same objects may come again (IHE RAD, IOCM)."""
_LARGEST = 64 * 2**20
_MOST_REFERENCES = 100_000


@dataclass(frozen=True, slots=True)
class KeyObjects:
    """A selection. ``title`` is the code of its document title where DICOM itself defines it, else empty."""

    title: str
    references: tuple[str, ...]


def read_key_objects(path: Path) -> KeyObjects:
    """The selection in a file.

    Raises:
        InvalidRequest: It cannot be read, or refers to too much.
    """
    if path.stat().st_size > _LARGEST:
        raise InvalidRequest("the key object selection is too large", code="too-long")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _of(dcmread(path))
    except InvalidRequest:
        raise
    except Exception as error:  # pydicom raises whatever a stranger's bytes make it
        raise InvalidRequest("the key object selection cannot be read", code="structure") from error


def _of(document: Dataset) -> KeyObjects:
    concept = next(iter(document.get("ConceptNameCodeSequence") or ()), Dataset())
    title = str(concept.get("CodeValue", "")).strip()
    if str(concept.get("CodingSchemeDesignator", "")).strip() != "DCM":
        title = ""
    found = [
        str(image.get("ReferencedSOPInstanceUID", "")).strip()
        for study in cast("list[Dataset]", document.get("CurrentRequestedProcedureEvidenceSequence") or [])
        for series in study.get("ReferencedSeriesSequence") or ()
        for image in series.get("ReferencedSOPSequence") or ()
    ]
    if len(found) > _MOST_REFERENCES:
        raise InvalidRequest("the key object selection refers to too much", code="too-long")
    return KeyObjects(title, tuple(dict.fromkeys(uid for uid in found if is_uid(uid))))
