"""Who may do what: a decision that becomes part of the query, never a filter afterwards.

Every resource type belongs to one class (``type_classes``), and for every role and class the table in
``permissions`` says how far each interaction reaches. What no rule allows is forbidden.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol

from hayat_fhir.errors import Forbidden, MethodNotAllowed, NotFound
from hayat_fhir.security.authorship import check_author
from hayat_fhir.security.callers import UNRESTRICTED, Caller, Restriction, Role
from hayat_fhir.security.consent import Terms, check_consent
from hayat_fhir.security.labels import is_restricted, labels, lowers
from hayat_fhir.security.permissions import RULES, Reach
from hayat_fhir.security.personnel import PERSONNEL, PERSONNEL_TYPES
from hayat_fhir.security.scopes import CONTEXT, allows
from hayat_fhir.security.security_context import SECURITY_CONTEXT, leaves_context
from hayat_fhir.security.type_classes import SUPPORTING_TYPES, TypeClass, class_of

__all__ = [
    "SUPPORTING_TYPES",
    "Interaction",
    "Old",
    "Policy",
    "TypeClass",
    "class_of",
    "is_restricted",
    "sees",
]


class Interaction(StrEnum):
    """What is asked for."""

    READ = "read"
    VREAD = "vread"
    HISTORY = "history"
    SEARCH = "search"
    OPERATION = "operation"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


_LETTER = {
    Interaction.READ: "r",
    Interaction.VREAD: "r",
    Interaction.HISTORY: "r",
    Interaction.OPERATION: "r",
    Interaction.SEARCH: "s",
    Interaction.CREATE: "c",
    Interaction.UPDATE: "u",
    Interaction.DELETE: "d",
}
_OPEN = frozenset({TypeClass.DIRECTORY, TypeClass.MATERIAL})
"""Classes that everybody reads all of, and that others than the site write."""

_CHANGES = frozenset({Interaction.UPDATE, Interaction.DELETE})
_WRITES = _CHANGES | {Interaction.CREATE}
_VOUCHED = ("identifier", "active", "link", "managingOrganization")
"""What the site vouches for in the entry of a person: they do not change it themselves. Records find their patient
by identifier, so a patient who could choose one would be sent another's."""


class Old(Protocol):
    """The version that a write replaces."""

    @property
    def compartments(self) -> tuple[str, ...]:
        """``Patient/id`` references."""

    @property
    def source(self) -> str | None:
        """The partner that contributed it."""

    @property
    def resource(self) -> dict[str, Any] | None:
        """Its content; None where it is deleted."""


def sees(restriction: Restriction, compartments: tuple[str, ...], source: str | None, *, restricted: bool) -> bool:
    """Whether a restriction lets through a document with these marks: what the store puts into its queries."""
    withheld = restricted and not restriction.restricted and not restriction.opened.intersection(compartments)
    if withheld or restriction.hidden.intersection(compartments):
        return False
    if restriction.everything:
        return True
    return bool(restriction.compartments.intersection(compartments)) or (
        source is not None and source in restriction.sources
    )


class Policy:
    """Decides; it knows no store and looks nothing up."""

    def restriction(self, caller: Caller, interaction: Interaction, type: str) -> Restriction:
        """What of a type the caller may see or touch with this interaction.

        A creation's restriction is what its condition may match: what the caller sees.

        Raises:
            Forbidden: Nothing: the role or the scopes do not allow it.
            MethodNotAllowed: The interaction is nobody's: audit events are not written through a door.
        """
        kind = class_of(type)
        if kind is TypeClass.AUDIT and interaction in _WRITES:
            raise MethodNotAllowed("audit events are written by the server only")
        if caller.role is Role.SITE:
            return UNRESTRICTED
        reach = _reach(caller, interaction, type, kind)
        if reach is Reach.NOTHING:
            raise Forbidden("the role does not allow this")
        if not allows(caller.scopes, CONTEXT[caller.role], type, _LETTER[interaction]):
            raise Forbidden("the token's scopes do not allow this")
        if interaction is Interaction.CREATE:
            reach = RULES[caller.role, kind].see
        found = _restriction(caller, reach, type)
        if caller.emergency:
            found = replace(found, opened=_broken(caller.emergency))
        if type in PERSONNEL_TYPES and caller.role is not Role.STAFF:
            return replace(found, hidden=_PERSONNEL)
        if type == "Binary" and interaction not in _CHANGES:
            return replace(found, hidden=_OF_A_CONTEXT)
        return found

    def shows(self, caller: Caller, type: str, stored: Old) -> bool:
        """Whether the caller may read this version: what was found for another reason is shown only then."""
        try:
            restriction = self.restriction(caller, Interaction.READ, type)
        except Forbidden:
            return False
        return sees(restriction, stored.compartments, stored.source, restricted=is_restricted(stored.resource))

    def check_write(
        self,
        caller: Caller,
        interaction: Interaction,
        type: str,
        new: dict[str, Any] | None,
        compartments: tuple[str, ...],
        old: Old | None,
    ) -> None:
        """Judge a write on both versions: the one it replaces, and the one it makes (None: a deletion).

        ``compartments`` are those of the new version. ``old`` is the current version, a deletion included.

        Whether an entry is the caller's own is told by its id alone, so that the answer says nothing of what exists.

        Raises:
            Forbidden: The role, the scopes or the change itself.
            NotFound: The caller may not know of the old version.
            MethodNotAllowed: Audit events.
        """
        restriction = self.restriction(caller, interaction, type)
        if caller.role is Role.SITE:
            return
        check_author(caller, type, new, old)
        kind = class_of(type)
        reach = _reach(caller, interaction, type, kind)
        if reach is Reach.SELF and (new is None or f"{type}/{new.get('id')}" not in _own_references(caller, type)):
            raise Forbidden("only the own entry may be updated")
        if old is not None and not _may_touch(caller, restriction, old):
            raise NotFound("no such resource")
        if type == "Consent" and caller.role is Role.PATIENT and new is not None:
            _check_own(old)
            check_consent(new)
        if reach is Reach.COMPARTMENT and not (compartments and restriction.compartments.issuperset(compartments)):
            raise Forbidden("only what is the caller's own may be written", expression=[type])
        if reach is Reach.CONTRIBUTED and caller.source is None:
            raise Forbidden("a contribution needs a partner")
        if reach is Reach.SELF and new is not None and old is not None:
            _check_vouched(type, new, old)
        if old is not None and lowers(old.resource, new):
            raise Forbidden("a security label must not be lowered", expression=[f"{type}.meta.security"])
        if type == "Binary" and new is not None and old is not None and leaves_context(new, old.resource):
            raise Forbidden("a Binary keeps its security context", expression=["Binary.securityContext"])
        if new is not None and old is not None and caller.role is not Role.PARTNER:
            _check_move(restriction, compartments, old)
        if new is not None and "contained" in new and (compartments or kind in _OPEN):
            _check_contained(new, compartments, type)


def _reach(caller: Caller, interaction: Interaction, type: str, kind: TypeClass) -> Reach:
    rule = RULES[caller.role, kind]
    match interaction:
        case Interaction.CREATE:
            return rule.create
        case Interaction.UPDATE if rule.update is Reach.SELF:
            return Reach.SELF if _own_references(caller, type) else Reach.NOTHING
        case Interaction.UPDATE:
            return rule.update
        case Interaction.DELETE:
            return rule.delete
        case _:
            return rule.see


def _own_references(caller: Caller, type: str) -> frozenset[str]:
    """The entries of this type that stand for the caller."""
    if type == "Patient":
        return _compartments(caller.patients)
    reference = caller.reference or ""
    return frozenset({reference}) if reference.startswith(f"{type}/") else frozenset()


def _restriction(caller: Caller, reach: Reach, type: str) -> Restriction:
    """A reach as a restriction. A person's own entry of the directory is narrowed by ``check_write``."""
    own = _consented(caller.patients, caller.limits, type) if caller.limits else _compartments(caller.patients)
    contributed = frozenset[str]() if caller.source is None else frozenset({caller.source})
    match reach:
        case Reach.ALL:
            return _ALL
        case Reach.SELF:
            return Restriction(compartments=own) if caller.role is Role.PATIENT else _ALL
        case Reach.COMPARTMENT:
            return Restriction(compartments=own)
        case Reach.SHARED:
            return Restriction(compartments=own, sources=contributed)
        case Reach.CONTRIBUTED:
            return Restriction(sources=contributed)
        case Reach.NOTHING:
            raise Forbidden("the role does not allow this")


_ALL = Restriction(everything=True)
_PERSONNEL = frozenset({PERSONNEL})
_OF_A_CONTEXT = frozenset({SECURITY_CONTEXT})


@lru_cache(maxsize=1024)
def _compartments(patients: frozenset[str]) -> frozenset[str]:
    return frozenset(f"Patient/{patient}" for patient in patients)


@lru_cache(maxsize=1024)
def _broken(emergency: frozenset[tuple[str, float]]) -> frozenset[str]:
    return frozenset(f"Patient/{patient}" for patient, _ in emergency)


@lru_cache(maxsize=1024)
def _consented(patients: frozenset[str], limits: frozenset[tuple[str, Terms]], type: str) -> frozenset[str]:
    """The compartments of those patients who consent to this type."""
    return _compartments(patients - {patient for patient, terms in limits if not terms.allow(type)})


def _may_touch(caller: Caller, restriction: Restriction, old: Old) -> bool:
    """A partner touches what it contributed; everybody else what they see."""
    restricted = is_restricted(old.resource)
    if caller.role is Role.PARTNER:
        return caller.source is not None and old.source == caller.source and not restricted
    return sees(restriction, old.compartments, old.source, restricted=restricted)


def _check_vouched(type: str, new: dict[str, Any], old: Old) -> None:
    """People do not change what the site vouches for in their own entry, nor its labels."""
    before = old.resource or {}
    changed = [name for name in _VOUCHED if new.get(name) != before.get(name)]
    if labels(new) != labels(before):
        changed.append("meta.security")
    if changed:
        raise Forbidden("the site vouches for this", expression=[f"{type}.{name}" for name in changed])


def _check_own(old: Old | None) -> None:
    """What another hospital contributed stays its word, which decides nothing here: a patient says so in one's own."""
    if old is not None and old.resource is not None and old.source is not None:
        raise Forbidden("this Consent came from another hospital and counts there; write another one here")


def _check_move(restriction: Restriction, compartments: tuple[str, ...], old: Old) -> None:
    """A record moves from one patient to another only where the caller sees both."""
    if restriction.everything:
        return
    if not restriction.compartments.issuperset({*compartments} ^ {*old.compartments}):
        raise Forbidden("a record must not be moved to or from a patient out of sight")


def _check_contained(new: dict[str, Any], compartments: tuple[str, ...], type: str) -> None:
    """What a resource contains is shown to whoever sees the resource: it is about the same patients."""
    pending: list[Any] = [new["contained"]]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            reference = value.get("reference")
            if isinstance(reference, str) and _patient(reference) not in {None, *compartments}:
                raise Forbidden("a contained resource is about another patient", expression=[f"{type}.contained"])
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def _patient(reference: str) -> str | None:
    """The patient of a relative reference, without its version."""
    parts = reference.split("/")
    return "/".join(parts[:2]) if parts[0] == "Patient" and len(parts) > 1 else None
