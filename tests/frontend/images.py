"""DICOM images of the site's patients, and a PACS that pushes them."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid
from pynetdicom import AE


def image(file: str, patient: str, birth_date: str = "19860412") -> FileDataset:
    """One of pydicom's images, made Huda Karim's, in a study of its own."""
    made = dcmread(str(get_testdata_file(file, download=False)))
    made.PatientID, made.PatientName = patient, "Karim^Huda"
    made.PatientBirthDate, made.PatientSex = birth_date, "F"
    made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(), generate_uid()
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    return made


def push(port: int, images: Sequence[FileDataset], called: str = "NOOR") -> list[int]:
    """Push images to the DICOM port, each as it is; the status of each."""
    ae = AE(ae_title="PACS")
    for kind in {(one.SOPClassUID, one.file_meta.TransferSyntaxUID) for one in images}:
        ae.add_requested_context(*kind)
    association = ae.associate("127.0.0.1", port, ae_title=called)
    assert association.is_established
    try:
        return [association.send_c_store(one).Status for one in images]
    finally:
        association.release()
