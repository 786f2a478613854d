"""Identifiers of queries and retrievals: from a peer's data set to a query, and from matches to data sets.

PS3.4 C.4.1.1.3, https://dicom.nema.org/medical/dicom/current/output/html/part04.html#sect_C.4.1.1.3
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from hayat_fhir.dicom.information_model import COUNTED, MATCHED, MATCHED_WITHIN, Level, Query, query
from hayat_fhir.dicom.tags import tag_of
from hayat_fhir.errors import InvalidRequest, Refusal

_LEVEL = "QueryRetrieveLevel"
_CHARSET = "SpecificCharacterSet"
_OF_THE_MESSAGE = frozenset({_LEVEL, _CHARSET, "RetrieveAETitle", "InstanceAvailability", "TimezoneOffsetFromUTC"})
_UTF_8 = "ISO_IR 192"
_MOST_KEYS = 512
_LONGEST_COMMENT = 64


def received(read: Callable[[], Dataset], top: Level) -> tuple[Query, Dataset]:
    """The query that ``read`` decodes, in the information model that begins at this level, and its data set.

    Raises:
        InvalidRequest: It cannot be read, or is no query of this model.
        TooLarge: A key has too many values.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            identifier = read()
            identifier.decode()
            elements = _elements(identifier)
            level = str(identifier.get(_LEVEL, "") or "").strip()
    except Exception as error:  # pydicom raises whatever a stranger's bytes make it
        raise InvalidRequest("the identifier cannot be read", code="structure") from error
    if len(elements) > _MOST_KEYS:
        raise InvalidRequest("the identifier has too many keys", code="too-long")
    keys = {keyword: element for keyword, element in elements.items() if keyword not in _OF_THE_MESSAGE}
    return query(level, keys, top), identifier


def _elements(dataset: Dataset) -> dict[str, tuple[str, str, Any]]:
    """The elements by keyword; of a sequence, those of its one item."""
    found: dict[str, tuple[str, str, Any]] = {}
    for element in dataset:
        if element.keyword:
            value = _elements(_item(element)) if element.VR == "SQ" else element.value
            found[str(element.keyword)] = (f"{element.tag:08X}", str(element.VR), value)
    return found


def _item(element: DataElement) -> Dataset:
    """The one item of a sequence in an identifier; an empty one where there is none."""
    return next(iter(element.value or ()), Dataset())


def is_understood(asked: Query, identifier: Dataset) -> bool:
    """Whether every key with a value selects at this level."""
    for keyword, key in asked.keys.items():
        known = (keyword in MATCHED or keyword in COUNTED) and key.level <= asked.level
        if not known and not _is_universal(identifier[keyword], MATCHED_WITHIN.get(keyword, frozenset())):
            return False
    return True


def _is_universal(element: DataElement, matched: frozenset[str] = frozenset()) -> bool:
    """Whether nothing is to be matched by a key, but for what of a sequence is."""
    if element.VR != "SQ":
        return not element.value
    return all(part.keyword in matched or _is_universal(part) for part in _item(element))


def answer(asked: Query, found: Mapping[str, Any], identifier: Dataset, ae_title: str) -> Dataset:
    """The data set of one match: what was asked for, empty where it is not known, in a charset that can say it.

    ``found`` are the attributes of the match as DICOM JSON; ``ae_title`` is where it is retrieved.
    """
    told = {key.tag for key in asked.keys.values() if key.level <= asked.level or key.tag in found}
    shown = {tag: element for tag, element in asked_for(found, identifier).items() if tag in told}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = Dataset.from_json(dict(sorted(shown.items())))
        setattr(dataset, _LEVEL, asked.level.name)
        dataset.RetrieveAETitle = ae_title
        dataset.InstanceAvailability = "ONLINE"
        return with_charset(dataset, shown, identifier)


def asked_for(found: Mapping[str, Any], asked: Dataset) -> dict[str, Any]:
    """What of these attributes (DICOM JSON) an identifier asks for; also within sequences, of which it names a part."""
    shown: dict[str, Any] = {}
    for element in asked:
        if element.keyword in {"", _CHARSET}:
            continue
        tag = f"{element.tag:08X}"
        known = found.get(tag, {"vr": str(element.VR)})
        if element.VR == "SQ" and len(_item(element)) and known.get("Value"):
            known = {"vr": "SQ", "Value": [asked_for(one, _item(element)) for one in known["Value"]]}
        shown[tag] = known
    return shown


def with_charset(dataset: Dataset, said: Mapping[str, Any], identifier: Dataset) -> Dataset:
    """The data set, in a charset that can say what it says: that of the query, if possible."""
    charset = _charset(list(_texts(said)), identifier)
    if charset:
        dataset.SpecificCharacterSet = charset
    return dataset


def status(code: int, refusal: Refusal | None = None) -> Dataset:
    """The status of an answer, with what is wrong and where."""
    found = Dataset()
    found.Status = code
    if refusal is not None:
        found.ErrorComment = refusal.issues[0].diagnostics[:_LONGEST_COMMENT]
        offending = [tag_of(keyword) for keyword in refusal.issues[0].expression if keyword in _TAGGED]
        if offending:
            found.OffendingElement = [int(tag, 16) for tag in offending]
    return found


_TAGGED = MATCHED | {_LEVEL}


def _charset(texts: Sequence[str], identifier: Dataset) -> list[str] | str | None:
    """The charset of the query where all texts can be said in it, else UTF-8; None where ASCII does."""
    if all(text.isascii() for text in texts):
        return None
    asked = identifier.get(_CHARSET)
    terms = [asked] if isinstance(asked, str) else [str(term) for term in asked or ()]
    try:
        encodings = convert_encodings(list(terms)) if terms else []
    except (LookupError, ValueError):
        encodings = []
    for text in texts:
        if not any(_can_say(encoding, text) for encoding in encodings):
            return _UTF_8
    return terms


def _can_say(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif hasattr(value, "__iter__"):
        for part in value:
            yield from _texts(part)
