"""Objects that this site makes itself, to travel with the images of a study. Pure.

Their UID follows from what they say: the same content makes the same bytes under the same UID, at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

SYNTAX = "1.2.840.10008.1.2.1"
"""Explicit VR Little Endian, in which they are encoded."""
MANUFACTURER = "Hayat FHIR"
_SERIES = {"SR": 9001, "DOC": 9002, "KO": 9003}
"""Series numbers, behind those of modalities."""
_STUDY = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "PatientBirthDate"),
    *("PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    *("StudyDescription", "TimezoneOffsetFromUTC"),
)
_REQUIRED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName"),
)
"""What has to stand in every object, if only empty (type 2)."""


@dataclass(frozen=True, slots=True)
class Composed:
    """An object: its identity, and its data set in ``SYNTAX``."""

    uid: str
    study: str
    series: str
    sop_class: str
    data: bytes

    @property
    def sha256(self) -> str:
        """The SHA-256 of the data set."""
        return sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class Referenced:
    """An object that another one refers to."""

    study: str
    series: str
    sop_class: str
    uid: str


def of_study(attributes: Mapping[str, Any], study: str) -> Dataset:
    """The beginning of an object of this study: patient and study as an image of it tells, in DICOM JSON."""
    image = Dataset.from_json(dict(attributes))
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _STUDY:
        if keyword in image:
            made[keyword] = image[keyword]
    for keyword in _REQUIRED:
        if keyword not in made:
            setattr(made, keyword, "")
    made.StudyInstanceUID = study
    return made


def finished(made: Dataset, sop_class: str, modality: str, moment: datetime) -> Composed:
    """The object: in a series of its own kind, under a UID that follows from its content."""
    study = str(made.StudyInstanceUID)
    made.SOPClassUID, made.Modality = sop_class, modality
    made.SeriesInstanceUID = derived_uid(f"{study}|{sop_class}")
    made.SeriesNumber, made.InstanceNumber = _SERIES[modality], 1
    made.Manufacturer = MANUFACTURER
    made.ContentDate, made.ContentTime = f"{moment:%Y%m%d}", f"{moment:%H%M%S}"
    made.SOPInstanceUID = derived_uid(sha256(_encoded(made)).hexdigest())
    return Composed(str(made.SOPInstanceUID), study, str(made.SeriesInstanceUID), sop_class, _encoded(made))


def derived_uid(text: str) -> str:
    """A UID that follows from a text (PS3.5 B.2)."""
    return f"2.25.{uuid5(NAMESPACE_OID, text).int}"


def code(value: str, scheme: str, meaning: str) -> list[Dataset]:
    """A code sequence of one item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return [item]


def evidence(references: Sequence[Referenced]) -> list[Dataset]:
    """References by study and series, as the evidence of a document has them (PS3.3 table C.17-3)."""
    studies: dict[str, dict[str, list[Dataset]]] = {}
    for one in references:
        studies.setdefault(one.study, {}).setdefault(one.series, []).append(sop_reference(one))
    found = []
    for study, by_series in studies.items():
        item = Dataset()
        item.StudyInstanceUID = study
        item.ReferencedSeriesSequence = []
        for series, references_there in by_series.items():
            part = Dataset()
            part.SeriesInstanceUID = series
            part.ReferencedSOPSequence = references_there
            item.ReferencedSeriesSequence.append(part)
        found.append(item)
    return found


def sop_reference(one: Referenced) -> Dataset:
    """A reference to one object."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.sop_class, one.uid
    return item


def _encoded(dataset: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset)
    return bytes(buffer.getvalue())
