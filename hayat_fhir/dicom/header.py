"""Reading the header of a DICOM object that a stranger sent: bounded, and without touching pixels.

PS3.5, PS3.18 annex F (the DICOM JSON model).
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO
from urllib.parse import quote

from pydicom import config, dcmread
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, UID

from hayat_fhir.errors import InvalidRequest

# pydicom would warn of values that break their VR's rules; what matters of them is checked here, and data from
# other hospitals is kept as it is.
config.settings.reading_validation_mode = config.IGNORE

_UID = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_URI = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]+", re.ASCII | re.IGNORECASE)
_LONGEST_UID = 64
_LONGEST_ELEMENT = 16 * 1024
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
    "ContentLabel",
    "DocumentTitle",
    "ImageType",
]
"""What the projection and the checks at ingest need."""


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
        qualifiers = by_keyword(self.attributes).get("IssuerOfPatientIDQualifiersSequence", [{}])[0]
        entity = str(qualifiers.get("UniversalEntityID", [""])[0])
        match str(qualifiers.get("UniversalEntityIDType", [""])[0]):
            case "ISO" if is_uid(entity):
                return f"urn:oid:{entity}"
            case "UUID" if _UUID.fullmatch(entity):
                return f"urn:uuid:{entity.lower()}"
            case "URI" if _URI.fullmatch(entity):
                return entity
            case _:
                return f"{default}/{quote(self.issuer)}" if self.issuer else default


def is_uid(text: str) -> bool:
    """Whether this is a UID: digits and dots, at most 64 characters (PS3.5 9.1)."""
    return len(text) <= _LONGEST_UID and _UID.fullmatch(text) is not None


def read_header(data_set: bytes, transfer_syntax: str) -> Header:
    """The header of an encoded data set.

    Raises:
        InvalidRequest: It cannot be read, or an identifying UID is missing or malformed; no value is repeated.
    """
    return read_file_header(BytesIO(file_header("1.2", "1.2", transfer_syntax, "HEADER") + data_set), transfer_syntax)


def read_file_header(file: BinaryIO, transfer_syntax: str) -> Header:
    """The header of a file as ``file_header`` begins it, its data set in this transfer syntax.

    Raises:
        InvalidRequest: It cannot be read, or an identifying UID is missing or malformed; no value is repeated.
    """
    if transfer_syntax == _DEFLATED:
        raise InvalidRequest("deflated data sets are not taken from the network", code="not-supported")
    dataset = _read(file)
    try:
        uids = {
            keyword: str(dataset.get(keyword, "")).rstrip("\0 ")
            for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
        }
        patient_id = str(dataset.get("PatientID", "") or "").strip()
        issuer = str(dataset.get("IssuerOfPatientID", "") or "").strip()
        attributes = _attributes(dataset)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError, OverflowError) as error:
        raise InvalidRequest("the data set's attributes cannot be read", code="structure") from error
    for keyword, uid in uids.items():
        if not is_uid(uid):
            raise InvalidRequest("a UID is missing or malformed", code="value", expression=[keyword])
    return Header(
        uids["StudyInstanceUID"],
        uids["SeriesInstanceUID"],
        uids["SOPInstanceUID"],
        uids["SOPClassUID"],
        transfer_syntax,
        patient_id,
        issuer,
        attributes,
    )


def file_header(sop_class: str, instance: str, transfer_syntax: str, source: str) -> bytes:
    """Preamble, prefix and file meta information (PS3.10 7.1) to stand before a data set as it was received."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(instance)
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    meta.SourceApplicationEntityTitle = source
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=True)
    return _PREAMBLE + buffer.getvalue()


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


def _read(file: BinaryIO) -> Dataset:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return dcmread(file, stop_before_pixels=True, specific_tags=list(_KEYWORDS))
    except (
        InvalidDicomError,
        ValueError,
        TypeError,
        AttributeError,
        LookupError,
        OSError,
        RecursionError,
        OverflowError,
        NotImplementedError,
    ) as error:
        raise InvalidRequest("the data set cannot be read", code="structure") from error


def _attributes(dataset: Dataset) -> dict[str, Any]:
    """The DICOM JSON model of a data set, of what is asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.decode()
        found: dict[str, Any] = dataset.to_json_dict(suppress_invalid_tags=True)
    return {tag: element for tag, element in found.items() if len(str(element)) <= _LONGEST_ELEMENT}
