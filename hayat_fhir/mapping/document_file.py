"""Reads the files of ``mappings/api-v1/``: TOML, no code in it.

``[document]`` has ``main`` and perhaps ``tag``; ``[parts.NAME]`` a ``type`` and how it is found; each ``[[field]]``
a ``name``, a ``part``, a ``path``, a ``transform`` and what is asked of its values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hayat_fhir.errors import ConfigurationError
from hayat_fhir.mapping import paths
from hayat_fhir.mapping.document import DocumentMapping, Field, Part, Search
from hayat_fhir.mapping.pairs import PAIRS, Codes, Details, Pair

_TOP = frozenset({"document", "parts", "field"})
_PART = frozenset({"type", "new", "criteria", "source", "code", "shared", "own", "yields", "copies"})
_FIELD = frozenset(
    {
        "name",
        "part",
        "path",
        "transform",
        "type",
        "codes",
        "target",
        "fallback",
        "default",
        "required",
        "write_only",
        "enum",
        "longest",
        "search",
        "populated",
        "now",
    }
)
_SEARCH = frozenset({"parameter", "part", "systems"})
_TYPES = frozenset({"string", "number", "date", "datetime", "id"})


def compiled_document(name: str, content: Mapping[str, Any], codes: Mapping[str, Codes]) -> DocumentMapping:
    """The mapping of ``mappings/{name}.toml``; ``codes`` are the files of ``mappings/codes/`` by name.

    Raises:
        ConfigurationError: A table or key is wrong; the message names file, table and key.
    """
    place = f"mappings/{name}.toml"
    _only(place, content, _TOP)
    head = _table(f"{place}: document", content.get("document"))
    _only(f"{place}: document", head, frozenset({"main", "tag"}))
    tables = _table(f"{place}: parts", content.get("parts"))
    parts = {
        key: _part(f"{place}: parts.{key}", key, _table(f"{place}: parts.{key}", row), tables)
        for key, row in tables.items()
    }
    if head.get("main") not in parts:
        raise ConfigurationError(f"{place}: document.main: there is no such part")
    rows = content.get("field")
    if not isinstance(rows, list) or not rows:
        raise ConfigurationError(f"{place}: field: there must be rows")
    fields: dict[str, Field] = {}
    for number, row in enumerate(rows):
        one = _field(f"{place}: field[{number}]", _table(f"{place}: field[{number}]", row), parts, codes)
        if one.name in fields:
            raise ConfigurationError(f"{place}: field[{number}].name: stands twice")
        fields[one.name] = one
    return DocumentMapping(name.rpartition("/")[2], head["main"], parts, fields, head.get("tag"))


def _part(place: str, name: str, row: Mapping[str, Any], parts: Mapping[str, Any]) -> Part:
    _only(place, row, _PART)
    if not isinstance(row.get("type"), str):
        raise ConfigurationError(f"{place}.type: must be a resource type")
    source = row.get("source")
    if source is not None and (not isinstance(source, list) or len(source) != 2 or source[0] not in parts):
        raise ConfigurationError(f"{place}.source: must be a part and a path")
    shared = _pair_of(place, "shared", row)
    copies = {key: _copy(f"{place}.copies.{key}", text, parts) for key, text in row.get("copies", {}).items()}
    for key in copies:
        _path(f"{place}.copies", key)
    return Part(
        name,
        row["type"],
        dict(row.get("new", {})),
        row.get("criteria"),
        None if source is None else (source[0], _path(f"{place}.source", source[1])),
        _pair_of(place, "code", row),
        None if shared is None else (shared[0], _path(f"{place}.shared", shared[1])),
        _pair_of(place, "own", row),
        row.get("yields") is True,
        copies,
    )


def _copy(place: str, text: Any, parts: Mapping[str, Any]) -> tuple[str, paths.Path]:  # noqa: ANN401 - parsed TOML
    part, _, path = str(text).partition(".")
    if part not in parts:
        raise ConfigurationError(f"{place}: must be a part and a path")
    return part, _path(place, path)


def _field(place: str, row: Mapping[str, Any], parts: Mapping[str, Part], codes: Mapping[str, Codes]) -> Field:
    _only(place, row, _FIELD)
    name = row.get("name")
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")) or name.count(".") > 1:
        raise ConfigurationError(f"{place}.name: must be a name, or two joined by a dot")
    if "part" not in row:
        return _kept_with_account(place, name, row)
    if row["part"] not in parts:
        raise ConfigurationError(f"{place}.part: there is no such part")
    transform = row.get("transform", "text")
    if transform not in PAIRS:
        raise ConfigurationError(f"{place}.transform: no such transform; there are {', '.join(sorted(PAIRS))}")
    table = row.get("codes")
    if table is not None and table not in codes:
        raise ConfigurationError(f"{place}.codes: there is no mappings/codes/{table}.toml")
    for key, code in codes[table].items() if table else ():
        if "code" not in code:
            raise ConfigurationError(f"mappings/codes/{table}.toml: {key}.code: is missing")
    details = Details(codes[table] if table else {}, row.get("target", ""))
    enum = tuple(row.get("enum", ())) or tuple(details.codes)
    if details.codes and not set(enum) <= set(details.codes):
        raise ConfigurationError(f"{place}.enum: not all are in mappings/codes/{table}.toml")
    return Field(
        name=name,
        type=_type(place, row.get("type", PAIRS[transform].type)),
        part=row["part"],
        path=_path(f"{place}.path", row.get("path")),
        pair=PAIRS[transform],
        details=details,
        fallback=_fallback(f"{place}.fallback", row.get("fallback", [])),
        default=row.get("default"),
        required=row.get("required") is True,
        enum=enum,
        longest=_longest(place, row),
        search=_search(place, row, parts, details),
        populated=tuple(row.get("populated", ())),
        now=row.get("now") is True,
    )


def _kept_with_account(place: str, name: str, row: Mapping[str, Any]) -> Field:
    return Field(
        name=name,
        type=_type(place, row.get("type", "string")),
        required=row.get("required") is True,
        write_only=row.get("write_only") is True,
        longest=_longest(place, row),
    )


def _search(place: str, row: Mapping[str, Any], parts: Mapping[str, Part], details: Details) -> Search | None:
    search = row.get("search")
    if search is None:
        return None
    search = {"parameter": search} if isinstance(search, str) else _table(f"{place}.search", search)
    _only(f"{place}.search", search, _SEARCH)
    part = search.get("part", row["part"])
    if part not in parts or not isinstance(search.get("parameter"), str):
        raise ConfigurationError(f"{place}.search: must name a search parameter, and a part of this document")
    tokens = {
        legacy: f"{code['system']}|{code['code']}" if "system" in code else str(code["code"])
        for legacy, code in details.codes.items()
    }
    systems = search.get("systems", [])
    if not isinstance(systems, list) or not all(isinstance(system, str) for system in systems):
        raise ConfigurationError(f"{place}.search.systems: must be an array of texts")
    return Search(part, search["parameter"], tuple(systems), tokens)


def _fallback(place: str, rows: object) -> tuple[tuple[paths.Path, Pair], ...]:
    """Where else a value is looked for, one place after the other: paths, each with its transform."""
    if not isinstance(rows, list):
        raise ConfigurationError(f"{place}: must be an array of paths with a transform each")
    found = []
    for row in rows:
        if not isinstance(row, list) or len(row) != 2 or row[1] not in PAIRS:
            raise ConfigurationError(f"{place}: must be an array of paths with a transform each")
        found.append((_path(place, row[0]), PAIRS[row[1]]))
    return tuple(found)


def _type(place: str, type: Any) -> str:  # noqa: ANN401 - parsed TOML
    if type not in _TYPES:
        raise ConfigurationError(f"{place}.type: must be one of {', '.join(sorted(_TYPES))}")
    return str(type)


def _longest(place: str, row: Mapping[str, Any]) -> int:
    longest = row.get("longest", 10_000)
    if not isinstance(longest, int) or isinstance(longest, bool) or longest < 1:
        raise ConfigurationError(f"{place}.longest: must be a number of characters")
    return longest


def _path(place: str, text: Any) -> paths.Path:  # noqa: ANN401 - parsed TOML
    try:
        return paths.parse(text if isinstance(text, str) else "")
    except ValueError as error:
        raise ConfigurationError(f"{place}: not a path") from error


def _pair_of(place: str, key: str, row: Mapping[str, Any]) -> tuple[str, str] | None:
    value = row.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(part, str) for part in value):
        raise ConfigurationError(f"{place}.{key}: must be two texts")
    return value[0], value[1]


def _table(place: str, value: Any) -> Mapping[str, Any]:  # noqa: ANN401 - parsed TOML
    if not isinstance(value, dict):
        raise ConfigurationError(f"{place}: must be a table")
    return value


def _only(place: str, row: Mapping[str, Any], keys: frozenset[str]) -> None:
    unknown = sorted(row.keys() - keys)
    if unknown:
        raise ConfigurationError(f"{place}.{unknown[0]}: there is no such key")
