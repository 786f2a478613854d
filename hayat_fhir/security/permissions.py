"""The policy's table: for each role and class of types, how far each kind of interaction reaches.

What is not in the table is forbidden. The site itself sees and writes everything but audit events, which nobody
writes through a door. "All" never includes documents labelled restricted: those only the site itself sees.

A partner may update its Provenance because a share that is sent again arrives as an update; each version stays.
Material (Medication, Substance, ..) is open like the directory: R4 gives it no element that refers to a patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from hayat_fhir.security.callers import Role
from hayat_fhir.security.type_classes import TypeClass


class Reach(StrEnum):
    """How far an interaction reaches within a type."""

    NOTHING = "--"
    ALL = ".."
    COMPARTMENT = "oo"
    """What is in the compartment of the caller's own Patient."""
    SHARED = "ss"
    """What is in the compartment of a patient shared with the partner, or was contributed by it."""
    CONTRIBUTED = "cc"
    """What the partner itself contributed; to create: as its contribution."""
    SELF = "me"
    """The resource that stands for the caller."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One cell of the table. ``see``: read, vread, history, search and operations."""

    see: Reach
    create: Reach
    update: Reach
    delete: Reach


_ROLES = (Role.PATIENT, Role.DOCTOR, Role.STAFF, Role.PARTNER)
_TABLE = """
                patient        doctor         staff          partner
directory       .. -- -- --    .. -- me --    .. .. .. ..    .. cc cc cc
scheduling      oo -- -- --    .. -- -- --    .. .. .. ..    ss cc cc cc
knowledge       .. -- -- --    .. -- -- --    -- -- -- --    .. -- -- --
material        .. -- -- --    .. .. .. ..    -- -- -- --    .. cc cc cc
person          oo -- me --    .. -- -- --    .. .. .. ..    ss cc cc cc
clinical        oo -- -- --    .. .. .. ..    -- -- -- --    ss cc cc cc
consent         oo oo oo --    .. -- -- --    -- -- -- --    cc cc cc cc
financial       oo -- -- --    .. -- -- --    -- -- -- --    ss cc cc cc
collective      -- -- -- --    .. .. .. ..    -- -- -- --    cc cc cc cc
provenance      oo -- -- --    .. .. -- --    -- -- -- --    ss cc cc --
audit           oo -- -- --    -- -- -- --    .. -- -- --    -- -- -- --
infrastructure  -- -- -- --    -- -- -- --    .. .. .. ..    cc cc cc cc
unstored        -- -- -- --    -- -- -- --    -- -- -- --    -- -- -- --
"""
"""Each cell: see, create, update, delete."""


def _rules(table: str) -> Mapping[tuple[Role, TypeClass], Rule]:
    _, *lines = table.strip().splitlines()
    rules: dict[tuple[Role, TypeClass], Rule] = {}
    for line in lines:
        name, *cells = line.split()
        for column, role in enumerate(_ROLES):
            see, create, update, delete = map(Reach, cells[4 * column : 4 * column + 4])
            rules[role, TypeClass(name)] = Rule(see, create, update, delete)
    return MappingProxyType(rules)


RULES = _rules(_TABLE)
"""The rule of each role, but the site's own, for each class."""
