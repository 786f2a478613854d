"""The header of an image is the same however its bytes came, and however long it is."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from hayat_fhir.dicom.header import read_header
from hayat_fhir.errors import InvalidRequest
from hayat_fhir.services.ingest import Arrival
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.partners import Partner

_PEER = Partner("1", "Modality", "1")


def _data_set(*, private: int = 0, pixels: int = 1) -> tuple[bytes, str, str, str]:
    """CT_small's data set with so long a private element, and so many times the pixels; syntax, class and UID."""
    image = dcmread(str(get_testdata_file("CT_small.dcm")))
    if private:
        image.add_new(0x00210010, "LO", "TEST")
        image.add_new(0x00211001, "OB", bytes(private))
    image.PixelData = image.PixelData * pixels
    buffer = BytesIO()
    image.save_as(buffer, enforce_file_format=True)
    file = buffer.getvalue()
    data = file[144 + int.from_bytes(file[140:144], "little") :]
    return data, str(image.file_meta.TransferSyntaxUID), str(image.SOPClassUID), str(image.SOPInstanceUID)


@pytest.mark.parametrize("piece", [1000, 131_066, 1 << 20])
@pytest.mark.parametrize("size", [{}, {"pixels": 16}, {"private": 70_000}, {"private": 70_000, "pixels": 16}])
def test_the_header_is_read_whatever_arrives_with_it(tmp_path: Path, piece: int, size: dict[str, int]) -> None:
    """While the sender still sends, at the end, or from the file where it is longer than what is kept in memory."""
    data, syntax, sop_class, uid = _data_set(**size)
    arrival = Arrival(Blobs(tmp_path), syntax, sop_class, uid, _PEER)
    for start in range(0, len(data), piece):
        arrival.write(memoryview(data)[start : start + piece])
    assert arrival.header("ISO_IR 100") == read_header(data, syntax)
    arrival.discard()


def test_a_malformed_header_is_refused_at_the_end(tmp_path: Path) -> None:
    """Not while the rest arrives: the sender gets an answer to what it sent."""
    data, syntax, sop_class, uid = _data_set(pixels=16)
    arrival = Arrival(Blobs(tmp_path), syntax, sop_class, uid, _PEER)
    arrival.write(data.replace(uid.encode(), b"x" * len(uid)))
    with pytest.raises(InvalidRequest):
        arrival.header("ISO_IR 100")
    arrival.discard()
