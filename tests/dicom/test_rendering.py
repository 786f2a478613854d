"""Frames as values, as encoded anew, and as pictures: what a person sees is what the object says."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder, pixel_array
from pydicom.pixels.processing import convert_color_space
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless

from hayat_fhir.dicom.object_file import ObjectFile, opened
from hayat_fhir.dicom.rendering import Rendering, decoded_frames, encoded_frames, rendered
from hayat_fhir.errors import NotFound

COLOURS = np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
"""Squares of any colour."""
BARS = [[255, 0, 0], [255, 128, 128], [0, 255, 0], [128, 255, 128], [0, 0, 255], [128, 128, 255]]
BARS += [[grey] * 3 for grey in (0, 64, 192, 255)]
"""What pydicom's examples of one layout show from top to bottom."""


def kept(image: FileDataset, folder: Path) -> ObjectFile:
    """An object in a file."""
    image.save_as(folder / "one.dcm", enforce_file_format=True)
    return opened(str(folder / "one.dcm"))


def shown(one: ObjectFile, number: int = 1, **how: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The picture's values."""
    return np.asarray(Image.open(io.BytesIO(rendered(one, number, Rendering("PNG", **how))))).astype(int)


def coloured(photometric: str, syntax: str | None) -> FileDataset:
    """An image of ``COLOURS``."""
    image = dcmread(str(get_testdata_file("SC_rgb_small_odd.dcm")))
    image.Rows, image.Columns, image.PhotometricInterpretation = *COLOURS.shape[:2], photometric
    image.PixelData = (COLOURS if photometric == "RGB" else convert_color_space(COLOURS, "RGB", photometric)).tobytes()
    if syntax is not None:
        image.compress(syntax, generate_instance_uid=False)
    return image


@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_colours(tmp_path: Path, photometric: str, syntax: str | None) -> None:
    """Whatever they are stored as, in whatever transfer syntax, the same are seen."""
    assert np.abs(shown(kept(coloured(photometric, syntax), tmp_path)) - COLOURS).max() <= 1


@pytest.mark.parametrize(
    "name", ["SC_ybr_full_422_uncompressed.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm", "SC_rgb_rle.dcm", "SC_rgb_gdcm_KY.dcm"]
)
def test_colours_of_examples(name: str) -> None:
    """Bars that are red, green, blue and grey, native with half the colours, and compressed."""
    picture = shown(opened(str(get_testdata_file(name))))
    assert np.abs(picture[5::10, 50] - BARS).max() <= 6


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("name", ["native YBR_FULL", "SC_ybr_full_422_uncompressed.dcm"])
def test_encoded_colours_are_what_the_metadata_say(tmp_path: Path, name: str, syntax: str) -> None:
    """A native frame of YBR_FULL is encoded as that, not as RGB."""
    if name.startswith("native"):
        one = kept(coloured("YBR_FULL", None), tmp_path)
    else:
        one = opened(str(get_testdata_file(name)))
    (frame,) = encoded_frames(one, [1], syntax)
    native = dcmread(one.path)
    told = {"photometric_interpretation": "YBR_FULL", "number_of_frames": 1, "pixel_keyword": "PixelData"}
    options = {**as_pixel_options(native), **told, "planar_configuration": 0}
    found, _ = get_decoder(UID(syntax)).as_array(encapsulate([frame]), index=0, raw=True, **options)
    assert (found == pixel_array(native, raw=True)).all()


def enhanced() -> FileDataset:
    """Two frames: Hounsfield units by what they share, a window that is the second's own."""
    image = dcmread(str(get_testdata_file("CT_small.dcm")))
    for keyword in ("RescaleSlope", "RescaleIntercept", "RescaleType", "WindowCenter", "WindowWidth"):
        if keyword in image:
            del image[keyword]
    image.PixelData, image.NumberOfFrames = image.PixelData * 2, 2
    image.SharedFunctionalGroupsSequence, image.PerFrameFunctionalGroupsSequence = [Dataset()], [Dataset(), Dataset()]
    shared, (_, second) = image.SharedFunctionalGroupsSequence[0], image.PerFrameFunctionalGroupsSequence
    shared.PixelValueTransformationSequence = [transformation(1, -1024)]
    shared.FrameVOILUTSequence, second.FrameVOILUTSequence = [window(40, 400)], [window(300, 1500)]
    return image


def transformation(slope: int, intercept: int) -> Dataset:
    """An item of the Pixel Value Transformation macro."""
    item = Dataset()
    item.RescaleSlope, item.RescaleIntercept, item.RescaleType = slope, intercept, "HU"
    return item


def window(center: float, width: float) -> Dataset:
    """An item of the Frame VOI LUT macro."""
    item = Dataset()
    item.WindowCenter, item.WindowWidth = center, width
    return item


def windowed(values: np.ndarray[Any, Any], center: float, width: float) -> np.ndarray[Any, Any]:
    """As PS3.3 C.11.2.1.2.1 has it."""
    return np.asarray((((values - (center - 0.5)) / (width - 1) + 0.5) * 255).clip(0, 255).round())


def test_functional_groups(tmp_path: Path) -> None:
    """An enhanced image is shown by the rescaling and window of its frame, and windows that are asked for are of HU."""
    image = enhanced()
    one = kept(image, tmp_path)
    hounsfield = image.pixel_array[0].astype(float) - 1024
    for number, own in ((1, (40, 400)), (2, (300, 1500))):
        assert np.abs(shown(one, number) - windowed(hounsfield, *own)).max() <= 1
        asked = shown(one, number, window=(-600, 1200, "LINEAR"))
        assert np.abs(asked - windowed(hounsfield, -600, 1200)).max() <= 1
    assert "RescaleIntercept" not in one.header


def test_functional_groups_that_break_the_rules(tmp_path: Path) -> None:
    """Empty ones, and fewer than there are frames, hide nothing."""
    image = enhanced()
    image.SharedFunctionalGroupsSequence = []
    image.PerFrameFunctionalGroupsSequence = [Dataset()]
    image.PerFrameFunctionalGroupsSequence[0].FrameVOILUTSequence = []
    one = kept(image, tmp_path)
    assert shown(one, 1).max() == shown(one, 2).max() == 255


@pytest.mark.parametrize("name", ["liver_1frame.dcm", "liver_expb_1frame.dcm"])
def test_frames_of_single_bits(name: str) -> None:
    """Eight to a byte from either byte order."""
    one = opened(str(get_testdata_file(name)))
    (frame,) = decoded_frames(one, [1])
    assert len(frame) == one.header.Rows * one.header.Columns // 8
    assert np.array_equal(np.unpackbits(np.frombuffer(frame, "u1"), bitorder="little"), pixel_array(one.path).ravel())


def test_frames_that_begin_within_a_byte(tmp_path: Path) -> None:
    """Nine bits each; each is given from its first bit."""
    image = dcmread(str(get_testdata_file("liver_1frame.dcm")))
    image.Rows, image.Columns, image.NumberOfFrames = 3, 3, 2
    bits = [1, 0, 1, 0, 1, 0, 1, 0, 1, *(0, 1, 0, 1, 0, 1, 0, 1, 1)]
    image.PixelData = np.packbits(bits, bitorder="little").tobytes() + b"\0"
    assert decoded_frames(kept(image, tmp_path), [1, 2]) == [b"\x55\x01", b"\xaa\x01"]


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ((10.0, 20.0, 30.0, 40.0), np.s_[20:60, 10:40]),
        ((10.0, 20.0, None, None), np.s_[20:, 10:]),
        ((100.0, 0.0, 500.0, 5.0), np.s_[:5, 100:]),
        ((0.0, 0.0, -128.0, 128.0), np.s_[:, ::-1]),
        ((10.4, 9.6, 30.0, -40.0), np.s_[49:9:-1, 10:40]),
    ],
)
def test_regions(region: tuple[float, float, float | None, float | None], expected: Any) -> None:
    """A part of the frame in its own values, turned around where asked."""
    one = opened(str(get_testdata_file("CT_small.dcm")))
    assert np.array_equal(shown(one, region=region), shown(one)[expected])


def test_a_region_is_made_as_large_as_the_viewport() -> None:
    """It is cut out first; one that is not there is said to be missing."""
    one = opened(str(get_testdata_file("CT_small.dcm")))
    assert shown(one, region=(0.0, 0.0, 8.0, 4.0), viewport=(64, 64)).shape == (32, 64)
    with pytest.raises(NotFound):
        shown(one, region=(128.0, 0.0, 8.0, 8.0))


@pytest.mark.parametrize(
    ("function", "narrow"), [("LINEAR_EXACT", True), ("SIGMOID", True), ("LINEAR", False), (None, False)]
)
def test_narrow_windows_of_an_object(tmp_path: Path, function: str | None, *, narrow: bool) -> None:
    """Half a unit wide is a window where its function has a meaning there; else all values are shown."""
    image = dcmread(str(get_testdata_file("CT_small.dcm")))
    for gone in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation", "RescaleSlope", "RescaleIntercept"):
        del image[gone]
    values = np.linspace(0, 2, 128 * 128, dtype="<f4").reshape(128, 128)
    image.BitsAllocated, image.FloatPixelData = 32, values.tobytes()
    image.WindowCenter, image.WindowWidth = 1, 0.5
    if function is not None:
        image.VOILUTFunction = function
    picture = shown(kept(image, tmp_path))
    expected = {
        "LINEAR_EXACT": ((values - 0.75) / 0.5).clip(0, 1) * 255,
        "SIGMOID": 255 / (1 + np.exp(-4 * (values - 1) / 0.5)),
    }
    assert np.abs(picture - (expected[str(function)] if narrow else values / 2 * 255)).max() <= 1
