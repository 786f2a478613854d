"""Security labels: the confidentiality of a resource, and whether a new version lowers it.

https://hl7.org/fhir/R4/security-labels.html, https://terminology.hl7.org/CodeSystem-v3-Confidentiality.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_LEVELS = {"U": 1, "L": 2, "M": 3, "N": 4, "R": 5, "V": 6}
_UNLABELLED = 0
_RESTRICTED = _LEVELS["R"]


def is_restricted(resource: Mapping[str, Any] | None) -> bool:
    """Whether a resource, or one contained in it, is labelled restricted (R) or very restricted (V)."""
    return _level(resource) >= _RESTRICTED


def lowers(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> bool:
    """Whether ``new`` is less confidential than ``old``, or has lost another of its labels.

    A deletion lowers nothing: the labels stay with the versions that bore them.
    """
    if old is None or new is None:
        return False
    return _level(new) < _level(old) or not _others(old) <= _others(new)


def labels(resource: Mapping[str, Any] | None) -> frozenset[tuple[str | None, str | None]]:
    """All labels (system, code) of a resource itself."""
    return frozenset((label.get("system"), label.get("code")) for label in _labels(resource or {}))


def _level(resource: Mapping[str, Any] | None) -> int:
    """The high-water mark over the resource and what it contains."""
    level = _UNLABELLED
    if resource is None:
        return level
    for part in (resource, *resource.get("contained", ())):
        for label in _labels(part):
            if label.get("system", _CONFIDENTIALITY) == _CONFIDENTIALITY:
                level = max(level, _LEVELS.get(label.get("code", ""), _UNLABELLED))
    return level


def _others(resource: Mapping[str, Any]) -> frozenset[tuple[str | None, str | None]]:
    return frozenset(label for label in labels(resource) if label[0] not in (None, _CONFIDENTIALITY))


def _labels(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from resource.get("meta", {}).get("security", ())
