"""The registry of search parameters, from the table of R4 (conformance/r4/search-parameters.json).

https://hl7.org/fhir/R4/searchparameter-registry.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hayat_fhir.errors import ConfigurationError

INDEXED = frozenset({"token", "string", "reference", "date", "number", "quantity", "uri"})
"""The parameter types that are indexed and can be searched."""

_JOINED = frozenset({"token", "string", "quantity"})
"""The types of parameters that may be no more than others put together."""

_WITH_SYSTEM = frozenset({"CodeableConcept", "Coding", "Identifier"})
"""Element types whose tokens may have a system."""

_EVERY = "Resource"
_PRINCIPAL_DATES = (
    "date",
    "started",
    "authoredon",
    "authored",
    "occurrence",
    "effective-time",
    "effective",
    "onset-date",
    "recorded",
    "recorded-date",
    "whenhandedover",
    "created",
    "sent",
    "start-date",
    "period",
    "birthdate",
)


@dataclass(frozen=True, slots=True)
class Path:
    """Where a parameter's values stand: ``steps`` of JSON names, and the FHIR ``type`` at their end.

    ``where`` (name, value) filters what is at ``steps``, then ``then`` goes on; ``target`` keeps references to
    this resource type only; ``first`` keeps the first value only.
    """

    steps: tuple[str, ...]
    type: str
    where: tuple[str, str] | None = None
    then: tuple[str, ...] = ()
    target: str | None = None
    first: bool = False


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One search parameter of one resource type."""

    code: str
    type: str
    url: str
    targets: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    components: tuple[str, ...] = ()
    """Of a composite, the parameters of the same type all of which must be met: what they say is of the resource as a
    whole. Composites that ask this of one and the same inner element have none, and are not offered."""

    @property
    def has_systems(self) -> bool:
        """Whether a token of it can have a system at all; where none can, a code is the same with and without ``|``."""
        return any(path.type in _WITH_SYSTEM for path in self.paths)

    @property
    def of_every_resource(self) -> bool:
        """Whether every resource has a value of it: it says whether something is there, ``true`` or ``false``."""
        return bool(self.paths) and all(path.type == "exists" for path in self.paths)

    @property
    def searchable(self) -> bool:
        """Whether it can be searched by: it is indexed, or its components are."""
        return bool(self.components) or (self.type in INDEXED and bool(self.paths))


class SearchParameters:
    """All search parameters, by resource type and code."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], resource_types: Iterable[str]) -> None:
        """Take the rows of the table.

        Raises:
            ConfigurationError: A row is malformed.
        """
        common: dict[str, SearchParameter] = {}
        own: dict[str, dict[str, SearchParameter]] = {type: {} for type in resource_types}
        for row in rows:
            parameter = _parameter(row)
            if row["base"] == _EVERY:
                common[parameter.code] = parameter
            else:
                own.setdefault(row["base"], {})[parameter.code] = parameter
        self._by_type = {type: {**common, **parameters} for type, parameters in own.items()}
        self._joined: dict[str, dict[str, tuple[str, ...]]] = {}

    def get(self, type: str, code: str) -> SearchParameter | None:
        """The parameter of this code for this resource type; None where there is none."""
        return self._by_type.get(type, {}).get(code)

    def of(self, type: str) -> Mapping[str, SearchParameter]:
        """All parameters of a resource type by code, those of every resource included."""
        return self._by_type.get(type, {})

    def joined(self, type: str) -> Mapping[str, tuple[str, ...]]:
        """The parameters of a type that say no more than others of it together, and those others.

        ``combo-code`` of Observation is ``code`` and ``component-code``, ``phonetic`` of Patient is ``name``: they need
        no index entries of their own.
        """
        found = self._joined.get(type)
        if found is None:
            found = self._joined[type] = _joined(self.of(type).values())
        return found

    def principal_date(self, type: str) -> str | None:
        """The code of the date that orders resources of this type in time; None where there is none."""
        parameters = self.of(type)
        return next((code for code in _PRINCIPAL_DATES if code in parameters and parameters[code].type == "date"), None)


def _joined(parameters: Iterable[SearchParameter]) -> dict[str, tuple[str, ...]]:
    """Parameters whose paths are those of others of their type, which are none of these themselves."""
    found: dict[str, tuple[str, ...]] = {}
    ordered = sorted((p for p in parameters if p.type in _JOINED and p.paths), key=lambda p: (len(p.paths), p.code))
    for place, parameter in enumerate(ordered):
        wanted = set(parameter.paths)
        others: list[str] = []
        covered: set[Path] = set()
        for other in reversed(ordered[:place]):
            fits = other.type == parameter.type and other.code not in found and wanted.issuperset(other.paths)
            if fits and not covered.issuperset(other.paths):
                others.append(other.code)
                covered.update(other.paths)
        if covered == wanted:
            found[parameter.code] = tuple(sorted(others))
    return found


def _parameter(row: Mapping[str, Any]) -> SearchParameter:
    try:
        return SearchParameter(
            row["code"],
            row["type"],
            row["url"],
            tuple(row.get("target", ())),
            tuple(_path(path) for path in row.get("paths", ())),
            tuple(row.get("components", ())),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError("r4/search-parameters.json: a row is malformed") from error


def _path(row: Mapping[str, Any]) -> Path:
    where = next(iter(row.get("where", {}).items()), None)
    then = row.get("then")
    return Path(
        tuple(row["path"].split(".")),
        row["type"],
        where,
        tuple(then.split(".")) if then else (),
        row.get("target"),
        row.get("first", False),
    )
