"""The header of a data set that is not plain to see (``plain_header``), as pydicom reads it: whatever a stranger sent.

PS3.5 7 (encoding), PS3.18 annex F (the DICOM JSON model).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from mmap import mmap
from typing import Any, BinaryIO, cast

from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from hayat_fhir.dicom.character_sets import declare
from hayat_fhir.errors import InvalidRequest

# pydicom would warn of values that break their VR's rules; what matters of them is checked here, and data from
# other hospitals is kept as it is.
config.settings.reading_validation_mode = config.IGNORE

_LONGEST_ELEMENT = 16 * 1024
"""Characters of the largest element that is told of."""
_LARGEST_NUMBER = 2**63
"""What the database's integers stay below."""


def read_unusual(
    file: BinaryIO | mmap,
    keywords: Sequence[str],
    once: Sequence[str],
    encoding: tuple[bool, bool],
    character_set: str,
) -> tuple[dict[str, str], dict[str, Any]]:
    """Of a file, the values of the elements that have one at most, by keyword, and the DICOM JSON of all of them.

    ``encoding`` is what the data set must be in: whether its VRs are implicit, and whether it is little endian.
    ``character_set`` is what text is taken to be in that declares none and is not UTF-8.

    Raises:
        InvalidRequest: It cannot be read; no value is repeated.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = _read(file, keywords)
        if dataset.original_encoding != encoding:
            raise InvalidRequest("the data set is not in the transfer syntax that was agreed on", code="structure")
        try:
            declare(dataset, character_set)
            values = {keyword: str(dataset.get(keyword, "") or "").strip() for keyword in once}
            return values, _attributes(dataset)
        except Exception as error:  # pydicom raises whatever a stranger's bytes make it
            raise InvalidRequest("the data set's attributes cannot be read", code="structure") from error


def _read(file: BinaryIO | mmap, keywords: Sequence[str]) -> Dataset:
    try:
        return dcmread(cast("BinaryIO", file), stop_before_pixels=True, specific_tags=list(keywords))
    except Exception as error:  # pydicom raises whatever a stranger's bytes make it
        raise InvalidRequest("the data set cannot be read", code="structure") from error


def _attributes(dataset: Dataset) -> dict[str, Any]:
    """The DICOM JSON model of a data set; what of it cannot be read or stored is left out: the file still has it."""
    for tag in list(dataset.keys()):
        if not _is_readable(dataset, tag):
            del dataset[tag]
    dataset.decode()
    found: dict[str, Any] = dataset.to_json_dict(suppress_invalid_tags=True)
    return {tag: element for tag, element in found.items() if len(str(element)) <= _LONGEST_ELEMENT and _fits(element)}


def _is_readable(dataset: Dataset, tag: BaseTag) -> bool:
    try:
        element = dataset[tag]
        for item in element.value if element.VR == "SQ" else ():
            item.decode()
    except Exception:  # noqa: BLE001 - pydicom raises whatever a stranger's bytes make it
        return False
    return True


def _fits(json: Any) -> bool:  # noqa: ANN401 - of any shape
    """Whether each number is one that the database can hold."""
    if isinstance(json, dict):
        return all(map(_fits, json.values()))
    if isinstance(json, list):
        return all(map(_fits, json))
    return not isinstance(json, int) or -_LARGEST_NUMBER <= json < _LARGEST_NUMBER
