"""A site as a hospital runs it, with images of several encodings that a PACS pushed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import numpy as np
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless, generate_uid
from pynetdicom import AE

from hayat_fhir.demonstration_site import Site, free_port

FRAMES = {"native": None, "rle": RLELossless, "jls": JPEGLSLossless, "jp2": JPEG2000Lossless}
"""One image of ten frames, in four encodings."""


@dataclass(slots=True)
class Archive:
    """The site, and what was pushed, by name; and a token of each role that was asked for."""

    site: Site
    images: dict[str, FileDataset] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def token(self, role: str) -> str:
        """A token of this role's account: one for all tests, a new one takes a process of its own."""
        if role not in self.tokens:
            self.tokens[role] = self.site.token(role)
        return self.tokens[role]

    def http(self, role: str = "doctor") -> httpx.Client:
        """A client of the DICOMweb door."""
        headers = {"Authorization": f"Bearer {self.token(role)}"}
        return httpx.Client(base_url=f"{self.site.url}/dicomweb", headers=headers, timeout=60, trust_env=False)

    def client(self, role: str = "doctor") -> DICOMwebClient:
        """The client of PyPI."""
        headers = {"Authorization": f"Bearer {self.token(role)}"}
        return DICOMwebClient(f"{self.site.url}/dicomweb", headers=headers)

    def path(self, name: str) -> str:
        """Where an image is."""
        one = self.images[name]
        return f"/studies/{one.StudyInstanceUID}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}"


def example(file: str, study: str, series: str, number: str, name: str) -> FileDataset:
    """An example with a study and a patient of its own."""
    image = dcmread(str(get_testdata_file(file)))
    image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID = study, series, generate_uid()
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.PatientID, image.PatientName, image.PatientBirthDate = number, name, "19800517"
    image.StudyDate, image.PatientSex = "20040119", "F"
    return image


def request(step: str, procedure: str) -> Dataset:
    """What was requested."""
    made = Dataset()
    made.ScheduledProcedureStepID, made.RequestedProcedureID = step, procedure
    return made


def multiframe(study: str, syntax: str | None) -> FileDataset:
    """Ten frames that are told apart by their values."""
    image = example("MR_small.dcm", study, generate_uid(), "P-2", "Other^Somebody")
    first = image.pixel_array
    image.PixelData = np.stack([first + 10 * number for number in range(10)]).tobytes()
    image.NumberOfFrames = 10
    if syntax is not None:
        image.compress(syntax, generate_instance_uid=False)
    return image


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """The running site."""
    site = Site("Hospital", "HAYAT", tmp_path_factory.mktemp("archive") / "site")
    site.further_settings["HAYAT_ACCESS_TOKEN_SECONDS"] = "3600"
    try:
        site.start()
        site.wait_until_ready()
        for role in ("doctor", "patient", "staff"):
            site.add_account(role)
        site.hayat(
            *("partner", "add", "--name", "PACS", "--ae-title", "PACS"),
            *("--host", "127.0.0.1", "--port", str(free_port())),
        )
        archive = Archive(site)
        _fill(archive)
        yield archive
    finally:
        site.stop()


def _fill(archive: Archive) -> None:
    head, spine = generate_uid(), generate_uid()
    series = generate_uid()
    for number in range(5):
        archive.images[f"CT{number}"] = example("CT_small.dcm", head, series, "P-1", "Öz^Ayşe")
        archive.images[f"CT{number}"].InstanceNumber = number + 1
        archive.images[f"CT{number}"].SpecificCharacterSet = "ISO_IR 192"
        archive.images[f"CT{number}"].RequestAttributesSequence = [request("STEP-1", "ORDER-1")]
    archive.images["MR"] = example("MR_small.dcm", head, generate_uid(), "P-1", "Öz^Ayşe")
    archive.images["MR"].SpecificCharacterSet = "ISO_IR 192"
    for name, syntax in FRAMES.items():
        archive.images[name] = multiframe(spine, syntax)
    archive.images["window"] = example("MR_small.dcm", spine, generate_uid(), "P-2", "Other^Somebody")
    archive.images["window"].WindowCenter, archive.images["window"].WindowWidth = 2000, 4000
    archive.images["colour"] = example("SC_rgb_small_odd.dcm", spine, generate_uid(), "P-2", "Other^Somebody")
    push(archive, list(archive.images.values()))
    with archive.http() as http:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = http.get("/studies")
            if found.status_code == 200 and _complete(found.json(), len(archive.images)):
                return
            time.sleep(0.2)
    raise AssertionError("the studies did not appear")


def _complete(studies: list[dict[str, dict[str, list[int]]]], images: int) -> bool:
    return sum(one["00201208"]["Value"][0] for one in studies) == images


def push(archive: Archive, images: list[FileDataset]) -> None:
    """Push images as the PACS."""
    ae = AE(ae_title="PACS")
    for one in images:
        ae.add_requested_context(one.SOPClassUID, one.file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", archive.site.dicom_port, ae_title="HAYAT")
    assert association.is_established
    assert {association.send_c_store(one).Status for one in images} == {0}
    association.release()
