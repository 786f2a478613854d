"""SMART scopes: ``system/Observation.rs``, and their v1 forms.

Granular scopes (``?category=..``) are refused: left out where they are asked for, never widened to the whole type.
https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.security.callers import Role
from hayat_fhir.security.type_classes import CLASSES

_SCOPE = re.compile(r"(?P<context>patient|user|system)/(?P<type>\*|[A-Z][A-Za-z]+)\.(?P<letters>[a-z]+|\*)")
_LONGEST = 100
_ORDER = "cruds"
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}

CONTEXT: Mapping[Role, str] = MappingProxyType(
    {
        Role.PATIENT: "patient",
        Role.DOCTOR: "user",
        Role.STAFF: "user",
        Role.PARTNER: "system",
        Role.SITE: "system",
    }
)
"""The context of a role's scopes; scopes of another context are worth nothing to it."""

EVERYTHING: Mapping[str, frozenset[str]] = MappingProxyType(
    {role.value: frozenset({f"{context}/*.cruds"}) for role, context in CONTEXT.items()}
)
"""The widest scope of each role, which is the default; the policy narrows what it means."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One clinical scope. ``letters``: which of create, read, update, delete, search."""

    context: str
    type: str
    letters: frozenset[str]

    def __str__(self) -> str:
        return f"{self.context}/{self.type}.{''.join(letter for letter in _ORDER if letter in self.letters)}"


@lru_cache(maxsize=1024)
def parse(text: str) -> Scope | None:
    """A clinical scope; None for anything else: granular scopes, types that R4 does not have, letters out of order."""
    match = _SCOPE.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None or (match["type"] != "*" and match["type"] not in CLASSES):
        return None
    letters = _V1.get(match["letters"], match["letters"])
    if "".join(letter for letter in _ORDER if letter in letters) != letters:
        return None
    return Scope(match["context"], match["type"], frozenset(letters))


def registrable(texts: Iterable[str], role: Role = Role.PARTNER) -> tuple[str, ...]:
    """Scopes that a client of a role can be registered with, in canonical form.

    Raises:
        InvalidRequest: One is malformed, granular, of a type that R4 does not have, or of another context.
    """
    scopes = [parse(text) for text in texts]
    if not scopes or any(scope is None or scope.context != CONTEXT[role] for scope in scopes):
        raise InvalidRequest(f"scopes are of the form {CONTEXT[role]}/Type.cruds", code="value")
    return tuple(sorted({str(scope) for scope in scopes}))


def granted(requested: Iterable[str], registered: Iterable[str]) -> frozenset[str]:
    """What a client gets of what it asks for: never more than it is registered for, nor than it asked."""
    owned = [scope for text in registered if (scope := parse(text)) is not None]
    wanted = [scope for text in requested if (scope := parse(text)) is not None]
    return frozenset(
        str(common) for one in wanted for other in owned if (common := intersection(one, other)) is not None
    )


def intersection(one: Scope, other: Scope) -> Scope | None:
    """What both scopes allow; None where that is nothing."""
    letters = one.letters & other.letters
    types = {one.type, other.type} - {"*"}
    if one.context != other.context or not letters or len(types) > 1:
        return None
    return Scope(one.context, types.pop() if types else "*", letters)


@lru_cache(maxsize=4096)
def allows(scopes: frozenset[str], context: str, type: str, letter: str) -> bool:
    """Whether one of the scopes of this context allows this letter on a resource type."""
    return any(
        scope is not None and scope.context == context and scope.type in {"*", type} and letter in scope.letters
        for scope in map(parse, scopes)
    )
