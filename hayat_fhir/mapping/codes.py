"""The tables of codes in ``mappings/codes/``: a legacy or DICOM word, and what it is called in a FHIR code system.

A row has ``code``, ``system`` or both, perhaps ``display``, and in ``also`` the same in other systems.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hayat_fhir.errors import ConfigurationError

_TEXTS = frozenset({"system", "code", "display"})


def check_codes(name: str, content: Mapping[str, Any]) -> None:
    """Hold a table against its form.

    Raises:
        ConfigurationError: A row is malformed; the message names ``mappings/{name}.toml`` and its key.
    """
    for key, row in content.items():
        _check(f"mappings/{name}.toml: {key}", row, {"also"})
        for number, other in enumerate(row.get("also", ())):
            _check(f"mappings/{name}.toml: {key}.also[{number}]", other, set())


def _check(place: str, row: object, more: set[str]) -> None:
    if not isinstance(row, dict) or not ({"code", "system"} & row.keys()):
        raise ConfigurationError(f"{place}: must be a table with code or system")
    for name, value in row.items():
        if name not in _TEXTS | more:
            raise ConfigurationError(f"{place}.{name}: there is no such key")
        if name in _TEXTS and not (isinstance(value, str) and value):
            raise ConfigurationError(f"{place}.{name}: must be a text")
        if name in more and not isinstance(value, list):
            raise ConfigurationError(f"{place}.{name}: must be an array")
