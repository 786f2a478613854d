"""Decoding and rendering of pixels: values as they are to be seen, as PNG or JPEG.

PS3.3 C.11 (modality, VOI and presentation transformations), PS3.18 8.3.5.1 (parameters of rendering).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.encoders.base import get_encoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import as_pixel_options, pixel_array
from pydicom.uid import UID

from hayat_fhir.dicom.object_file import ObjectFile, stored_frames
from hayat_fhir.dicom.transcoding import native
from hayat_fhir.errors import NotAcceptable, NotFound

_MOST_PIXELS = 64_000_000
"""Of one frame: beyond this a picture is of no use to anybody, and a danger."""
_MACROS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a frame is to be shown. ``window``: center, width and function; ``viewport``: the largest width and height.

    ``region``: left, top, width and height of what is shown of the frame, in its pixels; a width or height below
    zero turns it around, none reaches to the edge. ``annotation``: ``patient`` and ``technique``, which are written
    into the picture.
    """

    format: str = "JPEG"
    quality: int = 90
    window: tuple[float, float, str] | None = None
    viewport: tuple[int, int] | None = None
    region: tuple[float, float, float | None, float | None] | None = None
    annotation: tuple[str, ...] = ()


def pixel_value(one: ObjectFile) -> list[bytes]:
    """The pieces of all pixels as they stand in Explicit VR Little Endian (PS3.18 8.7.3).

    Raises:
        NotFound: There are fewer frames than the header says.
        NotAcceptable: They cannot be decoded.
    """
    if one.compressed:
        return decoded_frames(one, range(1, one.frames + 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return [native(one.path)[one.pixel_tag].value or b""]
        except MemoryError:
            raise
        except Exception as error:  # pydicom raises whatever a stranger's bytes make it
            raise NotAcceptable("the pixels cannot be read") from error


def decoded_frames(one: ObjectFile, numbers: Sequence[int]) -> list[bytes]:
    """These frames, counted from 1, as native little endian bytes; colours as RGB where they were compressed.

    Raises:
        NotFound: There is no such frame.
        NotAcceptable: They cannot be decoded.
    """
    if not one.compressed:
        try:
            return stored_frames(one, numbers)
        except NotAcceptable:
            pass
    return [_octets(one, _values(one, number, raw=not one.compressed)) for number in numbers]


def encoded_frames(one: ObjectFile, numbers: list[int], syntax: str) -> list[bytes]:
    """These frames, counted from 1, encoded without loss (``transcoding.LOSSLESS``); colours as RGB where compressed.

    Raises:
        NotFound: There is no such frame.
        NotAcceptable: They cannot be decoded, or not be encoded so.
    """
    given: dict[str, Any] = {"number_of_frames": 1, "planar_configuration": 0}
    if one.compressed and one.header.get("SamplesPerPixel") == 3:
        given["photometric_interpretation"] = "RGB"
    elif one.header.get("PhotometricInterpretation") == "YBR_FULL_422":
        given["photometric_interpretation"] = "YBR_FULL"
    found = []
    for number in numbers:
        values = _values(one, number, raw=not one.compressed)
        try:
            found.append(get_encoder(UID(syntax)).encode(values, **as_pixel_options(one.header, **given)))
        except MemoryError:
            raise
        except Exception as error:  # codecs raise whatever a stranger's bytes make them
            raise NotAcceptable("the frame cannot be encoded so") from error
    return found


def rendered(one: ObjectFile, number: int, how: Rendering) -> bytes:
    """A frame, counted from 1, as a picture.

    Raises:
        NotFound: There is no such frame, or no such region in it.
        NotAcceptable: It cannot be shown.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            shown = _shown(_of_frame(one.header, number), _values(one, number), how)
        except (ValueError, TypeError, AttributeError, KeyError, IndexError, NotImplementedError) as error:
            raise NotAcceptable("the pixels cannot be shown") from error
    picture = Image.fromarray(shown)
    if how.region is not None:
        picture = _cut(picture, *how.region)
    if how.viewport is not None:
        picture = _fitted(picture, how.viewport)
    if how.annotation:
        _write(picture, _texts(one.header, how.annotation))
    out = BytesIO()
    picture.save(out, how.format, **({"quality": how.quality} if how.format == "JPEG" else {}))
    return out.getvalue()


def _values(one: ObjectFile, number: int, *, raw: bool = False) -> Array:
    """A frame's values; YBR_FULL and YBR_FULL_422 as RGB unless ``raw``, where only the subsampling is undone."""
    if not 1 <= number <= one.frames:
        raise NotFound("there is no such frame")
    header = one.header
    if int(header.get("Rows") or 0) * int(header.get("Columns") or 0) > _MOST_PIXELS:
        raise NotAcceptable("the frame is too large to be decoded here")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pixel_array(one.path, index=number - 1, raw=raw)
    except MemoryError:
        raise
    except Exception as error:  # codecs raise whatever a stranger's bytes make them
        raise NotAcceptable("the pixels cannot be decoded") from error


def _octets(one: ObjectFile, values: Array) -> bytes:
    """Values as they stand in native pixel data: little endian, eight to a byte where one takes a bit."""
    if one.header.get("BitsAllocated") == 1:
        return np.packbits(values.reshape(-1), bitorder="little").tobytes()
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()


def _of_frame(header: Dataset, number: int) -> Dataset:
    """The header with what its functional groups say of this frame's values (PS3.3 C.7.6.16.2.9 and C.7.6.16.2.10)."""
    groups = [*(header.get("SharedFunctionalGroupsSequence") or [])[:1]]
    groups += [*(header.get("PerFrameFunctionalGroupsSequence") or [])[number - 1 : number]]
    items = [item for group in groups for macro in _MACROS for item in (group.get(macro) or [])[:1]]
    if not items:
        return header
    laid = Dataset()
    for one in (header, *items):
        laid.update(one)
    return laid


def _shown(header: Dataset, values: Array, how: Rendering) -> Array:
    """Eight bits a sample, as a person is to see them."""
    photometric = str(header.get("PhotometricInterpretation", "MONOCHROME2"))
    if photometric == "PALETTE COLOR":
        return _scaled(apply_color_lut(values, header))
    if values.ndim == 3:
        return _scaled(values)
    values = apply_modality_lut(values, header)
    window = how.window or _own_window(header)
    if window is not None:
        shown = _windowed(values.astype(np.float64), *window)
    elif "VOILUTSequence" in header:
        bits = int(header.VOILUTSequence[0].LUTDescriptor[2])
        shown = _between(apply_voi_lut(values, header).astype(np.float64), 0.0, float(2**bits - 1))
    else:
        shown = _between(values.astype(np.float64), float(values.min()), float(values.max()))
    inverted = photometric == "MONOCHROME1" or header.get("PresentationLUTShape") == "INVERSE"
    return 255 - shown if inverted else shown


def _own_window(header: Dataset) -> tuple[float, float, str] | None:
    """The first window that the object names, unless it has a table of values instead."""
    center, width = header.get("WindowCenter"), header.get("WindowWidth")
    if center is None or width is None or "VOILUTSequence" in header:
        return None
    first = [float(value[0] if isinstance(value, MultiValue) else value) for value in (center, width)]
    function = str(header.get("VOILUTFunction") or "LINEAR")
    return (first[0], first[1], function) if _is_wide_enough(first[1], function) else None


def _is_wide_enough(width: float, function: str) -> bool:
    """Whether a window may be so narrow (PS3.3 C.11.2.1.2.1, C.11.2.1.3)."""
    return width > 0 if function in {"LINEAR_EXACT", "SIGMOID"} else width >= 1


def _windowed(values: Array, center: float, width: float, function: str) -> Array:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function == "SIGMOID":
        return np.asarray(255 / (1 + np.exp(-4 * (values - center) / width))).round().astype(np.uint8)
    if function == "LINEAR_EXACT":
        return _between(values, center - width / 2, center + width / 2)
    return _between(values, center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2)


def _between(values: Array, low: float, high: float) -> Array:
    if high <= low:
        return np.where(values > low, 255, 0).astype(np.uint8)
    return np.asarray(((values - low) / (high - low) * 255).clip(0, 255)).round().astype(np.uint8)


def _scaled(values: Array) -> Array:
    if values.dtype == np.uint8:
        return values
    return _between(values.astype(np.float64), 0.0, float(np.iinfo(values.dtype).max))


def _cut(picture: Image.Image, left: float, top: float, width: float | None, height: float | None) -> Image.Image:
    """What of the region lies within the picture, to whole pixels (PS3.18 8.3.5.1.3)."""
    right = picture.width if width is None else abs(left) + abs(width)
    bottom = picture.height if height is None else abs(top) + abs(height)
    box = (round(abs(left)), round(abs(top)), min(round(right), picture.width), min(round(bottom), picture.height))
    if box[0] >= box[2] or box[1] >= box[3]:
        raise NotFound("there is no such region in the frame")
    picture = picture.crop(box)
    if width is not None and width < 0:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if height is not None and height < 0:
        picture = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return picture


def _fitted(picture: Image.Image, viewport: tuple[int, int]) -> Image.Image:
    """As large as the viewport allows, in its own proportions."""
    factor = min(viewport[0] / picture.width, viewport[1] / picture.height)
    size = (max(round(picture.width * factor), 1), max(round(picture.height * factor), 1))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _texts(header: Dataset, kinds: tuple[str, ...]) -> list[str]:
    """What says whose picture it is, and how it was made."""
    keywords = {
        "patient": ("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
        "technique": ("Modality", "StudyDate", "SeriesDescription", "BodyPartExamined", "KVP", "SliceThickness"),
    }
    found = [str(header.get(keyword, "") or "") for kind in kinds for keyword in keywords[kind]]
    return [text for text in found if text]


def _write(picture: Image.Image, texts: list[str]) -> None:
    draw = ImageDraw.Draw(picture)
    for line, text in enumerate(texts):
        white, black = (255, 0) if picture.mode == "L" else ((255,) * 3, (0,) * 3)
        draw.text((6, 6 + 14 * line), text, fill=white, stroke_width=1, stroke_fill=black)
