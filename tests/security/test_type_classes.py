"""The rows of the policy's table: every R4 type stands in one class, and open classes name no patient."""

from __future__ import annotations

import pytest

from hayat_fhir.definitions import Definitions
from hayat_fhir.security.callers import Role
from hayat_fhir.security.permissions import RULES, Reach
from hayat_fhir.security.type_classes import CLASSES, SUPPORTING_TYPES, TypeClass, class_of

OPEN = (TypeClass.DIRECTORY, TypeClass.KNOWLEDGE, TypeClass.MATERIAL)


def test_every_type_has_a_class(definitions: Definitions) -> None:
    """All of R4 and nothing else."""
    assert CLASSES.keys() == set(definitions.resource_types)
    assert CLASSES.keys() >= SUPPORTING_TYPES


@pytest.mark.parametrize("name", ["", "Nonsense", "patient", "Patient ", "$export", "Resource", "DomainResource"])
def test_another_name_is_nothing(name: str) -> None:
    """What is no R4 type is stored by nobody."""
    assert class_of(name) is TypeClass.UNSTORED


def test_every_cell_is_filled() -> None:
    """A rule for each role and class; the site itself needs none."""
    assert RULES.keys() == {(role, kind) for role in Role if role is not Role.SITE for kind in TypeClass}


def test_open_types_name_no_patient(definitions: Definitions) -> None:
    """What everybody reads is in no compartment, and no reference of it goes to a patient by definition."""
    everybodys = {type for type, kind in CLASSES.items() if kind in OPEN}
    assert not everybodys & definitions.compartments.keys()
    for row in definitions.search_parameters:
        if row["type"] == "reference" and "Patient" in row.get("target", ()):
            assert not everybodys & set(row["base"]), row["code"]


def test_what_a_patient_reads_in_full_is_open() -> None:
    """Only open classes are read in full by patients and partners."""
    for role in (Role.PATIENT, Role.PARTNER):
        assert {kind for kind in TypeClass if RULES[role, kind].see is Reach.ALL} == set(OPEN)


def test_only_partners_contribute() -> None:
    """A partner writes as its contribution or not at all; nobody else does. Patients write their own consent."""
    for (role, kind), rule in RULES.items():
        writes = {rule.create, rule.update, rule.delete}
        if kind is TypeClass.CONSENT and role is Role.PATIENT:
            assert writes == {Reach.COMPARTMENT, Reach.NOTHING}
        elif role is Role.PARTNER:
            assert writes <= {Reach.CONTRIBUTED, Reach.NOTHING}
        else:
            assert writes <= {Reach.ALL, Reach.NOTHING, Reach.SELF}


def test_nobody_writes_what_they_do_not_see() -> None:
    """A class that a role does not see it does not write either."""
    for rule in RULES.values():
        if rule.see is Reach.NOTHING:
            assert {rule.create, rule.update, rule.delete} == {Reach.NOTHING}
