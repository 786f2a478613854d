"""A search as a tree of conditions on index entries: what the store must find, without saying how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class AnyKey:
    """At least one of these hashed keys is among the resource's keys."""

    keys: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A string entry of ``parameter`` matches ``value`` (already normalised, unless ``mode`` is exact)."""

    parameter: str
    value: str
    mode: Literal["starts", "exact", "contains"] = "starts"


@dataclass(frozen=True, slots=True)
class Bounds:
    """A range entry of ``parameter`` whose low and high ends lie within the given limits (None: unlimited).

    ``overlap`` of [a, b] is ``low_max=b, high_min=a``; containment is ``low_min=a, high_max=b``.
    Limits are inclusive unless ``*_open``.
    """

    parameter: str
    low_min: float | None = None
    low_max: float | None = None
    high_min: float | None = None
    high_max: float | None = None
    low_min_open: bool = False
    low_max_open: bool = False
    high_min_open: bool = False
    high_max_open: bool = False


@dataclass(frozen=True, slots=True)
class Ids:
    """The logical id is one of these."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InCompartment:
    """The resource is in the compartment of ``reference`` (``Patient/id``)."""

    reference: str


@dataclass(frozen=True, slots=True)
class Updated:
    """``meta.lastUpdated`` lies in [low, high], milliseconds since 1970 UTC, both inclusive; None: unlimited."""

    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds; no part: everything."""

    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds; no part: nothing."""

    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Condition


Condition = AnyKey | Text | Bounds | Ids | InCompartment | Updated | AllOf | AnyOf | Not
EVERYTHING = AllOf()
NOTHING = AnyOf()


@dataclass(frozen=True, slots=True)
class SortKey:
    """One ``_sort`` rule. ``parameter`` is a search parameter code, or ``_id`` / ``_lastUpdated``.

    ``principal`` is true where the parameter is the type's principal date, which the store has indexed.
    """

    parameter: str
    descending: bool = False
    principal: bool = False
