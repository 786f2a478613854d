"""What the DICOM JSON says of an object's pixels, and what is at the places that it names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from hayat_fhir.dicom.metadata import is_pixels, metadata
from hayat_fhir.dicom.object_file import ObjectFile, opened
from hayat_fhir.dicom.rendering import pixel_value

PIXELS = {"7FE00008", "7FE00009", "7FE00010"}


def told(one: ObjectFile) -> dict[str, str]:
    """The elements for pixels, and their VR; each is at the place that it names."""
    found = {tag: element for tag, element in metadata(one).items() if tag in PIXELS}
    for tag, element in found.items():
        assert element["BulkDataURI"] == f"bulkdata/{tag}"
        assert is_pixels(one, tag)
    return {tag: element["vr"] for tag, element in found.items()}


def kept(image: FileDataset, folder: Path, syntax: str | None = None) -> ObjectFile:
    """An object in a file."""
    if syntax is not None:
        image.file_meta.TransferSyntaxUID = syntax
    image.save_as(folder / "one.dcm", enforce_file_format=True)
    return opened(str(folder / "one.dcm"))


def example(name: str) -> ObjectFile:
    """One of pydicom's."""
    return opened(str(get_testdata_file(name)))


def test_the_element_and_its_vr(tmp_path: Path) -> None:
    """As they stand in the file."""
    assert told(example("CT_small.dcm")) == {"7FE00010": "OW"}
    assert told(example("MR_small_bigendian.dcm")) == {"7FE00010": "OW"}
    assert told(example("MR_small_implicit.dcm")) == {"7FE00010": "OW"}
    assert told(example("MR_small_RLE.dcm")) == {"7FE00010": "OB"}
    assert told(example("reportsi.dcm")) == {}
    image = dcmread(str(get_testdata_file("SC_rgb_small_odd.dcm")))
    image["PixelData"].VR = "OB"
    assert told(kept(image, tmp_path)) == {"7FE00010": "OB"}
    assert told(kept(image, tmp_path, DeflatedExplicitVRLittleEndian)) == {"7FE00010": "OB"}
    report = dcmread(str(get_testdata_file("reportsi.dcm")))
    assert told(kept(report, tmp_path, DeflatedExplicitVRLittleEndian)) == {}


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize(
    ("keyword", "tag", "vr", "bits"),
    [("FloatPixelData", "7FE00008", "OF", 32), ("DoubleFloatPixelData", "7FE00009", "OD", 64)],
)
def test_floating_point(tmp_path: Path, keyword: str, tag: str, vr: str, bits: int, syntax: str | None) -> None:
    """Float Pixel Data is called that, and is where older metadata said that its pixels were, too."""
    values = np.linspace(0, 1, 128 * 128).astype(f"<f{bits // 8}").tobytes()
    image = dcmread(str(get_testdata_file("CT_small.dcm")))
    for gone in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        del image[gone]
    image.BitsAllocated = bits
    setattr(image, keyword, values)
    one = kept(image, tmp_path, syntax)
    assert told(one) == {tag: vr}
    assert is_pixels(one, "7FE00010")
    assert b"".join(pixel_value(one)) == values


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("MR_small_implicit.dcm", "MR_small.dcm"),
        ("liver_expb_1frame.dcm", "liver_1frame.dcm"),
        ("image_dfl.dcm", "image_dfl.dcm"),
    ],
)
def test_the_value_of_pixels(name: str, same: str) -> None:
    """Explicit VR Little Endian, whatever they are stored in."""
    assert b"".join(pixel_value(example(name))) == dcmread(str(get_testdata_file(same))).PixelData
