"""Encapsulated documents: PDF, CDA and others within a DICOM object. PS3.3 A.45, C.24.2."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread

from hayat_fhir.dicom.character_sets import LATIN_1, declare
from hayat_fhir.dicom.header import by_keyword
from hayat_fhir.errors import InvalidRequest

MEDIA = {
    "1.2.840.10008.5.1.4.1.1.104.1": "application/pdf",
    "1.2.840.10008.5.1.4.1.1.104.2": "application/xml",
    "1.2.840.10008.5.1.4.1.1.104.3": "model/stl",
    "1.2.840.10008.5.1.4.1.1.104.4": "model/obj",
    "1.2.840.10008.5.1.4.1.1.104.5": "model/mtl",
}
"""The media type of the document by SOP class: what the object itself says of it is not served to anybody."""
LARGEST = 8 * 2**20
"""Bytes of the largest document that is kept as a resource as well."""


@dataclass(frozen=True, slots=True)
class EncapsulatedDocument:
    """A document: the ``header`` by keyword; ``content`` is None where it is too large to be read here."""

    header: dict[str, Any]
    content: bytes | None


def read_document(path: Path, character_set: str = LATIN_1) -> EncapsulatedDocument:
    """The document in a file. ``character_set``: what text is taken to be in that declares none and is not UTF-8.

    Raises:
        InvalidRequest: It cannot be read.
    """
    large = path.stat().st_size > LARGEST
    keywords = ["SpecificCharacterSet", "DocumentTitle", "ConceptNameCodeSequence"]
    more = [] if large else ["EncapsulatedDocument", "EncapsulatedDocumentLength"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            document = dcmread(path, specific_tags=[*keywords, *more])
            declare(document, character_set)
            content = document.get("EncapsulatedDocument")
            length = document.get("EncapsulatedDocumentLength")
            for keyword in more:
                if keyword in document:
                    del document[keyword]
            header = by_keyword(document.to_json_dict(suppress_invalid_tags=True))
    except Exception as error:  # pydicom raises whatever a stranger's bytes make it
        raise InvalidRequest("the document cannot be read", code="structure") from error
    if isinstance(content, bytes) and isinstance(length, int) and 0 < length <= len(content):
        content = content[:length]
    return EncapsulatedDocument(header, content if isinstance(content, bytes) else None)
