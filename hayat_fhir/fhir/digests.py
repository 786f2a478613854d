"""What a resource says, as bytes and as a digest that two sites agree on. Pure.

Ids, version numbers, business identifiers and literal references are each site's own, and change when a resource
travels; what it says does not. RFC 8785 orders the members as here; numbers keep the digits that they have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from hayat_fhir.fhir.json import serialize

_LOCAL = frozenset({"id", "meta", "identifier"})
_LINK = re.compile(r"""\s(?:href|src)\s*=\s*(?:"[^"]*"|'[^']*')""")


def canonical(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Compact JSON with the members of every object in order."""
    return serialize(_ordered(value))


def content_digest(resource: Mapping[str, Any]) -> str:
    """The SHA-256 of what a resource says, wherever it is kept."""
    said = {name: value for name, value in resource.items() if name not in _LOCAL}
    narrative = said.get("text")
    if isinstance(narrative, Mapping):
        said["text"] = {**narrative, "div": _LINK.sub("", str(narrative.get("div", "")))}
    return sha256(canonical(_without_references(said))).hexdigest()


def _ordered(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        return {name: _ordered(value[name]) for name in sorted(value)}
    return [_ordered(one) for one in value] if isinstance(value, list) else value


def _without_references(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        return {name: _without_references(one) for name, one in value.items() if name != "reference"}
    return [_without_references(one) for one in value] if isinstance(value, list) else value
