"""The query/retrieve information models: levels, their attributes, and what a query at a level asks for. Pure.

PS3.4 C.3 and C.6, https://dicom.nema.org/medical/dicom/current/output/html/part04.html#sect_C.6
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from types import MappingProxyType
from typing import Any

from hayat_fhir.dicom.header import is_uid
from hayat_fhir.dicom.matching import Condition, admits, conditions, fuzzy, normal_values
from hayat_fhir.errors import InvalidRequest


class Level(IntEnum):
    """The levels, from the top down."""

    PATIENT = 0
    STUDY = 1
    SERIES = 2
    IMAGE = 3


UNIQUE = MappingProxyType(
    {
        Level.PATIENT: "PatientID",
        Level.STUDY: "StudyInstanceUID",
        Level.SERIES: "SeriesInstanceUID",
        Level.IMAGE: "SOPInstanceUID",
    }
)
"""The unique key of each level."""

_PATIENT = """PatientName PatientID IssuerOfPatientID IssuerOfPatientIDQualifiersSequence PatientBirthDate PatientSex
PatientBirthTime OtherPatientIDs OtherPatientNames EthnicGroup PatientComments NumberOfPatientRelatedStudies
NumberOfPatientRelatedSeries NumberOfPatientRelatedInstances"""
_STUDY = """StudyDate StudyTime AccessionNumber IssuerOfAccessionNumberSequence StudyID StudyInstanceUID
StudyDescription ReferringPhysicianName NameOfPhysiciansReadingStudy ProcedureCodeSequence TimezoneOffsetFromUTC
PatientAge PatientSize PatientWeight Occupation AdditionalPatientHistory AdmittingDiagnosesDescription
ModalitiesInStudy SOPClassesInStudy NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances"""
_SERIES = """Modality SeriesInstanceUID SeriesNumber SeriesDescription SeriesDate SeriesTime Manufacturer
ManufacturerModelName InstitutionName InstitutionalDepartmentName StationName BodyPartExamined AnatomicRegionSequence
Laterality ProtocolName OperatorsName PerformingPhysicianName PatientPosition DeviceSerialNumber SoftwareVersions
PerformedProcedureStepStartDate PerformedProcedureStepStartTime PerformedProcedureStepID RequestAttributesSequence
NumberOfSeriesRelatedInstances"""
LEVEL_OF = MappingProxyType(
    {
        keyword: level
        for level, keywords in ((Level.PATIENT, _PATIENT), (Level.STUDY, _STUDY), (Level.SERIES, _SERIES))
        for keyword in keywords.split()
    }
)
"""The level of an attribute; what is not in it is the images'."""

COUNTED = frozenset(
    {
        "ModalitiesInStudy",
        "SOPClassesInStudy",
        *(f"NumberOfPatientRelated{what}" for what in ("Studies", "Series", "Instances")),
        *(f"NumberOfStudyRelated{what}" for what in ("Series", "Instances")),
        "NumberOfSeriesRelatedInstances",
    }
)
"""What is told of what belongs to an entity, not of itself."""
_MATCHED = """PatientName PatientID IssuerOfPatientID PatientBirthDate PatientSex
StudyDate StudyTime AccessionNumber StudyID StudyInstanceUID StudyDescription ReferringPhysicianName
NameOfPhysiciansReadingStudy ModalitiesInStudy SOPClassesInStudy
Modality SeriesInstanceUID SeriesNumber SeriesDescription SeriesDate SeriesTime Manufacturer ManufacturerModelName
InstitutionName BodyPartExamined Laterality PerformedProcedureStepStartDate PerformedProcedureStepStartTime
SOPInstanceUID SOPClassUID InstanceNumber NumberOfFrames ImageType"""
MATCHED = frozenset(_MATCHED.split())
"""The keys that select; any other is for asking only, whatever its value (PS3.4 C.2.2.1.3)."""
MATCHED_WITHIN = MappingProxyType(
    {"RequestAttributesSequence": frozenset({"ScheduledProcedureStepID", "RequestedProcedureID"})}
)
"""The keys that select within the items of a sequence."""
_LONGEST_ASKED = 1024


@dataclass(frozen=True, slots=True)
class Key:
    """One attribute of a query: what is asked for, and what its value must meet."""

    keyword: str
    tag: str
    vr: str
    conditions: tuple[Condition, ...] = ()
    asked: str = ""
    """The value as it was asked for, shortened."""
    within: tuple[Key, ...] = ()
    """Of a sequence: the keys that one of its items must meet, all of them (PS3.4 C.2.2.2.6)."""

    @property
    def level(self) -> Level:
        """The level of the attribute."""
        return LEVEL_OF.get(self.keyword, Level.IMAGE)

    @property
    def selects(self) -> bool:
        """Whether its value must meet anything."""
        return bool(self.conditions or self.within)

    def is_met(self, attributes: Mapping[str, Any]) -> bool:
        """Whether an entity, or an item, with these attributes (DICOM JSON) meets it."""
        element = attributes.get(self.tag, {})
        if self.within:
            return any(all(key.is_met(item) for key in self.within) for item in element.get("Value", ()))
        return admits(self.conditions, normal_values(element))


@dataclass(frozen=True, slots=True)
class Query:
    """A query at a level. ``keys`` are what is asked for, the unique keys of the levels above among them."""

    level: Level
    keys: Mapping[str, Key]

    def at(self, level: Level) -> list[Key]:
        """The keys of one level that select."""
        return [key for key in self.keys.values() if key.level is level and key.selects]

    def unique(self, level: Level) -> tuple[str, ...]:
        """The values of a level's unique key; none where any will do."""
        key = self.keys.get(UNIQUE[level])
        return tuple(value for one in (key.conditions if key else ()) for value in getattr(one, "values", ()))


def query(level: str, elements: Mapping[str, tuple[str, str, Any]], top: Level, *, relational: bool = False) -> Query:
    """The query of an identifier whose elements are (tag, VR, value) by keyword, in the model that begins at ``top``.

    The value of a sequence are the elements of its one item. A ``relational`` query need not name its study.

    Raises:
        InvalidRequest: It has no level of the model, lacks a unique key above its level, or a value is malformed.
        TooLarge: A key has too many values.
    """
    if level not in Level.__members__ or Level[level] < top:
        raise InvalidRequest("no such level in this information model", code="value", expression=["QueryRetrieveLevel"])
    at = Level[level]
    keys = {keyword: _key(keyword, element, MATCHED) for keyword, element in elements.items()}
    found = Query(at, MappingProxyType(keys))
    if not relational and at > Level.STUDY and not found.unique(Level.STUDY):
        raise InvalidRequest("a unique key is missing", code="required", expression=["StudyInstanceUID"])
    for one in (Level.STUDY, Level.SERIES, Level.IMAGE):
        if not all(is_uid(uid) for uid in found.unique(one)):
            raise InvalidRequest("a UID is malformed", code="value", expression=[UNIQUE[one]])
    return found


def _key(keyword: str, element: tuple[str, str, Any], matched: frozenset[str]) -> Key:
    tag, vr, value = element
    if keyword in MATCHED_WITHIN and vr == "SQ":
        parts = (_key(name, part, MATCHED_WITHIN[keyword]) for name, part in value.items())
        return Key(keyword, tag, vr, within=tuple(part for part in parts if part.selects))
    wanted = conditions(vr, value, keyword) if keyword in matched else ()
    return Key(keyword, tag, vr, wanted, str(value)[:_LONGEST_ASKED] if wanted else "")


def fuzzily(asked: Query) -> Query:
    """The same query, with names of people matched by what is like them."""
    keys = {
        keyword: replace(key, conditions=tuple(map(fuzzy, key.conditions))) if key.vr == "PN" else key
        for keyword, key in asked.keys.items()
    }
    return Query(asked.level, MappingProxyType(keys))
