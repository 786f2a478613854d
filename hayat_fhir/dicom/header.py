"""Reading the header of a DICOM object that a stranger sent: bounded, and without touching pixels.

PS3.5, PS3.18 annex F (the DICOM JSON model).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from mmap import mmap
from typing import Any, BinaryIO
from urllib.parse import quote

from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID

from hayat_fhir.dicom.character_sets import LATIN_1
from hayat_fhir.dicom.plain_header import plain_elements, wanted
from hayat_fhir.dicom.unusual_header import read_unusual
from hayat_fhir.errors import InvalidRequest

_UID = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_URI = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]+", re.ASCII | re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+", re.ASCII | re.IGNORECASE)
_SYSTEM = re.compile(r"(https?|urn:[a-z0-9][a-z0-9-]{0,30}[a-z0-9]|dns):[!-~]+", re.ASCII)
"""An issuer's name that is the identifier system itself, as a worklist entry gives it where there is room."""
_LONGEST_UID = 64
LONGEST_ISSUER = 64
"""Characters of IssuerOfPatientID (PS3.5 6.2, LO)."""
_DEFLATED = "1.2.840.10008.1.2.1.99"
_PREAMBLE = b"\0" * 128 + b"DICM"
_KEYWORDS = [
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyDate",
    "SeriesDate",
    "StudyTime",
    "SeriesTime",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "Modality",
    "Manufacturer",
    "InstitutionName",
    "ReferringPhysicianName",
    "TimezoneOffsetFromUTC",
    "StudyDescription",
    "ProcedureCodeSequence",
    "SeriesDescription",
    "NameOfPhysiciansReadingStudy",
    "ManufacturerModelName",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "PatientBirthDate",
    "PatientSex",
    "BodyPartExamined",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "StudyID",
    "SeriesNumber",
    "InstanceNumber",
    "Laterality",
    "ImageLaterality",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "ContentLabel",
    "DocumentTitle",
    "ImageType",
]
"""What the projection, the checks at ingest and the answers to queries need."""
_IDENTIFYING = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_ONCE = (*_IDENTIFYING, "PatientID", "IssuerOfPatientID")
_TAG = {keyword: f"{tag_for_keyword(keyword):08X}" for keyword in _KEYWORDS}
_WANTED = wanted(_KEYWORDS)
_QUALIFIERS_KEYWORD = "IssuerOfPatientIDQualifiersSequence"
_QUALIFIERS = _TAG[_QUALIFIERS_KEYWORD]
_IMPLICIT, _BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
_GROUP_LENGTH = 12
"""Bytes of the element that says how long the file meta information is."""


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of an object without its pixels.

    ``attributes``: the DICOM JSON model of what the projection needs.
    """

    study: str
    series: str
    instance: str
    sop_class: str
    transfer_syntax: str
    patient_id: str
    issuer: str
    attributes: dict[str, Any]

    def issuer_system(self, default: str) -> str:
        """The identifier system of the patient number: of its issuer where that is universal, else the sender's.

        A namespace alone says nothing beyond the sender: it stays within the sender's system.
        """
        sequence = self.attributes.get(_QUALIFIERS, {}).get("Value") or [{}]
        issuer = {"IssuerOfPatientID": [self.issuer], _QUALIFIERS_KEYWORD: [by_keyword(sequence[0])]}
        return issuer_system(issuer, default)


def issuer_system(said: Mapping[str, Any], default: str) -> str:
    """The identifier system of a patient number whose issuer is told by keyword; ``default`` is the sender's.

    A modality copies the issuer from its worklist, where the system itself stands as such: it names the same system,
    cut to the length of the element too, if that is the sender's own.
    """
    qualifiers = next(iter(said.get(_QUALIFIERS_KEYWORD) or ()), None)
    universal = universal_system(qualifiers) if isinstance(qualifiers, Mapping) else None
    if universal is not None:
        return universal
    issuer = str((said.get("IssuerOfPatientID") or [""])[0]).strip()
    if issuer in {"", default, default[:LONGEST_ISSUER]}:
        return default
    return issuer if _SYSTEM.fullmatch(issuer) else f"{default}/{quote(issuer)}"


def issuer_of(system: str) -> dict[str, str]:
    """The issuer by keyword (PS3.3 table 10-17) that ``universal_system`` reads as this identifier system."""
    entity = system.removeprefix("urn:oid:")
    if entity != system and is_uid(entity):
        return {"UniversalEntityID": entity, "UniversalEntityIDType": "ISO"}
    return {"UniversalEntityID": system, "UniversalEntityIDType": "URI"}


def universal_system(designator: Mapping[str, Any]) -> str | None:
    """The identifier system of an issuer that is told by keyword (PS3.3 table 10-17); None: it is not universal."""
    entity = str((designator.get("UniversalEntityID") or [""])[0])
    match str((designator.get("UniversalEntityIDType") or [""])[0]):
        case "ISO" if is_uid(entity):
            return f"urn:oid:{entity}"
        case "UUID" if _UUID.fullmatch(entity):
            return f"urn:uuid:{entity.lower()}"
        case "URI" if _URI.fullmatch(entity):
            return entity
        case "DNS" if _HOST.fullmatch(entity):
            return f"dns:{entity.lower()}"
        case _:
            return None


def is_uid(text: str) -> bool:
    """Whether this is a UID: digits and dots, at most 64 characters (PS3.5 9.1)."""
    return len(text) <= _LONGEST_UID and _UID.fullmatch(text) is not None


def read_header(data_set: bytes, transfer_syntax: str) -> Header:
    """The header of an encoded data set.

    Raises:
        InvalidRequest: It cannot be read, or an identifying UID is missing or malformed; no value is repeated.
    """
    return read_file_header(BytesIO(file_header("1.2", "1.2", transfer_syntax, "HEADER") + data_set), transfer_syntax)


def read_file_header(file: BinaryIO | mmap, transfer_syntax: str, character_set: str = LATIN_1) -> Header:
    """The header of a file as ``file_header`` begins it, its data set in this transfer syntax.

    ``character_set`` is what text is taken to be in that declares none and is not UTF-8.

    Raises:
        InvalidRequest: It cannot be read, or an identifying UID is missing or malformed; no value is repeated.
    """
    if transfer_syntax == _DEFLATED:
        raise InvalidRequest("deflated data sets are not taken from the network", code="not-supported")
    if isinstance(file, mmap):
        plain = read_plain_header(file, transfer_syntax, is_whole=True)
        if plain is not None:
            return plain
    implicit, big = transfer_syntax == _IMPLICIT, transfer_syntax == _BIG_ENDIAN
    once, attributes = read_unusual(file, _KEYWORDS, _ONCE, (implicit, not big), character_set)
    return _checked(transfer_syntax, once, attributes)


def read_plain_header(file: bytearray | mmap, transfer_syntax: str, *, is_whole: bool) -> Header | None:
    """The header of a file, or of its first bytes, as ``file_header`` begins it; None where it is not plain to see.

    Raises:
        InvalidRequest: An identifying UID is missing or malformed; no value is repeated.
    """
    if transfer_syntax in {_BIG_ENDIAN, _DEFLATED}:
        return None
    start = len(_PREAMBLE) + _GROUP_LENGTH + int.from_bytes(file[140:144], "little")
    implicit = transfer_syntax == _IMPLICIT
    attributes = plain_elements(file, start, is_implicit=implicit, tags=_WANTED, is_whole=is_whole)
    if attributes is None or any(len(attributes.get(_TAG[one], {}).get("Value", [])) > 1 for one in _ONCE):
        return None
    return _checked(transfer_syntax, {keyword: _only(attributes, keyword) for keyword in _ONCE}, attributes)


def _checked(transfer_syntax: str, once: dict[str, str], attributes: dict[str, Any]) -> Header:
    uids = [once[keyword].rstrip("\0 ") for keyword in _IDENTIFYING]
    for keyword, uid in zip(_IDENTIFYING, uids, strict=True):
        if not is_uid(uid):
            raise InvalidRequest("a UID is missing or malformed", code="value", expression=[keyword])
    study, series, instance, sop_class = uids
    patient_id, issuer = once["PatientID"], once["IssuerOfPatientID"]
    return Header(study, series, instance, sop_class, transfer_syntax, patient_id, issuer, attributes)


def file_header(sop_class: str, instance: str, transfer_syntax: str, source: str) -> bytes:
    """Preamble, prefix and file meta information (PS3.10 7.1) to stand before a data set as it was received."""
    elements = b"".join(
        (
            b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01",
            _meta(0x0002, b"UI", sop_class),
            _meta(0x0003, b"UI", instance),
            _meta(0x0010, b"UI", transfer_syntax),
            _meta(0x0012, b"UI", PYDICOM_IMPLEMENTATION_UID),
            _meta(0x0016, b"AE", source),
        )
    )
    return _PREAMBLE + struct.pack("<HH2sHL", 0x0002, 0x0000, b"UL", 4, len(elements)) + elements


def by_keyword(attributes: dict[str, Any]) -> dict[str, Any]:
    """A DICOM JSON object by keyword instead of tag, values without their wrapping; private ones left out.

    A value is a list; items of sequences are such dicts again; person names are dicts of their groups.
    """
    found: dict[str, Any] = {}
    for tag, element in attributes.items():
        keyword = keyword_for_tag(int(tag, 16))
        values = element.get("Value")
        if keyword and values:
            found[keyword] = [by_keyword(v) if element["vr"] == "SQ" else v for v in values]
    return found


def _meta(number: int, vr: bytes, value: str) -> bytes:
    encoded = value.encode("ascii", "replace")
    encoded += (b"\0" if vr == b"UI" else b" ") * (len(encoded) % 2)
    return struct.pack("<HH2sH", 0x0002, number, vr, len(encoded)) + encoded


def _only(attributes: dict[str, Any], keyword: str) -> str:
    """The value of an element that has one at most."""
    return str(attributes.get(_TAG[keyword], {}).get("Value", [""])[0]).strip()
