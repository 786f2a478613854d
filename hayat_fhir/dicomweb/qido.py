"""QIDO-RS: studies, series and instances that meet a query and may be seen by whoever asks.

PS3.18 10.6, https://dicom.nema.org/medical/dicom/current/output/html/part18.html#sect_10.6
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hayat_fhir.dicom.header import is_uid
from hayat_fhir.dicom.information_model import (
    LEVEL_OF,
    MATCHED,
    MATCHED_WITHIN,
    UNIQUE,
    Level,
    Query,
    fuzzily,
    query,
)
from hayat_fhir.dicom.matching import Empty, EveryOf
from hayat_fhir.dicom.tags import has_several_values, keyword_of, tag_of, vr_of
from hayat_fhir.dicomweb import media_types
from hayat_fhir.dicomweb.callers import Callers
from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.json import serialize
from hayat_fhir.services.imaging_query import ImagingQuery

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_MOST, _DEFAULT, _FARTHEST = 1000, 100, 100_000
_LONGEST = 1024
_FUZZY, _EMPTY, _MULTIPLE = "fuzzymatching", "emptyvaluematching", "multiplevaluematching"
_NO_KEYS = frozenset({"limit", "offset", "accept", "charset", _FUZZY, _EMPTY, _MULTIPLE})
"""Parameters that name no attribute (PS3.18 8.3.3 and 8.3.4)."""
_MORE = '299 {}: "There are additional results that can be requested"'
_STUDY = """StudyDate StudyTime AccessionNumber ModalitiesInStudy ReferringPhysicianName TimezoneOffsetFromUTC
PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID StudyID StudyDescription IssuerOfPatientID
NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances"""
_SERIES = """Modality TimezoneOffsetFromUTC SeriesDescription SeriesInstanceUID SeriesNumber BodyPartExamined
NumberOfSeriesRelatedInstances PerformedProcedureStepStartDate PerformedProcedureStepStartTime RequestAttributesSequence
StudyInstanceUID"""
_IMAGE = """SOPClassUID SOPInstanceUID InstanceNumber NumberOfFrames TimezoneOffsetFromUTC Rows Columns BitsAllocated
AvailableTransferSyntaxUID StudyInstanceUID SeriesInstanceUID Modality"""
_ALWAYS: Mapping[Level, frozenset[str]] = MappingProxyType(
    {
        level: frozenset(text.split())
        for level, text in ((Level.STUDY, _STUDY), (Level.SERIES, _SERIES), (Level.IMAGE, _IMAGE))
    }
)
"""What is always told (PS3.18 tables 10.6.3-3 to 10.6.3-5)."""


class Qido:
    """Answers queries. ``root`` is the door's URL."""

    def __init__(self, callers: Callers, queries: ImagingQuery, root: str) -> None:
        self._callers = callers
        self._queries = queries
        self._root = root

    async def studies(self, request: Request) -> Response:
        """GET /studies."""
        return await self._answer(request, Level.STUDY)

    async def series(self, request: Request) -> Response:
        """GET /series and /studies/{study}/series."""
        return await self._answer(request, Level.SERIES)

    async def instances(self, request: Request) -> Response:
        """GET /instances, and below a study or a series."""
        return await self._answer(request, Level.IMAGE)

    async def _answer(self, request: Request, level: Level) -> Response:
        caller = await self._callers.of(request)
        media = media_types.json(media_types.accepted(request.query_params, request.headers))
        pairs = request.query_params.multi_items()
        limit = _number(pairs, "limit", _DEFAULT, _MOST)
        offset = _number(pairs, "offset", 0, _FARTHEST)
        asked, included = _query(level, pairs, request.path_params)
        if _is_true(pairs, _FUZZY):
            asked = fuzzily(asked)
        found: list[dict[str, Any]] = []
        seen = 0
        more = False
        async for batch in self._queries.find(caller, asked):
            fresh = batch[max(offset - seen, 0) :]
            seen += len(batch)
            found += fresh
            if len(found) > limit:
                more = True
                break
        warnings = [_MORE] if more else []
        headers = {"warning": ", ".join(text.format(self._root) for text in warnings)} if warnings else {}
        if not found:
            return Response(status_code=204, headers=headers)
        shown = [self._shown(match, level, included) for match in found[:limit]]
        return Response(serialize(shown), headers=headers, media_type=media)

    def _shown(self, match: dict[str, Any], level: Level, included: frozenset[str] | None) -> dict[str, Any]:
        """The attributes that are told, and where the entity is to be had."""
        shown = match if included is None else {tag: match[tag] for tag in match if keyword_of(tag) in included}
        values = [match[tag_of(UNIQUE[one])]["Value"][0] for one in (Level.STUDY, Level.SERIES, Level.IMAGE)[:level]]
        path = "".join(f"/{name}/{uid}" for name, uid in zip(("studies", "series", "instances"), values, strict=False))
        told = {
            **shown,
            "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
            "00080056": {"vr": "CS", "Value": ["ONLINE"]},
            "00081190": {"vr": "UR", "Value": [f"{self._root}{path}"]},
        }
        return dict(sorted(told.items()))


def _query(level: Level, pairs: list[tuple[str, str]], path: Mapping[str, str]) -> tuple[Query, frozenset[str] | None]:
    """The query, and the keywords that are told; None for all of them.

    Raises:
        InvalidRequest: An attribute that is not known or cannot be matched, or a malformed value.
    """
    elements: dict[str, tuple[str, str, Any]] = {}
    included = set(_ALWAYS[level]).union(*(_ALWAYS[upper] for upper in _not_named(level, path)))
    everything = False
    empty, multiple = _is_true(pairs, _EMPTY), _is_true(pairs, _MULTIPLE)
    for name, value in pairs:
        if name in _NO_KEYS:
            continue
        if name == "includefield":
            everything = everything or value == "all"
            included |= {_path(one)[0] for one in value.split(",") if one != "all"}
            continue
        keyword, *within = _path(name)
        if not _is_matched(keyword, within) or LEVEL_OF.get(keyword, Level.IMAGE) > level or len(value) > _LONGEST:
            raise InvalidRequest("this attribute cannot be matched here", code="not-supported", expression=[keyword])
        if within:
            item = elements.setdefault(keyword, (tag_of(keyword), "SQ", {}))[2]
            item[within[0]] = _element(within[0], value, empty=empty, multiple=multiple)
        else:
            elements[keyword] = _element(keyword, value, empty=empty, multiple=multiple)
        included.add(keyword)
    for one, name in ((Level.STUDY, "study"), (Level.SERIES, "series")):
        if name in path:
            if not is_uid(path[name]):
                raise InvalidRequest("a UID is malformed", code="value", expression=[UNIQUE[one]])
            elements[UNIQUE[one]] = (tag_of(UNIQUE[one]), "UI", [path[name]])
    asked = query(level.name, elements, Level.STUDY, relational=True)
    return asked, None if everything else frozenset(included)


def _is_matched(keyword: str, within: Sequence[str]) -> bool:
    """Whether an attribute selects, or one within its items."""
    return len(within) == 1 and within[0] in MATCHED_WITHIN.get(keyword, ()) if within else keyword in MATCHED


def _not_named(level: Level, path: Mapping[str, str]) -> list[Level]:
    """The levels above that the path leaves open: what they tell is told of each match (10.6.3.3.2, 10.6.3.3.3)."""
    return [one for one, name in ((Level.STUDY, "study"), (Level.SERIES, "series")) if one < level and name not in path]


def _element(keyword: str, value: str, *, empty: bool, multiple: bool) -> tuple[str, str, Any]:
    """A key, in empty and in multiple value matching if so; else several values are alternatives."""
    tag, vr = tag_of(keyword), vr_of(keyword)
    if vr == "UI":
        return tag, vr, value.replace(",", "\\").split("\\")
    if empty and value == '""':
        return tag, vr, Empty()
    values = value.split("\\")
    if len(values) == 1:
        return tag, vr, value
    return tag, vr, EveryOf(tuple(values)) if multiple and has_several_values(keyword) else values


def _path(name: str) -> list[str]:
    """The keywords of an attribute and of the sequences around it, each named by keyword or tag.

    Raises:
        InvalidRequest: There is no such attribute.
    """
    return [_keyword(step) for step in name.split(".")]


def _keyword(text: str) -> str:
    keyword = keyword_of(text) if _TAG.fullmatch(text) else text
    try:
        tag_of(keyword)
    except KeyError as error:
        raise InvalidRequest("there is no such attribute", code="not-supported") from error
    return keyword


def _is_true(pairs: list[tuple[str, str]], name: str) -> bool:
    text = dict(pairs).get(name, "false").lower()
    if text not in {"true", "false"}:
        raise InvalidRequest("must be true or false", code="value", expression=[name])
    return text == "true"


def _number(pairs: list[tuple[str, str]], name: str, default: int, most: int) -> int:
    text = dict(pairs).get(name)
    if text is None:
        return default
    if _NUMBER.fullmatch(text) is None:
        raise InvalidRequest("must be a number", code="value", expression=[name])
    return min(int(text), most)
