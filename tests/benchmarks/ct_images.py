"""Images to push: CT instances of half a megabyte or of 40 kB, and a multi-frame image of any size.

All are made of pydicom's small CT; the larger ones have its pixel matrix padded to 512 x 512.
"""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset
from pydicom.uid import MultiFrameGrayscaleWordSecondaryCaptureImageStorage, generate_uid

_SIDE = 512


def write_series(folder: Path, count: int, *, padded: bool = True) -> int:
    """Write one study of ``count`` instances with fresh UIDs into the folder; returns their bytes altogether."""
    image = _padded() if padded else _small()
    image.StudyInstanceUID = generate_uid()
    image.SeriesInstanceUID = generate_uid()
    total = 0
    for number in range(1, count + 1):
        uid = generate_uid()
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid
        image.InstanceNumber = number
        path = folder / f"{number:04d}.dcm"
        image.save_as(path, enforce_file_format=True)
        total += path.stat().st_size
    return total


def write_multi_frame(path: Path, frames: int) -> int:
    """Write one image of this many frames of half a megabyte; returns its bytes."""
    image = _padded()
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.NumberOfFrames = frames
    image.PixelData = image.PixelData * frames
    image.save_as(path, enforce_file_format=True)
    return path.stat().st_size


def _small() -> FileDataset:
    path = get_testdata_file("CT_small.dcm")
    if not isinstance(path, str):
        raise FileNotFoundError("CT_small.dcm is not among pydicom's own files")
    image = dcmread(path)
    del image[0xFFFCFFFC]
    return image


def _padded() -> FileDataset:
    image = _small()
    row_bytes = image.Columns * 2
    pixels = image.PixelData
    rows = [pixels[at : at + row_bytes].ljust(_SIDE * 2, b"\0") for at in range(0, image.Rows * row_bytes, row_bytes)]
    image.PixelData = b"".join(rows).ljust(_SIDE * _SIDE * 2, b"\0")
    image.Rows = image.Columns = _SIDE
    return image
