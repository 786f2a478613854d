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

from hayat_fhir.dicom.character_sets import LATIN_1, declare
from hayat_fhir.dicom.header import by_keyword
from hayat_fhir.errors import InvalidRequest

PREFIX = "1.2.840.10008.5.1.4.1.1.88."
"""What the UIDs of the SOP classes of structured reports begin with; key object selections are among them."""
_LARGEST = 64 * 2**20
_DEEPEST = 32
_MOST_ITEMS = 20_000
_MOST_TEXT = 200_000
_GROUPS = frozenset({"113502", "113702", "113706", "113811", "113819", "125007"})
"""Containers whose measurements belong together: measurement groups, and of dose reports (TID 10001, 10011) the
accumulated values and the events."""
_SITES = frozenset({"363698007", "G-C0E3"})
_METHODS = frozenset({"370129005", "G-C036"})
_TRACKING, _TRACKING_UIDS = "112039", frozenset({"112040", "113769"})
_FINDING, _CATEGORIES = "121071", frozenset({"276214006", "G-C0E0"})
_ALGORITHM_NAME, _ALGORITHM_VERSION = "111001", "111003"
_MOST_IMAGES = 100
_HEADER = (
    "VerificationFlag",
    "PreliminaryFlag",
    "CompletionFlag",
    "ContentDate",
    "ContentTime",
    "TimezoneOffsetFromUTC",
    "ObservationDateTime",
    "ConceptNameCodeSequence",
    "VerifyingObserverSequence",
    "AuthorObserverSequence",
    "ParticipantSequence",
    "ReferencedRequestSequence",
)
Source = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """A measurement or coded evaluation: its ``source`` for the mapping, and what of it lies below.

    ``images``: the UIDs of those that it was made on, each with its frames; ``algorithm``: what made it.
    """

    path: str
    source: Source
    tracking: tuple[str, ...] = ()
    members: tuple[Finding, ...] = ()
    images: tuple[tuple[str, tuple[int, ...]], ...] = ()
    algorithm: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A report: the ``header`` by keyword, its ``text`` as an outline, its ``findings``.

    ``predecessors``: the UIDs of the reports that it replaces.
    """

    header: Source
    text: str
    findings: tuple[Finding, ...] = ()
    predecessors: tuple[str, ...] = ()


@dataclass(slots=True)
class _Budget:
    """How many more content items are looked at."""

    items: int = _MOST_ITEMS
    lines: list[str] = field(default_factory=list)

    def spend(self, depth: int) -> None:
        self.items -= 1
        if self.items < 0 or depth > _DEEPEST:
            raise InvalidRequest("the report has too many content items, or too deep ones", code="too-long")


def read_report(path: Path, character_set: str = LATIN_1) -> Report:
    """The report in a file. ``character_set``: what text is taken to be in that declares none and is not UTF-8.

    Raises:
        InvalidRequest: It cannot be read, or is too large.
    """
    if path.stat().st_size > _LARGEST:
        raise InvalidRequest("the report is too large", code="too-long")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            document = dcmread(path)
            declare(document, character_set)
            document.decode()
            head = Dataset()
            for keyword in _HEADER:
                if keyword in document:
                    head[keyword] = document[keyword]
            header = by_keyword(head.to_json_dict(suppress_invalid_tags=True))
            budget = _Budget()
            _outline(document, 0, budget)
            findings = tuple(_findings(document, "1", 0, _Budget()))
            predecessors = tuple(_predecessors(document))
    except InvalidRequest:
        raise
    except Exception as error:  # pydicom raises whatever a stranger's bytes make it
        raise InvalidRequest("the report cannot be read", code="structure") from error
    return Report(header, "\n".join(budget.lines)[:_MOST_TEXT], findings, predecessors)


def _predecessors(document: Dataset) -> Iterator[str]:
    for study in document.get("PredecessorDocumentsSequence") or ():
        for series in study.get("ReferencedSeriesSequence") or ():
            for one in series.get("ReferencedSOPSequence") or ():
                yield str(one.get("ReferencedSOPInstanceUID", "")).strip()


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
        if kind == "CONTAINER" and code in _GROUPS:
            members = tuple(_findings(child, place, depth + 1, budget)) + tuple(_evaluations(child, place))
            source = {"Concept": _item(child, "ConceptNameCodeSequence"), **_about(child)}
            if members:
                yield Finding(place, source, _tracking(child), members, _images(child), _algorithm(child))
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
    images = _images(item) or _images(parent)
    algorithm = _algorithm(item) or _algorithm(parent)
    return Finding(place, {**source, **_about(parent), **_about(item)}, images=images, algorithm=algorithm)


def _evaluations(group: Dataset, place: str) -> Iterator[Finding]:
    """The coded evaluations of a measurement group; the category of a finding is what its finding is an answer to."""
    evaluations = [
        (number, child, _code(child.get("ConceptNameCodeSequence")))
        for number, child in enumerate(group.get("ContentSequence") or (), 1)
        if str(child.get("ValueType", "")) == "CODE" and str(child.get("RelationshipType", "")) == "CONTAINS"
    ]
    category = next((_item(child, "ConceptCodeSequence") for _, child, code in evaluations if code in _CATEGORIES), [])
    has_finding = any(code == _FINDING for _, _, code in evaluations)
    for number, child, code in evaluations:
        if code in _SITES | _METHODS or (code in _CATEGORIES and has_finding):
            continue
        concept = category if code == _FINDING and category else _item(child, "ConceptNameCodeSequence")
        source = {"Concept": concept, "Code": _item(child, "ConceptCodeSequence")}
        yield Finding(f"{place}.{number}", source, images=_images(group), algorithm=_algorithm(group))


def _images(item: Dataset) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The images to which an item refers, itself or through the regions that it contains."""
    found: dict[str, tuple[int, ...]] = {}
    for child in item.get("ContentSequence") or ():
        kind = str(child.get("ValueType", ""))
        if kind == "IMAGE":
            for one in child.get("ReferencedSOPSequence") or ():
                frames = one.get("ReferencedFrameNumber")
                numbers = [] if frames is None else [frames] if isinstance(frames, int) else list(frames)
                found[str(one.get("ReferencedSOPInstanceUID", "")).strip()] = tuple(int(n) for n in numbers)
        elif kind in {"SCOORD", "SCOORD3D"}:
            found |= dict(_images(child))
    return tuple(list(found.items())[:_MOST_IMAGES])


def _algorithm(item: Dataset) -> str:
    """The algorithm that made what an item says (PS3.16 TID 4019): name and version."""
    said = {
        _code(child.get("ConceptNameCodeSequence")): " ".join(str(child.get("TextValue", "")).split())
        for child in item.get("ContentSequence") or ()
        if str(child.get("ValueType", "")) == "TEXT"
    }
    if not said.get(_ALGORITHM_NAME):
        return ""
    return f"{said[_ALGORITHM_NAME]} {said.get(_ALGORITHM_VERSION, '')}".strip()


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
        if code in _TRACKING_UIDS and child.get("UID"):
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
