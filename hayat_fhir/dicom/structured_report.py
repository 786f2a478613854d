"""Structured Reports: what stands in the tree of content items, as text for people and as measurements.

PS3.3 A.35 and C.17.3, PS3.16 TID 1500 (measurement report) and TID 300 (measurement).
https://dicom.nema.org/medical/dicom/current/output/html/part16.html#sect_TID_1500
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from hayat_fhir.dicom.character_sets import declare
from hayat_fhir.dicom.header import by_keyword
from hayat_fhir.errors import InvalidRequest

PREFIX = "1.2.840.10008.5.1.4.1.1.88."
"""What the UIDs of the SOP classes of structured reports begin with; key object selections are among them."""
_LARGEST = 64 * 2**20
_DEEPEST = 32
_MOST_ITEMS = 20_000
_MOST_TEXT = 200_000
_GROUP = "125007"
_SITES = frozenset({"363698007", "G-C0E3"})
_METHODS = frozenset({"370129005", "G-C036"})
_TRACKING, _TRACKING_UID = "112039", "112040"
_HEADER = (
    "VerificationFlag",
    "PreliminaryFlag",
    "CompletionFlag",
    "ContentDate",
    "ContentTime",
    "TimezoneOffsetFromUTC",
    "ConceptNameCodeSequence",
    "VerifyingObserverSequence",
)
Source = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """A measurement or coded evaluation: its ``source`` for the mapping, and what of it lies below."""

    path: str
    source: Source
    tracking: tuple[str, ...] = ()
    members: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A report: the ``header`` by keyword, its ``text`` as an outline, its ``findings``."""

    header: Source
    text: str
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class _Budget:
    """How many more content items are looked at."""

    items: int = _MOST_ITEMS
    lines: list[str] = field(default_factory=list)

    def spend(self, depth: int) -> None:
        self.items -= 1
        if self.items < 0 or depth > _DEEPEST:
            raise InvalidRequest("the report has too many content items, or too deep ones", code="too-long")


def read_report(path: Path) -> Report:
    """The report in a file.

    Raises:
        InvalidRequest: It cannot be read, or is too large.
    """
    if path.stat().st_size > _LARGEST:
        raise InvalidRequest("the report is too large", code="too-long")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            document = dcmread(path)
            declare(document)
            head = Dataset()
            for keyword in _HEADER:
                if keyword in document:
                    head[keyword] = document[keyword]
            header = by_keyword(head.to_json_dict(suppress_invalid_tags=True))
            budget = _Budget()
            _outline(document, 0, budget)
            findings = tuple(_findings(document, "1", 0, _Budget()))
    except InvalidRequest:
        raise
    except Exception as error:  # pydicom raises whatever a stranger's bytes make it
        raise InvalidRequest("the report cannot be read", code="structure") from error
    return Report(header, "\n".join(budget.lines)[:_MOST_TEXT], findings)


def _outline(item: Dataset, depth: int, budget: _Budget) -> None:
    """One line for each content item, indented by its depth."""
    budget.spend(depth)
    name, value = _meaning(item.get("ConceptNameCodeSequence")), _text(item)
    line = f"{name}: {value}" if name and value else name or value
    if line:
        budget.lines.append("  " * depth + line)
    for child in item.get("ContentSequence") or ():
        _outline(child, depth + 1, budget)


def _text(item: Dataset) -> str:
    match str(item.get("ValueType", "")):
        case "TEXT":
            return " ".join(str(item.get("TextValue", "")).split())
        case "CODE":
            return _meaning(item.get("ConceptCodeSequence"))
        case "NUM":
            measured = next(iter(item.get("MeasuredValueSequence") or ()), Dataset())
            unit = next(iter(measured.get("MeasurementUnitsCodeSequence") or ()), Dataset())
            return f"{measured.get('NumericValue', '')} {unit.get('CodeValue', '')}".strip()
        case "PNAME":
            return str(item.get("PersonName", ""))
        case "DATE" | "TIME" | "DATETIME" as kind:
            return str(item.get({"DATE": "Date", "TIME": "Time"}.get(kind, "DateTime"), ""))
        case "UIDREF":
            return str(item.get("UID", ""))
        case _:
            return ""


def _findings(item: Dataset, path: str, depth: int, budget: _Budget) -> Iterator[Finding]:
    """The measurements below an item; those of a measurement group are its members."""
    for number, child in enumerate(item.get("ContentSequence") or (), 1):
        budget.spend(depth)
        place = f"{path}.{number}"
        kind, code = str(child.get("ValueType", "")), _code(child.get("ConceptNameCodeSequence"))
        if kind == "CONTAINER" and code == _GROUP:
            members = tuple(_findings(child, place, depth + 1, budget)) + tuple(_evaluations(child, place))
            about = _about(child)
            if members:
                yield Finding(
                    place, {"Concept": _item(child, "ConceptNameCodeSequence"), **about}, _tracking(child), members
                )
        elif kind == "NUM":
            finding = _measurement(child, item, place)
            if finding is not None:
                yield finding
        else:
            yield from _findings(child, place, depth + 1, budget)


def _measurement(item: Dataset, parent: Dataset, place: str) -> Finding | None:
    """A measurement; what its group says of site and method holds for it too."""
    measured = next(iter(item.get("MeasuredValueSequence") or ()), None)
    if measured is None:
        return None
    source = {
        "Concept": _item(item, "ConceptNameCodeSequence"),
        "Number": [str(measured.get("NumericValue", ""))],
        "Units": _item(measured, "MeasurementUnitsCodeSequence"),
    }
    return Finding(place, {**source, **_about(parent), **_about(item)})


def _evaluations(group: Dataset, place: str) -> Iterator[Finding]:
    """The coded evaluations of a measurement group."""
    for number, child in enumerate(group.get("ContentSequence") or (), 1):
        code = _code(child.get("ConceptNameCodeSequence"))
        coded = str(child.get("ValueType", "")) == "CODE" and str(child.get("RelationshipType", "")) == "CONTAINS"
        if coded and code not in _SITES | _METHODS:
            names = {"Concept": "ConceptNameCodeSequence", "Code": "ConceptCodeSequence"}
            yield Finding(f"{place}.{number}", {key: _item(child, name) for key, name in names.items()})


def _about(item: Dataset) -> Source:
    """The finding site and method that stand directly below an item."""
    found: Source = {}
    for child in item.get("ContentSequence") or ():
        code = _code(child.get("ConceptNameCodeSequence"))
        if code in _SITES:
            found["FindingSite"] = _item(child, "ConceptCodeSequence")
        elif code in _METHODS:
            found["Method"] = _item(child, "ConceptCodeSequence")
    return found


def _tracking(group: Dataset) -> tuple[str, ...]:
    """The tracking identifiers of a measurement group; the unique one as ``urn:oid:``."""
    found = []
    for child in group.get("ContentSequence") or ():
        code = _code(child.get("ConceptNameCodeSequence"))
        if code == _TRACKING_UID and child.get("UID"):
            found.append(f"urn:oid:{child.UID}")
        elif code == _TRACKING and child.get("TextValue"):
            found.append(str(child.TextValue))
    return tuple(found)


def _item(dataset: Dataset, keyword: str) -> list[Source]:
    """A code sequence by keyword, as the mapping takes it."""
    if keyword not in dataset:
        return []
    holder = Dataset()
    holder[keyword] = dataset[keyword]
    found: list[Source] = by_keyword(holder.to_json_dict(suppress_invalid_tags=True)).get(keyword, [])
    return found


def _code(sequence: Any) -> str:  # noqa: ANN401 - a pydicom sequence, or nothing
    return str(next(iter(sequence or ()), Dataset()).get("CodeValue", ""))


def _meaning(sequence: Any) -> str:  # noqa: ANN401 - a pydicom sequence, or nothing
    return " ".join(str(next(iter(sequence or ()), Dataset()).get("CodeMeaning", "")).split())
