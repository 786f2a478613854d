"""The header of an object in the DICOM JSON model, its larger values by reference. Pure.

PS3.18 annex F, https://dicom.nema.org/medical/dicom/current/output/html/part18.html#chapter_F
"""

from __future__ import annotations

import warnings
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from hayat_fhir.dicom.object_file import ObjectFile
from hayat_fhir.errors import NotFound

_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_INLINE = 1024
"""Bytes of the largest binary value that stands in the JSON itself."""
_DEEPEST = 16
_PIXEL_DATA = "7FE00010"


def metadata(one: ObjectFile) -> dict[str, Any]:
    """The attributes of an object. ``BulkDataURI`` is relative to the instance's URI."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = _attributes(one.header, "bulkdata/", 0)
    found["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    found["00083002"] = {"vr": "UI", "Value": [one.transfer_syntax]}
    if one.pixels is not None:
        tag = f"{one.pixel_tag:08X}"
        found[tag] = {"vr": one.pixel_vr, "BulkDataURI": f"bulkdata/{tag}"}
    return dict(sorted(found.items()))


def is_pixels(one: ObjectFile, path: str) -> bool:
    """Whether this is the place of the pixels; that of Pixel Data is, whatever element it is that the object has."""
    return one.pixels is not None and path in {_PIXEL_DATA, f"{one.pixel_tag:08X}"}


def bulk_value(one: ObjectFile, path: str) -> bytes:
    """The value at ``tag`` or ``tag/item/tag``, as it stands in the file.

    Raises:
        NotFound: There is no such binary value.
    """
    node: Dataset = one.header
    *outer, last = path.split("/")
    try:
        for tag, number in zip(outer[::2], outer[1::2], strict=True):
            node = node[Tag(int(tag, 16))].value[int(number)]
        element = node[Tag(int(last, 16))]
    except (KeyError, ValueError, IndexError, TypeError, OverflowError) as error:
        raise NotFound("there is no such bulk data") from error
    if element.VR not in _BINARY or not isinstance(element.value, bytes):
        raise NotFound("there is no such bulk data")
    return element.value


def _attributes(dataset: Dataset, path: str, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for element in dataset:
        tag = f"{element.tag:08X}"
        if element.tag.element == 0 or element.tag.group == 2:
            continue
        if element.VR == "SQ":
            items = element.value if depth < _DEEPEST else ()
            found[tag] = {
                "vr": "SQ",
                "Value": [
                    _attributes(item, f"{path}{tag}/{number}/", depth + 1) for number, item in enumerate(items or ())
                ],
            }
        elif element.VR in _BINARY and isinstance(element.value, bytes) and len(element.value) > _INLINE:
            found[tag] = {"vr": element.VR, "BulkDataURI": f"{path}{tag}"}
        else:
            found[tag] = _plain(element)
    return found


def _plain(element: DataElement) -> dict[str, Any]:
    """One value; what breaks the rules of its VR is left out, for the file still has it."""
    try:
        return element.to_json_dict(None, _INLINE)
    except (TypeError, ValueError, OverflowError, AttributeError):
        return {"vr": str(element.VR)}
