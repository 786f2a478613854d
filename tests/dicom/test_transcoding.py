"""Whole objects in another transfer syntax: the same values, and an answer that says what it is."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from hayat_fhir.dicom.object_file import opened
from hayat_fhir.dicom.transcoding import transcoded

LOSSLESS = (JPEGLSLossless, JPEG2000Lossless, RLELossless)


def made(path: Path, syntax: str) -> FileDataset:
    """What is made of a file; in the transfer syntax that is told beside it."""
    content, told = transcoded(opened(str(path)), syntax)
    found = dcmread(io.BytesIO(content))
    assert found.file_meta.TransferSyntaxUID == told
    return found


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, *LOSSLESS])
@pytest.mark.parametrize(
    "name", ["MR_small_bigendian.dcm", "ExplVR_BigEnd.dcm", "MR_small_implicit.dcm", "image_dfl.dcm", "SC_rgb_rle.dcm"]
)
def test_pixels_stay_as_they_are(name: str, syntax: str) -> None:
    """From any byte order and compression; the object stays the same one."""
    path = Path(str(get_testdata_file(name)))
    original, found = dcmread(path), made(path, syntax)
    assert found.file_meta.TransferSyntaxUID == syntax
    assert found.SOPInstanceUID == original.SOPInstanceUID
    assert np.array_equal(found.pixel_array, original.pixel_array)


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("name", ["reportsi.dcm", "rtdose.dcm", "liver_1frame.dcm", "SC_ybr_full_422_uncompressed.dcm"])
def test_what_cannot_be_encoded_so(name: str, syntax: str) -> None:
    """A report, 32 or 1 bits, half the colours: Explicit VR Little Endian, and nothing is lost."""
    path = Path(str(get_testdata_file(name)))
    original, found = dcmread(path), made(path, syntax)
    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert found.get("PixelData") == original.get("PixelData")
    assert len(found) == len(original)


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_samples_that_stand_plane_by_plane(tmp_path: Path, syntax: str) -> None:
    """They are encoded as pixels, not as they happen to lie."""
    values = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    image = dcmread(str(get_testdata_file("SC_rgb_small_odd.dcm")))
    image.Rows, image.Columns, image.PlanarConfiguration = 60, 80, 1
    image.PixelData = values.transpose(2, 0, 1).tobytes()
    image.save_as(tmp_path / "one.dcm")
    found = made(tmp_path / "one.dcm", syntax)
    assert found.file_meta.TransferSyntaxUID == syntax
    assert np.array_equal(found.pixel_array, values)


def test_words_are_turned_at_any_depth(tmp_path: Path) -> None:
    """Binary values of a big endian object, in sequences and without, are little endian words in what is made of it."""
    image = dcmread(str(get_testdata_file("MR_small_bigendian.dcm")))
    item = Dataset()
    item.LUTDescriptor = [2, 0, 16]
    item.add_new("LUTData", "OW", b"\x01\x02\x03\x04")
    image.VOILUTSequence = [item]
    image.add_new("VectorGridData", "OF", b"\x01\x02\x03\x04\x05\x06\x07\x08")
    image.add_new("EncapsulatedDocument", "OB", b"\x01\x02\x03\x04")
    image.save_as(tmp_path / "one.dcm")
    found = made(tmp_path / "one.dcm", ExplicitVRLittleEndian)
    assert found.VOILUTSequence[0].LUTData == b"\x02\x01\x04\x03"
    assert found.VectorGridData == b"\x04\x03\x02\x01\x08\x07\x06\x05"
    assert found.EncapsulatedDocument == b"\x01\x02\x03\x04"
    assert found.VOILUTSequence[0].LUTDescriptor == [2, 0, 16]
