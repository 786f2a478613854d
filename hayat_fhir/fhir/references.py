"""References between resources: their parts, where they stand, and how a transaction rewrites them.

https://hl7.org/fhir/R4/references.html, https://hl7.org/fhir/R4/http.html#trules
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_LITERAL = re.compile(
    r"(?:(?P<base>https?://[^\s?#]+)/)?"
    r"(?P<type>[A-Z][A-Za-z]{1,63})/(?P<id>[A-Za-z0-9.\-]{1,64})"
    r"(?:/_history/(?P<version>[A-Za-z0-9.\-]{1,64}))?(?:#(?P<fragment>\S*))?",
)
_LINK = re.compile(r"""((?:href|src)\s*=\s*["'])([^"']*)(["'])""")
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


def rewrite(
    resource: dict[str, Any], table: Mapping[str, str], base: str | None = None, own: str | None = None
) -> dict[str, Any]:
    """A copy of the resource in which every reference and every URI that stands in ``table`` is replaced.

    Links and images of the narrative are rewritten too. What is relative is relative to ``base``, the root of the
    entry's ``fullUrl``, where that is known: it stands in the table under its absolute URL, or becomes that, for on
    this server, whose root is ``own``, the same id is somebody else's.
    """
    copy = _rewritten(resource, lambda text: _target(text, table, base, own))
    narrative = copy.get("text")
    if isinstance(narrative, dict) and isinstance(narrative.get("div"), str):
        div = _LINK.sub(lambda link: f"{link[1]}{_target(link[2], table, base, own)}{link[3]}", narrative["div"])
        copy["text"] = {**narrative, "div": div}
    return copy


def _rewritten(node: dict[str, Any], target: Callable[[str], str]) -> dict[str, Any]:
    copy: dict[str, Any] = {}
    for name, value in node.items():
        kind = type(value)
        if kind is dict:
            copy[name] = _rewritten(value, target)
        elif kind is list:
            copy[name] = [_rewritten(one, target) if type(one) is dict else _uri(name, one, target) for one in value]
        else:
            copy[name] = target(value) if kind is str and _is_uri(name) else value
    return copy


def _uri(name: str, value: Any, target: Callable[[str], str]) -> Any:  # noqa: ANN401 - any JSON value
    return target(value) if type(value) is str and _is_uri(name) else value


@lru_cache(maxsize=4096)
def _is_uri(name: str) -> bool:
    return name == "reference" or _URI_ELEMENTS.search(name) is not None


def _target(text: str, table: Mapping[str, str], base: str | None, own: str | None) -> str:
    """What a reference or URI becomes; a version of what is written anew is dropped."""
    found = table.get(text)
    if found is not None:
        return found
    target, mark, fragment = text.partition("#")
    if mark and target in table:
        return f"{table[target]}#{fragment}"
    # an absolute one stands in the table as it is, if it is not of a version; most are canonical URLs, and many
    parsed = parse(text) if ":" not in text or "/_history/" in text else None
    if parsed is None:
        return text
    root = parsed.base or base
    found = table.get(f"{root}/{parsed.type}/{parsed.id}")
    if found is not None:
        return found if parsed.fragment is None else f"{found}#{parsed.fragment}"
    return f"{base}/{text}" if parsed.base is None and base not in {None, own} else text
