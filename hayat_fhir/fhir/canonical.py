"""Whether two resources say the same."""

from __future__ import annotations

from typing import Any

_SET_BY_SERVER = frozenset({"versionId", "lastUpdated"})


def same_content(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two resources are equal but for the version and instant that a server sets.

    Decimals count with their precision: 1.0 is not 1.00.
    """
    return _content(one) == _content(other) and str(_content(one)) == str(_content(other))


def _content(resource: dict[str, Any]) -> dict[str, Any]:
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in _SET_BY_SERVER}
    content = {name: value for name, value in sorted(resource.items()) if name != "meta"}
    return {**content, "meta": dict(sorted(meta.items()))} if meta else content
