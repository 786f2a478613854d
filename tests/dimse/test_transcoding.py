"""Another transfer syntax for an image, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset

from hayat_fhir.dimse.transcoding import EXPLICIT, IMPLICIT, Transcoder
from hayat_fhir.errors import Unprocessable


def file(name: str) -> Path:
    """One of pydicom's images."""
    return Path(str(get_testdata_file(name)))


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize(
    "name", ["MR_small_jpeg_ls_lossless.dcm", "MR_small_RLE.dcm", "CT_small.dcm", "MR_small_bigendian.dcm"]
)
def test_pixels_stay_as_they_are(name: str, syntax: str) -> None:
    """From lossless compression, and from any byte order, the same pixels come out, and the same UID."""
    transcoder = Transcoder()
    try:
        encoded = transcoder.transcode(file(name), syntax).read_bytes()
    finally:
        transcoder.close()
    original = dcmread(file(name))
    made = read_dataset(DicomBytesIO(encoded), is_implicit_VR=syntax == IMPLICIT, is_little_endian=True)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    assert made.SOPInstanceUID == original.SOPInstanceUID
    assert np.array_equal(made.pixel_array, original.pixel_array)


def test_what_cannot_be_decoded_ends_nothing_else(tmp_path: Path) -> None:
    """A broken image is refused, without a trace of it; the next one is transcoded."""
    broken = tmp_path / "broken.dcm"
    whole = file("MR_small_jpeg_ls_lossless.dcm").read_bytes()
    broken.write_bytes(whole[:-3000] + b"\xff" * 2000)
    transcoder = Transcoder()
    try:
        for path in (broken, tmp_path / "missing"):
            with pytest.raises(Unprocessable):
                transcoder.transcode(path, EXPLICIT)
        assert transcoder.transcode(file("CT_small.dcm"), EXPLICIT).stat().st_size > 30_000
    finally:
        transcoder.close()
