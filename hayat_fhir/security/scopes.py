"""SMART scopes: ``system/Observation.rs``, and their v1 forms.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_SCOPE = re.compile(r"(?P<context>patient|user|system)/(?P<type>\*|[A-Z][A-Za-z]+)\.(?P<letters>[a-z*]+)")
_ORDER = "cruds"
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}

EVERYTHING = {
    "patient": frozenset({"patient/*.cruds"}),
    "doctor": frozenset({"user/*.cruds"}),
    "staff": frozenset({"user/*.cruds"}),
    "partner": frozenset({"system/*.cruds"}),
    "site": frozenset({"system/*.cruds"}),
}
"""The widest scope of each role; the policy narrows what it means."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One clinical scope. ``letters``: which of create, read, update, delete, search."""

    context: str
    type: str
    letters: frozenset[str]

    def __str__(self) -> str:
        return f"{self.context}/{self.type}.{''.join(letter for letter in _ORDER if letter in self.letters)}"


def parse(text: str) -> Scope | None:
    """A clinical scope; None for anything else, granular scopes (``?category=..``) included."""
    match = _SCOPE.fullmatch(text)
    if match is None:
        return None
    letters = _V1.get(match["letters"], match["letters"])
    if "".join(letter for letter in _ORDER if letter in letters) != letters:
        return None
    return Scope(match["context"], match["type"], frozenset(letters))


def granted(requested: Iterable[str], registered: Iterable[str]) -> frozenset[str]:
    """What a client gets of what it asks for: never more than it is registered for, nor than it asked."""
    owned = [scope for text in registered if (scope := parse(text)) is not None]
    found: set[str] = set()
    for text in requested:
        wanted = parse(text)
        if wanted is None:
            continue
        for own in owned:
            letters = wanted.letters & own.letters
            if wanted.context != own.context or not letters:
                continue
            if own.type in {"*", wanted.type}:
                found.add(str(Scope(wanted.context, wanted.type, letters)))
            elif wanted.type == "*":
                found.add(str(Scope(wanted.context, own.type, letters)))
    return frozenset(found)


def allows(scopes: Iterable[str], type: str, letter: str) -> bool:
    """Whether one of the scopes allows this letter on a resource type."""
    return any(
        scope is not None and scope.type in {"*", type} and letter in scope.letters for scope in map(parse, scopes)
    )
