"""Where frames lie: what is read there is what the whole object holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000Lossless, RLELossless

from hayat_fhir.dicom.frame_layout import layout
from hayat_fhir.dicom.object_file import opened

COUNT = 10


def multiframe(syntax: str | None = None) -> FileDataset:
    """Ten frames."""
    image = dcmread(str(get_testdata_file("MR_small.dcm")))
    image.PixelData = np.stack([image.pixel_array + number for number in range(COUNT)]).tobytes()
    image.NumberOfFrames = COUNT
    if syntax is not None:
        image.compress(syntax, generate_instance_uid=False)
    return image


@pytest.mark.parametrize("syntax", [None, RLELossless, JPEG2000Lossless])
def test_frames_lie_where_it_says(tmp_path: Path, syntax: str | None) -> None:
    """Each frame of a native or encapsulated object is found in its place."""
    path = str(tmp_path / "one.dcm")
    multiframe(syntax).save_as(path)
    image = dcmread(path)
    found = layout(opened(path))
    assert found is not None
    data = Path(path).read_bytes()
    count = int(image.NumberOfFrames)
    if "fragments" in found:
        expected = list(generate_frames(image.PixelData, number_of_frames=count))
        pieces = [list(zip(one[::2], one[1::2], strict=True)) for one in found["fragments"]]
        assert [b"".join(data[at : at + length] for at, length in one) for one in pieces] == expected
    else:
        assert found["count"] == count
        start, length = found["start"], found["length"]
        assert data[start : start + count * length] == image.PixelData


@pytest.mark.parametrize(("has_table", "found"), [(True, True), (False, False)])
def test_frames_in_several_fragments(tmp_path: Path, *, has_table: bool, found: bool) -> None:
    """The offset table tells them apart; without one nobody can."""
    image = multiframe(RLELossless)
    frames = list(generate_frames(image.PixelData, number_of_frames=int(image.NumberOfFrames)))
    image.PixelData = encapsulate(frames, fragments_per_frame=2, has_bot=has_table)
    image.save_as(tmp_path / "one.dcm")
    told = layout(opened(str(tmp_path / "one.dcm")))
    assert (told is not None) is found
    if told is not None:
        assert [len(one) for one in told["fragments"]] == [4] * len(frames)


def test_frames_that_are_not_there(tmp_path: Path) -> None:
    """An object that claims more frames than its pixels hold has as many as it holds."""
    image = multiframe()
    image.NumberOfFrames = 2_000_000_000
    image.save_as(tmp_path / "one.dcm")
    told = layout(opened(str(tmp_path / "one.dcm")))
    assert told is not None
    assert told["count"] == COUNT
