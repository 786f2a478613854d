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

    @property
    def searchable(self) -> bool:
        """Whether it is indexed; composite, special and full-text parameters are not."""
        return self.type in INDEXED and bool(self.paths)


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

    def get(self, type: str, code: str) -> SearchParameter | None:
        """The parameter of this code for this resource type; None where there is none."""
        return self._by_type.get(type, {}).get(code)

    def of(self, type: str) -> Mapping[str, SearchParameter]:
        """All parameters of a resource type by code, those of every resource included."""
        return self._by_type.get(type, {})

    def principal_date(self, type: str) -> str | None:
        """The code of the date that orders resources of this type in time; None where there is none."""
        parameters = self.of(type)
        return next((code for code in _PRINCIPAL_DATES if code in parameters and parameters[code].type == "date"), None)


def _parameter(row: Mapping[str, Any]) -> SearchParameter:
    try:
        return SearchParameter(
            row["code"],
            row["type"],
            row["url"],
            tuple(row.get("target", ())),
            tuple(_path(path) for path in row.get("paths", ())),
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
