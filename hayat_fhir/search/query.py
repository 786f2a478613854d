"""From a query string to a search: every parameter is understood, or refused; none is silently dropped.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.search.conditions import EVERYTHING, AllOf, Condition, SortKey
from hayat_fhir.search.criteria import Criterion, condition, planned
from hayat_fhir.search.parameters import SearchParameter, SearchParameters

_SINGLE = frozenset({"_count", "_sort", "_total", "_summary", "_cursor", "_elements", "_contained"})
_IGNORED = frozenset({"_format", "_pretty"})
_RESULT = _SINGLE | _IGNORED | {"_include", "_revinclude"}
_TOTALS = frozenset({"none", "estimate", "accurate"})
_CHAIN = re.compile(r"([a-z][A-Za-z0-9\-]*)(?::([A-Z][A-Za-z]+))?\.(.+)")
_HAS = re.compile(r"_has:([A-Z][A-Za-z]+):([a-z][A-Za-z0-9\-]*):(.+)")
_DEEPEST = 3
"""Hops from the searched type to the criterion of a chain."""

_WIDEST = 10
"""Types that a chain tries where it names none."""

_INCLUDE = re.compile(r"([A-Z][A-Za-z]+):([a-z][A-Za-z0-9\-]*)(?::([A-Z][A-Za-z]+))?")
_SHOWN = re.compile(r"[A-Za-z_][A-Za-z0-9_\-.:]{0,127}")


@dataclass(frozen=True, slots=True)
class Include:
    """One ``_include`` or ``_revinclude``: the references of ``parameter`` of ``source``, to ``target`` only if set."""

    source: str
    parameter: str
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """A criterion on what a reference ``parameter`` of the searched type leads to: what one of the queries finds."""

    parameter: str
    queries: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Has:
    """A criterion on what refers to the searched type by its reference ``parameter``: what the query finds."""

    parameter: str
    query: Query


@dataclass(frozen=True, slots=True)
class Query:
    """A search of one type. ``pairs`` are the parameters understood, for the self link.

    ``summary`` and ``elements`` are what ``_summary`` and ``_elements`` say, unless it is nothing. ``hops`` are to hold
    beside ``condition``; what they lead to must be found first.
    """

    type: str
    condition: Condition = EVERYTHING
    sort: tuple[SortKey, ...] = ()
    count: int = 50
    summary: str | None = None
    elements: str | None = None
    total: str = "none"
    includes: tuple[Include, ...] = ()
    revincludes: tuple[Include, ...] = ()
    cursor: str | None = None
    hops: tuple[Chain | Has, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()


def parse(
    type: str,
    pairs: Sequence[tuple[str, str]],
    parameters: SearchParameters,
    *,
    base_url: str = "",
    now: int = 0,
    lenient: bool = False,
    max_count: int = 1000,
    default_count: int = 50,
    depth: int = 0,
) -> Query:
    """The search that the parameters spell; ``now`` (milliseconds) is for the ``ap`` prefix of dates.

    Raises:
        InvalidRequest: An unknown parameter (unless ``lenient``), modifier, prefix or value; the issue names the
            parameter, never its value.
    """
    results: dict[str, str] = {}
    includes: list[Include] = []
    revincludes: list[Include] = []
    criteria: list[Criterion] = []
    used: list[tuple[str, str]] = []
    hops: list[Chain | Has] = []
    for name, value in pairs:
        if "\x00" in name or "\x00" in value:
            raise InvalidRequest("a parameter has a NUL character", code="value")
        plain, _, modifier = name.partition(":")
        if plain in {"_include", "_revinclude"}:
            if modifier:
                raise refused(name, "iterated includes are not supported", "not-supported")
            (includes if plain == "_include" else revincludes).append(_include(plain, value, type, parameters))
        elif name in _RESULT:
            if name in results and name in _SINGLE:
                raise refused(name, "this parameter may stand once only")
            results[name] = value
        elif plain == "_has" or "." in name:
            hops.append(_hop(type, name, value, parameters, base_url=base_url, now=now, depth=depth + 1))
        elif parameters.get(type, plain) is None:
            if not lenient:
                raise refused(name, "unknown search parameter of this type", "not-supported")
            continue
        else:
            criteria.append(condition(type, name, value, parameters, base_url=base_url, now=now))
        if name not in _IGNORED:
            used.append((name, value))
    return Query(
        type,
        _conjunction(planned(criteria)),
        _sort(type, results.get("_sort", ""), parameters),
        _count(results.get("_count"), max_count, default_count),
        _summary(results, includes or revincludes),
        results.get("_elements"),
        _total(results.get("_total", "none")),
        tuple(includes),
        tuple(revincludes),
        results.get("_cursor"),
        tuple(hops),
        tuple(used),
    )


def refused(name: str, why: str, code: str = "invalid") -> InvalidRequest:
    """The refusal of a parameter, by its name, as far as that is a name."""
    return InvalidRequest(why, code=code, expression=[f"parameter: {name if _SHOWN.fullmatch(name) else '?'}"])


def _hop(
    type: str, name: str, value: str, parameters: SearchParameters, *, base_url: str, now: int, depth: int
) -> Chain | Has:
    """The chain or reverse chain that a parameter's name spells."""
    if depth > _DEEPEST:
        raise refused(name, f"more than {_DEEPEST} references in a row", "too-costly")

    def inner(target: str, rest: str) -> Query:
        if rest.partition(":")[0] in _RESULT:
            raise refused(name, "a chain ends with a search parameter", "not-supported")
        return parse(target, [(rest, value)], parameters, base_url=base_url, now=now, depth=depth)

    has = _HAS.fullmatch(name)
    if has is not None:
        parameter = parameters.get(has[1], has[2])
        if parameter is None or parameter.type != "reference" or not ({type, "*"} & set(parameter.targets)):
            raise refused(name, "not a reference of that type to the searched one", "not-supported")
        return Has(has[2], inner(has[1], has[3]))
    chain = _CHAIN.fullmatch(name)
    parameter = parameters.get(type, chain[1]) if chain is not None else None
    if chain is None or parameter is None or parameter.type != "reference" or not parameter.searchable:
        raise refused(name, "not a chain that begins with a reference of this type", "not-supported")
    targets = [chain[2]] if chain[2] else _targets(parameter)
    if chain[2] and not {chain[2], "*"} & set(parameter.targets):
        raise refused(name, "the reference does not lead to that type", "not-supported")
    queries = []
    for target in targets:
        try:
            queries.append(inner(target, chain[3]))
        except InvalidRequest:
            if len(targets) == 1:
                raise
    if not 0 < len(queries) <= _WIDEST:
        raise refused(name, "no parameter of what the reference leads to, or of too many: name the type")
    return Chain(chain[1], tuple(queries))


def _targets(parameter: SearchParameter) -> list[str]:
    """The types that a reference may lead to; none where it may be any."""
    by_path = {path.target for path in parameter.paths if path.target is not None}
    return sorted(by_path or {target for target in parameter.targets if target != "*"})


def _conjunction(conditions: Sequence[Condition]) -> Condition:
    return conditions[0] if len(conditions) == 1 else AllOf(tuple(conditions))


def _include(name: str, value: str, type: str, parameters: SearchParameters) -> Include:
    match = _INCLUDE.fullmatch(value)
    if match is None:
        raise refused(name, "not Type:parameter[:Type]", "not-supported" if "*" in value else "value")
    include = Include(match[1], match[2], match[3])
    parameter = parameters.get(include.source, include.parameter)
    if parameter is None or parameter.type != "reference":
        raise refused(name, "not a reference parameter of that type", "value")
    if name == "_include" and include.source != type:
        raise refused(name, "the source is not the searched type", "value")
    return include


def _sort(type: str, text: str, parameters: SearchParameters) -> tuple[SortKey, ...]:
    keys = []
    for rule in text.split(",") if text else ():
        code = rule.removeprefix("-")
        parameter = parameters.get(type, code)
        if parameter is None or not parameter.searchable or parameter.components:
            raise refused("_sort", "not a parameter of this type that can be sorted by", "not-supported")
        keys.append(SortKey(code, rule.startswith("-"), code == parameters.principal_date(type)))
    return tuple(keys)


def _count(text: str | None, most: int, default: int) -> int:
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise refused("_count", "not a number of this parameter", "value")
    return min(int(text), most)


def _summary(results: dict[str, str], includes: Sequence[Include]) -> str | None:
    summary = results.get("_summary")
    if "_contained" in results:
        raise refused("_contained", "not supported", "not-supported")
    if _count(results.get("_count"), 1, 1) == 0:
        return "count"
    if summary == "text" and includes:
        raise refused("_summary", "text does not go with _include and _revinclude")
    return None if summary == "false" else summary


def _total(text: str) -> str:
    if text not in _TOTALS:
        raise refused("_total", "not none, estimate or accurate", "value")
    return text
