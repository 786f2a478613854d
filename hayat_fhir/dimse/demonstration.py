"""The PACS of the demonstration: pydicom's real CT and MR images, made one patient's, pushed by C-STORE."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import generate_uid
from pynetdicom import AE

from hayat_fhir.errors import Unavailable

_FILES = ("CT_small.dcm", "MR_small.dcm")
_SUCCESS = 0x0000


@dataclass(frozen=True, slots=True)
class Pushed:
    """One image as it left the PACS: its UIDs, and the SHA-256 of its data set's bytes."""

    study: str
    series: str
    instance: str
    modality: str
    sha256: str


def push_examples(
    host: str, port: int, called: str, calling: str, patient_id: str, name: str, birth_date: str
) -> list[Pushed]:
    """Push one CT and one MR study of a patient (``birth_date`` as YYYYMMDD) to a DICOM port.

    Raises:
        Unavailable: The association was refused or an image was not taken.
    """
    images = [_prepared(file, patient_id, name, birth_date) for file in _FILES]
    ae = AE(ae_title=calling)
    for image in images:
        ae.add_requested_context(image.SOPClassUID, image.file_meta.TransferSyntaxUID)
    association = ae.associate(host, port, ae_title=called)
    if not association.is_established:
        raise Unavailable("the DICOM port did not accept the PACS")
    try:
        return [_pushed(image, association.send_c_store(image)) for image in images]
    finally:
        association.release()


def data_set_digest(file: bytes) -> str:
    """The SHA-256 of the data set in a DICOM file: its bytes after preamble and file meta information (PS3.10)."""
    stream = BytesIO(file)
    dataset = dcmread(stream, stop_before_pixels=True, specific_tags=[])
    length = int(dataset.file_meta.FileMetaInformationGroupLength)
    return sha256(file[128 + 4 + 12 + length :]).hexdigest()


def _prepared(file: str, patient_id: str, name: str, birth_date: str) -> FileDataset:
    """An example with the patient's attributes set, and UIDs of its own."""
    path = get_testdata_file(file, download=False)
    image = dcmread(str(path))
    image.PatientID, image.PatientName = patient_id, name
    image.PatientBirthDate, image.PatientSex = birth_date, "F"
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.SOPInstanceUID = generate_uid()
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    return image


def _pushed(image: FileDataset, status: Dataset) -> Pushed:
    if "Status" not in status or status.Status != _SUCCESS:
        raise Unavailable("the DICOM port did not take an image")
    buffer = BytesIO()
    dcmwrite(buffer, image, enforce_file_format=True)
    return Pushed(
        str(image.StudyInstanceUID),
        str(image.SeriesInstanceUID),
        str(image.SOPInstanceUID),
        str(image.Modality),
        data_set_digest(buffer.getvalue()),
    )
