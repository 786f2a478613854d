"""References between resources: their parts, where they stand, and how a transaction rewrites them.

https://hl7.org/fhir/R4/references.html, https://hl7.org/fhir/R4/http.html#trules
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_LITERAL = re.compile(
    r"(?:(?P<base>https?://[^\s?#]+)/)?"
    r"(?P<type>[A-Z][A-Za-z]{1,63})/(?P<id>[A-Za-z0-9.\-]{1,64})"
    r"(?:/_history/(?P<version>[A-Za-z0-9.\-]{1,64}))?(?:#(?P<fragment>\S*))?",
)
_URI_ELEMENTS = re.compile(r"(?:uri|url|oid|uuid|canonical|fullUrl)$|value(?:Uri|Url|Oid|Uuid)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reference:
    """The parts of a literal reference. ``base`` is None where it is relative."""

    type: str
    id: str
    version: str | None = None
    base: str | None = None
    fragment: str | None = None


def parse(text: str) -> Reference | None:
    """The parts of ``Type/id`` or ``http://base/Type/id``, with or without a version; None for anything else."""
    match = _LITERAL.fullmatch(text)
    if match is None:
        return None
    return Reference(match["type"], match["id"], match["version"], match["base"], match["fragment"])


def references(resource: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Each Reference that has a literal reference, with that text; contained resources included."""
    stack: list[Any] = [resource]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(child for child in reversed(node) if isinstance(child, dict | list))
            continue
        text = node.get("reference")
        if isinstance(text, str):
            yield node, text
        stack.extend(child for child in reversed(node.values()) if isinstance(child, dict | list))


def rewrite(resource: dict[str, Any], table: Mapping[str, str]) -> dict[str, Any]:
    """A copy of the resource in which every reference and every URI that stands in ``table`` is replaced.

    Links and images of the narrative are rewritten too.
    """
    copy = _rewritten(resource, table)
    narrative = copy.get("text")
    if isinstance(narrative, dict) and isinstance(narrative.get("div"), str):
        copy["text"] = {**narrative, "div": _narrative(narrative["div"], table)}
    return copy


def _rewritten(node: dict[str, Any], table: Mapping[str, str]) -> dict[str, Any]:
    copy: dict[str, Any] = {}
    for name, value in node.items():
        if type(value) is dict:
            copy[name] = _rewritten(value, table)
        elif type(value) is list:
            copy[name] = [_rewritten(item, table) if type(item) is dict else _uri(name, item, table) for item in value]
        elif type(value) is str and (name == "reference" or value.startswith("urn:")):
            copy[name] = _uri(name, value, table)
        else:
            copy[name] = value
    return copy


def _uri(name: str, value: Any, table: Mapping[str, str]) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(value, str) or (name != "reference" and _URI_ELEMENTS.search(name) is None):
        return value
    found = table.get(value)
    if found is not None:
        return found
    target, mark, fragment = value.partition("#")
    return f"{table[target]}#{fragment}" if mark and target in table else value


def _narrative(div: str, table: Mapping[str, str]) -> str:
    def replaced(match: re.Match[str]) -> str:
        return f"{match[1]}{table.get(match[2], match[2])}{match[3]}"

    return re.sub(r"""((?:href|src)\s*=\s*["'])([^"']*)(["'])""", replaced, div)
