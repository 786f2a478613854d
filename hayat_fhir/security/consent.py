"""What patients' Consents say of a partner hospital: pure.

A Consent names the partner's Organization as actor, and may be limited in time (``provision.period``) and to
resource types (``provision.class``). A refusal outweighs a permission, and a permission that has run out permits
nothing. Where no Consent names the partner, the explicit share alone decides.
https://hl7.org/fhir/R4/consent.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hayat_fhir.errors import Unprocessable
from hayat_fhir.fhir.dates import bounds
from hayat_fhir.security.type_classes import CLASSES

_RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"
_PRIVACY = "patient-privacy"
_KINDS = frozenset({"permit", "deny"})
_WITHDRAWN = frozenset({"inactive", "rejected"})
_ENFORCED = frozenset({"type", "period", "actor", "class", "provision", "id"})
_ACTORS = frozenset({"role", "reference", "id"})
_DEEPEST = 4
_ORGANIZATION = re.compile(r"Organization/([A-Za-z0-9\-.]{1,64})")
"""The one form of a reference in which a partner is found; a version, a URL or a fragment would name nobody."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Which of a patient's resource types a partner may have: ``only`` these (None: all) ``but`` those.

    ``given``: the patient permits it. Else an explicit share is needed, and these terms narrow it.
    """

    only: frozenset[str] | None = None
    but: frozenset[str] = frozenset()
    given: bool = False

    @property
    def nothing(self) -> bool:
        """Whether the partner may have nothing at all."""
        return self.only is not None and not self.only - self.but

    def allow(self, type: str) -> bool:
        """Whether the partner may have resources of this type; who the patient is goes with anything else."""
        if type == "Patient":
            return not self.nothing
        return (self.only is None or type in self.only) and type not in self.but


NOTHING = Terms(frozenset())
"""The terms of a patient who has withdrawn."""


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: str | None
    actors: tuple[str, ...]
    types: frozenset[str]
    period: Mapping[str, Any]
    enforced: bool

    def applies(self, moment: int) -> bool:
        """Whether its period, which runs to the last moment of its end, holds at this moment."""
        try:
            begun = "start" not in self.period or bounds(self.period["start"])[0] <= moment
            return begun and ("end" not in self.period or moment <= bounds(self.period["end"])[1])
        except ValueError:
            return self.kind == "deny"


def terms(consents: Iterable[Mapping[str, Any]], partner: str, now: datetime) -> Terms | None:
    """What one patient's Consents say of this partner (an Organization id) now; None where they do not name it.

    Those in force decide; where there is none, one that was withdrawn or refused forbids everything. A permission
    with a condition that this server cannot check permits nothing; a refusal with one refuses.
    """
    moment = round(now.astimezone(UTC).timestamp() * 1000)
    found = [(consent.get("status"), list(_naming(consent, partner))) for consent in consents]
    rules = [rule for status, named in found if status == "active" for rule in named]
    if not rules:
        withdrawn = any(rule.kind == "permit" for status, named in found if status in _WITHDRAWN for rule in named)
        return NOTHING if withdrawn else None
    permits = [rule for rule in rules if rule.kind == "permit"]
    holding = [rule for rule in permits if rule.enforced and rule.applies(moment)]
    only = None if not permits or any(not rule.types for rule in holding) else _all_of(holding)
    refusals = [rule for rule in rules if rule.kind == "deny" and rule.applies(moment)]
    if any(not rule.types for rule in refusals):
        return NOTHING
    return Terms(only, _all_of(refusals), bool(holding))


def check_consent(resource: Mapping[str, Any]) -> None:
    """Refuse a Consent that would promise what this server does not enforce.

    That those whom it names are partners is left to ``recipients`` and whoever knows them.

    Raises:
        Unprocessable: It is not about privacy, names no organization, or has conditions of another kind.
    """
    codes = {coding.get("code") for coding in resource.get("scope", {}).get("coding", ())}
    if _PRIVACY not in codes:
        raise _refused("scope", "the scope must be patient-privacy")
    if not isinstance(resource.get("provision"), dict):
        raise _refused("provision", "a provision must say who may have what")
    rules = list(_rules(resource["provision"], _Rule(None, (), frozenset(), {}, enforced=True), 0))
    if not any(rule.kind in _KINDS for rule in rules):
        raise _refused("provision.type", "a provision permits or denies")
    for rule in rules:
        if not rule.enforced:
            raise _refused("provision", "only type, period, actor and class (resource types) are enforced here")
        if rule.kind and not (rule.actors and all(_ORGANIZATION.fullmatch(actor) for actor in rule.actors)):
            raise _refused("provision.actor", "the organization that it is about must be named: Organization/[id]")


def recipients(resource: Mapping[str, Any]) -> frozenset[str]:
    """The ids of the Organizations that a Consent is about."""
    rules = _rules(resource["provision"], _Rule(None, (), frozenset(), {}, enforced=True), 0)
    found = (_ORGANIZATION.fullmatch(actor) for rule in rules for actor in rule.actors)
    return frozenset(one[1] for one in found if one is not None)


def _naming(consent: Mapping[str, Any], partner: str) -> Iterator[_Rule]:
    provision = consent.get("provision")
    if isinstance(provision, dict):
        for rule in _rules(provision, _Rule(None, (), frozenset(), {}, enforced=True), 0):
            if rule.kind in _KINDS and f"Organization/{partner}" in rule.actors:
                yield rule


def _rules(provision: Mapping[str, Any], above: _Rule, depth: int) -> Iterator[_Rule]:
    """A provision and the exceptions within it, which hold for the same actors and time unless they say otherwise."""
    codings = provision.get("class", ())
    types = frozenset(coding.get("code", "") for coding in codings)
    actors = tuple(actor.get("reference", {}).get("reference", "") for actor in provision.get("actor", ()))
    enforced = (
        _ENFORCED.issuperset(provision)
        and all(_ACTORS.issuperset(actor) for actor in provision.get("actor", ()))
        and all(coding.get("system") == _RESOURCE_TYPES and coding.get("code") in CLASSES for coding in codings)
        and depth < _DEEPEST
    )
    rule = _Rule(
        provision.get("type"),
        actors or above.actors,
        types or above.types,
        provision.get("period") or above.period,
        enforced,
    )
    yield rule
    if depth < _DEEPEST:
        for exception in provision.get("provision", ()):
            yield from _rules(exception, rule, depth + 1)


def _all_of(rules: Iterable[_Rule]) -> frozenset[str]:
    return frozenset().union(*(rule.types for rule in rules))


def _refused(where: str, why: str) -> Unprocessable:
    return Unprocessable(why, code="not-supported", expression=[f"Consent.{where}"])


@dataclass(frozen=True, slots=True)
class Shared:
    """The patients that a partner sees (ids), and what of those whose Consents name it: of some, nothing."""

    patients: frozenset[str] = field(default_factory=frozenset)
    limits: frozenset[tuple[str, Terms]] = field(default_factory=frozenset)
