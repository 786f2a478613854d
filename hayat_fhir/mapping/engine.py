"""Runs the mapping files: rows of source, target and transform.

A file is TOML: tables of rows, each ``from`` (one name, or several), ``to`` (a path of JSON names, ``[]`` for the
next item of an array), and optionally ``transform`` (a name out of ``transforms.TRANSFORMS``), ``codes`` (a file of
``mappings/codes/``, or several) or ``constant`` (a value, for targets without a source). A target that ends in ``[]``
takes all the values of its source, any other the first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hayat_fhir.errors import ConfigurationError
from hayat_fhir.mapping.context import Context, Transform
from hayat_fhir.mapping.transforms import TRANSFORMS

_TARGET = re.compile(r"_?[a-z]\w*(\[\])?(\.[a-z]\w*(\[\])?)*")
_KEYS = frozenset({"from", "to", "transform", "codes", "constant"})


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the values of ``sources`` go through ``transform`` to ``target``."""

    sources: tuple[str, ...]
    target: tuple[str, ...]
    transform: Transform
    codes: Mapping[str, Mapping[str, Any]]
    constant: object = None

    @property
    def takes_all(self) -> bool:
        """Whether the target is an array that takes all values."""
        return self.target[-1].endswith("[]") and len(self.sources) == 1

    def values(self, source: Mapping[str, Sequence[Any]]) -> list[list[Any]]:
        """What goes through the transform, one list for each time that it runs."""
        if self.takes_all:
            return [[value] for value in source.get(self.sources[0]) or () if value not in (None, "")]
        values = [(source.get(name) or [None])[0] for name in self.sources]
        return [] if values[0] in (None, "") else [values]


class Mapper:
    """One table of a mapping file, ready to run."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def apply(self, source: Mapping[str, Sequence[Any]], context: Context) -> dict[str, Any]:
        """A FHIR fragment from a source that holds lists of values by name."""
        target: dict[str, Any] = {}
        for row in self._rows:
            if row.constant is not None:
                _put(target, row.target, row.constant)
                continue
            for values in row.values(source):
                found = row.transform(values, replace(context, codes=row.codes))
                if found is not None and not (row.takes_all and found in _there(target, row.target)):
                    _put(target, row.target, found)
        return target


def compiled(name: str, content: Mapping[str, Any], codes: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapper]:
    """The tables of the mapping file ``name``; ``codes`` are the files of ``mappings/codes/`` by name.

    Raises:
        ConfigurationError: A row is wrong; the message names file, table and row.
    """
    return {
        table: Mapper([_row(f"mappings/{name}.toml: {table}[{n}]", row, codes) for n, row in enumerate(rows)])
        for table, rows in content.items()
        if isinstance(rows, list)
    }


def _row(place: str, row: Any, codes: Mapping[str, Mapping[str, Any]]) -> Row:  # noqa: ANN401 - parsed TOML
    if not isinstance(row, dict) or not row.keys() <= _KEYS or "to" not in row:
        raise ConfigurationError(f"{place}: a row has from, to, transform, codes and constant only, and always to")
    if ("from" in row) == ("constant" in row):
        raise ConfigurationError(f"{place}: a row has either from or constant")
    if not isinstance(row["to"], str) or _TARGET.fullmatch(row["to"]) is None:
        raise ConfigurationError(f"{place}.to: not a path of JSON names")
    transform = row.get("transform", "text")
    if transform not in TRANSFORMS:
        raise ConfigurationError(f"{place}.transform: no such transform; there are {', '.join(sorted(TRANSFORMS))}")
    tables = _texts(row.get("codes", ()))
    for table in tables:
        if table not in codes:
            raise ConfigurationError(f"{place}.codes: there is no mappings/codes/{table}.toml")
    return Row(
        _texts(row.get("from", ())),
        tuple(row["to"].split(".")),
        TRANSFORMS[transform],
        {key: code for table in tables for key, code in codes[table].items()},
        row.get("constant"),
    )


def _texts(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - parsed TOML
    return (value,) if isinstance(value, str) else tuple(value)


def _there(target: Mapping[str, Any], path: Sequence[str]) -> Sequence[Any]:
    """What the array at a path of one step holds already."""
    found = target.get(path[0].removesuffix("[]"), ()) if len(path) == 1 else ()
    return found if isinstance(found, list) else ()


def _put(target: dict[str, Any], path: Sequence[str], value: object) -> None:
    """Set the value at the path; ``[]`` adds to the item that the array ends with, or makes the first one."""
    node = target
    for step in path[:-1]:
        name = step.removesuffix("[]")
        if step.endswith("[]"):
            items = node.setdefault(name, [{}])
            node = items[-1]
        else:
            node = node.setdefault(name, {})
    last = path[-1]
    if last.endswith("[]"):
        node.setdefault(last.removesuffix("[]"), []).append(value)
    else:
        node[last] = value
