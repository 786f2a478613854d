"""What a list of legacy documents is asked for: which ones, in which order, which page. Pure.

``field=value``, ``field[gte|gt|lte|lt]=value``, ``sort=-date,name``, ``fields=name,email``, ``page`` and ``limit``.
Nothing of it reaches the database but as a value: names are looked up in the mapping, operators in a table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hayat_fhir.errors import InvalidRequest, Issue

PREFIXES = {"": "", "gte": "ge", "gt": "gt", "lte": "le", "lt": "lt"}
"""The operators, and the prefix of FHIR search that each of them is."""

DEFAULT_LIMIT = 100
_MOST_PER_PAGE = 1000
_DEEPEST = 10_000
_LONGEST = 1000
_MOST_NAMES = 50
_NAME = re.compile(r"([A-Za-z]\w{0,63})(?:\[(\w{1,16})\])?", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_RESULT = frozenset({"sort", "fields", "page", "limit"})


@dataclass(frozen=True, slots=True)
class Criterion:
    """One condition: a field, an operator of ``PREFIXES`` and a value."""

    field: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list is asked for. ``sort``: fields, and whether descending; ``fields``: None for all of them."""

    criteria: tuple[Criterion, ...] = ()
    sort: tuple[tuple[str, bool], ...] = ()
    fields: frozenset[str] | None = None
    page: int = 1
    limit: int = DEFAULT_LIMIT

    @property
    def offset(self) -> int:
        """Documents before this page."""
        return (self.page - 1) * self.limit


def wanted(pairs: Sequence[tuple[str, str]], fields: frozenset[str]) -> Wanted:
    """What the pairs of a query string ask for; ``fields`` are the names that the documents have.

    Raises:
        InvalidRequest: An unknown field or operator, a name twice, or a value that is too long or none; the issue
            names the parameter, never its value.
    """
    criteria: list[Criterion] = []
    results: dict[str, str] = {}
    seen: set[str] = set()
    for name, value in pairs:
        match = _NAME.fullmatch(name)
        if match is None or (match[1] not in fields and name not in _RESULT):
            raise _refused(match[1] if match else "?", "there is no such field", "not-supported")
        field, operator = match[1], match[2] or ""
        if name in seen:
            raise _refused(field, "this parameter may stand once only")
        seen.add(name)
        if not value or len(value) > _LONGEST or "\0" in value:
            raise _refused(field, "no value, or not one of this field")
        if name in _RESULT:
            results[name] = value
        elif operator not in PREFIXES:
            raise _refused(field, "there is no such operator; there are gte, gt, lte and lt", "not-supported")
        else:
            criteria.append(Criterion(field, operator, value))
    page, limit = _number(results, "page", 1), _number(results, "limit", DEFAULT_LIMIT)
    if limit > _MOST_PER_PAGE:
        raise _refused("limit", f"a page has {_MOST_PER_PAGE} documents at most")
    if (page - 1) * limit > _DEEPEST:
        raise _refused("page", f"pages reach as far as {_DEEPEST} documents; narrow the search", "too-costly")
    shown = _names(results, "fields", fields)
    order = _names(results, "sort", fields)
    return Wanted(
        tuple(criteria),
        tuple((name.removeprefix("-"), name.startswith("-")) for name in order),
        frozenset(name.removeprefix("-") for name in shown) if shown else None,
        page,
        limit,
    )


def _number(results: dict[str, str], name: str, default: int) -> int:
    if name not in results:
        return default
    if _NUMBER.fullmatch(results[name]) is None:
        raise _refused(name, "must be a whole number from 1")
    return int(results[name])


def _names(results: dict[str, str], parameter: str, fields: frozenset[str]) -> list[str]:
    """The names in a list; with a minus before them where that has a meaning."""
    if parameter not in results:
        return []
    names = results[parameter].split(",")
    plain = [name.removeprefix("-") if parameter == "sort" else name for name in names]
    if len(names) > _MOST_NAMES or len(set(plain)) != len(plain) or not fields.issuperset(plain):
        raise _refused(parameter, "must name fields, each once")
    return names


def _refused(name: str, why: str, code: str = "value") -> InvalidRequest:
    return InvalidRequest(issues=[Issue(code, why, (f"parameter: {name}",))])
