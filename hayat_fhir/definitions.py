"""The declarative files of ``conformance/`` and ``mappings/``, read once at start.

In a wheel they are package data; in a checkout they stand at the top of the repository. A file that is
missing or malformed stops the start with its name.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hayat_fhir.errors import ConfigurationError

_PACKAGED = Path(__file__).parent / "_data"
_CHECKOUT = Path(__file__).parent.parent
_ELEMENT = re.compile(r"[0-9]+\.\.([0-9]+|\*) \S+")


@dataclass(frozen=True, slots=True)
class Definitions:
    """Everything that is data rather than code.

    ``search_parameters``: rows of r4/search-parameters.json and of the site's own search-parameters.json;
    ``compartments``: type to the parameters that put it into a patient's compartment; ``bindings``: element path to
    its codes; ``elements``: element path to cardinality and types, ``1..1 code``; ``summary``: path of a type or
    backbone element to the names of what stands in a summary; ``mappings``:
    ``dicom/imaging_study`` to the parsed TOML.
    """

    resource_types: frozenset[str]
    search_parameters: tuple[dict[str, Any], ...]
    compartments: dict[str, tuple[str, ...]]
    bindings: dict[str, frozenset[str]]
    elements: dict[str, str]
    summary: dict[str, frozenset[str]]
    capability: dict[str, Any]
    dicom: dict[str, Any]
    mappings: dict[str, dict[str, Any]]


def load(root: Path | None = None) -> Definitions:
    """Read all definitions, from ``root`` or from where this package keeps them.

    Raises:
        ConfigurationError: A file is missing or malformed; the message names it.
    """
    root = root or (_PACKAGED if _PACKAGED.is_dir() else _CHECKOUT)
    r4 = root / "conformance" / "r4"
    return Definitions(
        resource_types=frozenset(_rows(r4 / "resource-types.json", list, _is_text)),
        search_parameters=(
            *_rows(r4 / "search-parameters.json", list, _is_parameter),
            *_rows(root / "conformance" / "search-parameters.json", list, _is_parameter),
        ),
        compartments={t: tuple(codes) for t, codes in _rows(r4 / "patient-compartment.json", dict, _is_codes).items()},
        bindings={path: frozenset(c) for path, c in _rows(r4 / "required-bindings.json", dict, _is_codes).items()},
        elements=_rows(r4 / "elements.json", dict, _is_element),
        summary={p: frozenset(names) for p, names in _rows(r4 / "summary-elements.json", dict, _is_codes).items()},
        capability=_json(root / "conformance" / "capability.json", dict),
        dicom=_json(root / "conformance" / "dicom.json", dict),
        mappings={
            str(path.relative_to(root / "mappings").with_suffix("")): _toml(path)
            for path in sorted((root / "mappings").rglob("*.toml"))
        },
    )


def _rows(path: Path, form: type, is_row: Callable[[object], bool]) -> Any:  # noqa: ANN401 - JSON
    content = _json(path, form)
    for key, row in content.items() if form is dict else enumerate(content):
        if not is_row(row):
            raise ConfigurationError(f"{path}: {key}: not a row of this table")
    return content


def _is_text(row: object) -> bool:
    return isinstance(row, str) and row != ""


def _is_codes(row: object) -> bool:
    return isinstance(row, list) and row != [] and all(map(_is_text, row))


def _is_element(row: object) -> bool:
    return isinstance(row, str) and _ELEMENT.fullmatch(row) is not None


def _is_parameter(row: object) -> bool:
    return isinstance(row, dict) and all(_is_text(row.get(name)) for name in ("base", "code", "type"))


def _json(path: Path, form: type) -> Any:  # noqa: ANN401 - JSON
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: not JSON: {error}") from error
    if not isinstance(content, form):
        raise ConfigurationError(f"{path}: must be a JSON {'object' if form is dict else 'array'}")
    return content


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from error
