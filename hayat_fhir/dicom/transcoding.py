"""Whole objects in another transfer syntax: native and little endian, or encoded without loss.

PS3.5 7.3 and annex A, https://dicom.nema.org/medical/dicom/current/output/html/part05.html#chapter_A
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from io import BytesIO

from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from hayat_fhir.dicom.object_file import ObjectFile, frame_length
from hayat_fhir.errors import NotAcceptable

LOSSLESS = (JPEGLSLossless, JPEG2000Lossless, RLELossless)
"""Transfer syntaxes into which objects are encoded without loss."""
_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
"""Bytes of the words of these VRs (PS3.5 6.2)."""
_UNSUITABLE = (NotAcceptable, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError)
"""What encoders raise of values that they do not take."""


def native(path: str) -> FileDataset:
    """The object in a file, as it is in Explicit VR Little Endian, whatever the file is encoded in.

    Raises:
        Exception: What pydicom and its codecs make of a stranger's bytes.
    """
    whole = dcmread(path)
    syntax = whole.file_meta.TransferSyntaxUID
    if syntax.is_compressed:
        whole.decompress(generate_instance_uid=False)
    elif not syntax.is_little_endian:
        if "PixelData" in whole and whole.get("BitsAllocated", 16) > 16:
            raise ValueError("what the order of its words is, is not said")
        whole.walk(_turn)
        whole.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    whole.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return whole


def transcoded(one: ObjectFile, syntax: str = ExplicitVRLittleEndian) -> tuple[bytes, str]:
    """The whole object as a file (PS3.10), in one of ``LOSSLESS`` or Explicit VR Little Endian; and in which it is.

    What has no pixels, or none that can be encoded so, is in Explicit VR Little Endian: PS3.18 8.7.3 subjects only
    images to the transfer syntaxes of images.

    Raises:
        NotAcceptable: Its pixels cannot be decoded.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            whole = native(one.path)
            if syntax in LOSSLESS and "PixelData" in whole:
                _compress(whole, syntax)
            out = BytesIO()
            whole.save_as(out, implicit_vr=False, little_endian=True, enforce_file_format=True)
        except MemoryError:
            raise
        except Exception as error:  # codecs raise whatever a stranger's bytes make them
            raise NotAcceptable("the object cannot be transcoded") from error
    return out.getvalue(), str(whole.file_meta.TransferSyntaxUID)


def _compress(whole: FileDataset, syntax: str) -> None:
    """Encode the pixels, where the codec takes such values; it changes nothing before all frames are encoded.

    The encoders of RLE take a sample's plane for pixels; the faster one ends the process at a frame of odd length.
    """
    with suppress(*_UNSUITABLE):
        odd = frame_length(whole) % 2 != 0
        if whole.get("PlanarConfiguration") == 1:
            values = pixel_array(whole, raw=True).tobytes()
            whole.PixelData, whole.PlanarConfiguration = values + b"\0" * (len(values) % 2), 0
        plugin = "pydicom" if odd and syntax == RLELossless else ""
        whole.compress(UID(syntax), encoding_plugin=plugin, generate_instance_uid=False)


def _turn(_: Dataset, element: DataElement) -> None:
    """Turn the bytes of binary words around: pydicom keeps them in the order of the file (PS3.5 7.3)."""
    width, value = _WORDS.get(element.VR), element.value
    if width is not None and isinstance(value, bytes):
        turned, end = bytearray(value), len(value) // width * width
        for place in range(width):
            turned[place:end:width] = value[width - 1 - place : end : width]
        element.value = bytes(turned)
