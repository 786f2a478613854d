"""When the care was given that a resource records: what ``$everything`` means by ``start`` and ``end``.

https://hl7.org/fhir/R4/patient-operation-everything.html: "care dates, not record currency dates"
"""

from __future__ import annotations

from collections.abc import Sequence

from hayat_fhir.search.conditions import EVERYTHING, AllOf, AnyOf, Bounds, Condition, Not
from hayat_fhir.search.parameters import SearchParameter, SearchParameters

_OF_NO_CARE = frozenset({"_lastUpdated", "birthdate", "value-date"})
_OF_THE_RECORD = frozenset(
    {
        "authored",
        "authoredOn",
        "created",
        "date",
        "dateTime",
        "dateWritten",
        "enteredDate",
        "issued",
        "recorded",
        "recordedDate",
    }
)
"""Elements that say when something was written down: the date of the care where the resource has no other."""


def during(parameters: SearchParameters, type: str, low: int | None, high: int | None) -> Condition:
    """The resources of a type that record care within [low, high], milliseconds since 1970; None: unlimited.

    What has no date at all is not known to lie outside, and is among them.
    """
    if low is None and high is None:
        return EVERYTHING
    dates = [p for p in parameters.of(type).values() if p.type == "date" and p.searchable and p.code not in _OF_NO_CARE]
    record = [parameter for parameter in dates if _of_the_record(parameter)]
    care = [parameter for parameter in dates if parameter not in record]
    undated = AnyOf((_within(record, low, high), _without(record)))
    return AnyOf((_within(care, low, high), AllOf((_without(care), undated))))


def _of_the_record(parameter: SearchParameter) -> bool:
    return all(len(path.steps) == 1 and path.steps[0] in _OF_THE_RECORD for path in parameter.paths)


def _within(dates: Sequence[SearchParameter], low: int | None, high: int | None) -> Condition:
    return AnyOf(tuple(Bounds(parameter.code, low_max=high, high_min=low) for parameter in dates))


def _without(dates: Sequence[SearchParameter]) -> Condition:
    return Not(AnyOf(tuple(Bounds(parameter.code) for parameter in dates)))
