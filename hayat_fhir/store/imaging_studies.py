"""Imaging studies as DICOM queries see them: one row for each study, its series within, projected from its instances.

``imaging_studies``: ``{_id: Study Instance UID, imaging_study: id of the ImagingStudy, marks, patient, date, keys,
match: {keyword: [values in normal form]}, attributes, series: [..], generation}``. ``marks`` say who may see it, as the
compartments of its ImagingStudy; ``keys`` are ``mark|keyword|value``, so that what a caller may see and what it asks
for are one range of one index. What the marks admit is asked of the ImagingStudy itself before it is told to anybody:
that one is always up to date.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING

from hayat_fhir.dicom.matching import AnyOf, Between, Condition, Empty, Wildcard
from hayat_fhir.search.entries import GENERATION
from hayat_fhir.security.callers import Restriction
from hayat_fhir.store.conditions import Filter, visible
from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import source_mark
from hayat_fhir.store.faults import answered

KEYED = ("PatientID", "AccessionNumber", "PatientName", "PatientBirthDate", "ModalitiesInStudy")
"""What is looked up by index, the most selective first."""
ANYBODY = "*"
"""The mark of every study: for callers who may see all."""
_LAST = chr(0x10FFFF)
_BATCH = 100
_MOST_KEYS, _MOST_RANGES = 100_000, 64
"""How many entries, or ranges, of the index one query looks up."""
_PATIENCE_MS = 10_000
"""Milliseconds that one query may take in MongoDB."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its attributes as DICOM JSON, how many images it has, and their SOP classes."""

    uid: str
    instances: int
    classes: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImagingStudyRow:
    """One study. ``patient`` tells patients apart, whose numbers alone do not."""

    uid: str
    imaging_study: str
    marks: tuple[str, ...]
    restricted: bool
    patient: str
    date: str
    match: dict[str, list[str]]
    attributes: dict[str, Any]
    series: tuple[Series, ...]

    @property
    def instances(self) -> int:
        """How many images it has."""
        return sum(one.instances for one in self.series)


@dataclass(frozen=True, slots=True)
class Visible:
    """A study that the caller may see, with the compartments in which its ImagingStudy is now."""

    row: ImagingStudyRow
    compartments: tuple[str, ...]


class ImagingStudyRows:
    """The rows, for whoever projects them and whoever asks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.collection("imaging_studies")

    async def put(self, row: ImagingStudyRow) -> None:
        """Make a row, or bring it up to date.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        rows = await self._database.prepared("imaging_studies")
        with answered():
            await rows.replace_one({"_id": row.uid}, to_document(row), upsert=True)

    async def imaging_study(self, study: str) -> str | None:
        """The id of the ImagingStudy of a study; None where there is no row of it.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            row = await self._rows.find_one({"_id": study}, {"imaging_study": True})
        return None if row is None else str(row["imaging_study"])

    async def remove(self, study: str) -> None:
        """A study has no images any more.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            await self._rows.delete_one({"_id": study})

    async def follow(self, since: datetime) -> datetime:
        """Let rows be seen by those who see their ImagingStudy now; the last change of one since that moment.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        last = since
        shown = {"compartments": True, "restricted": True, "updated": True}
        with answered():
            changed = self._database.collection("ImagingStudy").find({"updated": {"$gte": since}}, shown)
            async for study in changed.sort("updated", ASCENDING):
                last = study["updated"]
                now_seen = {"marks": [ANYBODY, *study["compartments"]], "restricted": study["restricted"]}
                stale = {"imaging_study": study["_id"], "$nor": [now_seen]}
                async for document in self._rows.find(stale):
                    row = _row({**document, **now_seen})
                    unchanged = {"_id": row.uid, "match": document["match"]}
                    await self._rows.update_one(unchanged, {"$set": {**now_seen, "keys": list(_keys(row))}})
        return last

    async def find(
        self,
        restriction: Restriction,
        wanted: Mapping[str, Sequence[Condition]],
        uids: Sequence[str] = (),
        *,
        by_patient: bool = False,
    ) -> AsyncIterator[list[Visible]]:
        """The studies within the restriction that meet the conditions, by keyword, in batches.

        ``uids`` are the Study Instance UIDs that are asked for, none: all. The newest come first; with ``by_patient``
        those of one patient follow one another.

        Raises:
            Unavailable: MongoDB does not answer, or it takes too long.
        """
        marks = _marks(restriction)
        if not marks:
            return
        criteria, index = _criteria(marks, wanted, uids)
        if restriction.opened and not restriction.restricted:
            opened = {"$or": [{"restricted": False}, {"marks": {"$in": sorted(restriction.opened)}}]}
            criteria["$and"] = [*criteria.get("$and", ()), opened]
        elif not restriction.restricted:
            criteria["restricted"] = False
        sort = [("patient", ASCENDING), ("date", ASCENDING)] if by_patient else [("date", DESCENDING)]
        if index == "marks" and by_patient:
            index = "patients"
        collection = await self._database.prepared("imaging_studies")
        cursor = collection.find(criteria, {"keys": False}, sort=sort, batch_size=_BATCH, hint=index)
        cursor.max_time_ms(_PATIENCE_MS).allow_disk_use(True)
        try:
            with answered():
                while documents := await cursor.to_list(_BATCH):
                    rows = [_row(one) for one in documents]
                    seen = await self.visible(restriction, [row.imaging_study for row in rows])
                    found = [Visible(row, seen[row.imaging_study]) for row in rows if row.imaging_study in seen]
                    if found:
                        yield found
        finally:
            await cursor.close()

    async def visible(self, restriction: Restriction, imaging_studies: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Those of these ImagingStudies that are within the restriction now, with their compartments.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        admitted = visible(restriction)
        ids = list(imaging_studies)
        if admitted is None or not ids:
            return {}
        criteria = {"_id": {"$in": ids}, "deleted": False, **admitted}
        with answered():
            cursor = self._database.collection("ImagingStudy").find(criteria, {"compartments": True})
            return {one["_id"]: tuple(one["compartments"]) for one in await cursor.to_list(None)}


def to_document(row: ImagingStudyRow) -> dict[str, Any]:
    """The row as it stands in the database: its form belongs to the rules that ``GENERATION`` counts."""
    document = {**asdict(row), "marks": list(row.marks), "keys": list(_keys(row)), "generation": GENERATION}
    return {"_id": document.pop("uid"), **document}


def _marks(restriction: Restriction) -> list[str]:
    if restriction.everything:
        return [ANYBODY]
    return sorted([*restriction.compartments, *map(source_mark, restriction.sources)])


def _key(mark: str, keyword: str, value: str) -> str:
    return f"{mark}|{keyword}|{value}"


def _keys(row: ImagingStudyRow) -> Iterator[str]:
    for mark in row.marks:
        for keyword in KEYED:
            for value in row.match.get(keyword, ()):
                yield _key(mark, keyword, value)


def _criteria(
    marks: Sequence[str], wanted: Mapping[str, Sequence[Condition]], uids: Sequence[str]
) -> tuple[Filter, str]:
    """The filter, and the name of the index that it is to use."""
    rest = [{f"match.{keyword}": _operators(condition)} for keyword, several in wanted.items() for condition in several]
    if uids:
        return {"_id": {"$in": list(uids)}, "marks": {"$in": list(marks)}, **_all(rest)}, "_id_"
    dates = [one for one in wanted.get("StudyDate", ()) if isinstance(one, AnyOf | Between)]
    date = {"date": _limits(dates[0])} if dates else {}
    for keyword in KEYED:
        for condition in wanted.get(keyword, ()):
            keys = _range(marks, keyword, condition)
            if keys is not None:
                return {**(keys if "$or" in keys else {"keys": keys}), **date, **_all(rest)}, "keys"
    return {"marks": {"$in": list(marks)}, **date, **_all(rest)}, "marks"


def _all(filters: Sequence[Filter]) -> Filter:
    return {"$and": list(filters)} if filters else {}


def _range(marks: Sequence[str], keyword: str, condition: Condition) -> Filter | None:
    """What of the keys a condition picks out; None where it does not narrow them."""
    match condition:
        case AnyOf(values) if len(marks) * len(values) <= _MOST_KEYS:
            return {"$in": [_key(mark, keyword, value) for mark in marks for value in values]}
        case Wildcard(_, prefix) if prefix and len(marks) <= _MOST_RANGES:
            return _within(marks, keyword, prefix, prefix + _LAST)
        case Between(low, high) if len(marks) <= _MOST_RANGES:
            return _within(marks, keyword, low or "", high if high is not None else _LAST)
    return None


def _within(marks: Sequence[str], keyword: str, low: str, high: str) -> Filter:
    ranges = [{"$elemMatch": {"$gte": _key(mark, keyword, low), "$lte": _key(mark, keyword, high)}} for mark in marks]
    return ranges[0] if len(ranges) == 1 else {"$or": [{"keys": one} for one in ranges]}


def _operators(condition: Condition) -> object:
    """A condition on a field that holds several values."""
    found = _limits(condition)
    return {"$elemMatch": found} if isinstance(condition, Between) else found


def _limits(condition: Condition) -> object:
    match condition:
        case AnyOf(values):
            return values[0] if len(values) == 1 else {"$in": list(values)}
        case Wildcard(expression):
            return {"$regex": expression}
        case Between(low, high):
            limits = {"$gte": low, "$lte": high, "$gt": None if low else ""}
            return {name: limit for name, limit in limits.items() if limit is not None}
        case Empty():
            return {"$in": [None, []]}


def _row(document: dict[str, Any]) -> ImagingStudyRow:
    return ImagingStudyRow(
        document["_id"],
        document["imaging_study"],
        tuple(document["marks"]),
        document["restricted"],
        document["patient"],
        document["date"],
        document["match"],
        document["attributes"],
        tuple(
            Series(one["uid"], one["instances"], tuple(one["classes"]), one["attributes"]) for one in document["series"]
        ),
    )
