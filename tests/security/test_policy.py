"""Who may do what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hayat_fhir import definitions
from hayat_fhir.errors import Forbidden, MethodNotAllowed, NotFound, Refusal
from hayat_fhir.security.callers import Caller, Restriction, Role
from hayat_fhir.security.policy import Interaction, Policy, TypeClass, class_of, sees
from hayat_fhir.security.scopes import EVERYTHING, allows, granted

TYPES = sorted(definitions.load().resource_types)
READS = [Interaction.READ, Interaction.VREAD, Interaction.HISTORY, Interaction.SEARCH, Interaction.OPERATION]
WRITES = [Interaction.CREATE, Interaction.UPDATE, Interaction.DELETE]
POLICY = Policy()
OPEN = {TypeClass.DIRECTORY, TypeClass.KNOWLEDGE, TypeClass.MATERIAL}
MANAGED = {
    TypeClass.DIRECTORY,
    TypeClass.SCHEDULING,
    TypeClass.PERSON,
    TypeClass.AUDIT,
    TypeClass.INFRASTRUCTURE,
}

CALLERS = {
    Role.PATIENT: Caller(Role.PATIENT, "a1", "Patient/p1", scopes=EVERYTHING["patient"], patients=frozenset({"p1"})),
    Role.DOCTOR: Caller(Role.DOCTOR, "a2", "Practitioner/d1", scopes=EVERYTHING["doctor"]),
    Role.STAFF: Caller(Role.STAFF, "a3", "Practitioner/s1", scopes=EVERYTHING["staff"]),
    Role.PARTNER: Caller(
        Role.PARTNER,
        "h1",
        "Organization/h1",
        scopes=EVERYTHING["partner"],
        patients=frozenset({"p9"}),
        source="h1",
    ),
}


@dataclass(frozen=True)
class Old:
    """A version that is there."""

    compartments: tuple[str, ...] = ()
    source: str | None = None
    resource: dict[str, Any] | None = None


def restriction(role: Role, interaction: Interaction, type: str) -> Restriction | None:
    """The restriction; None where it is refused."""
    try:
        return POLICY.restriction(CALLERS[role], interaction, type)
    except Refusal:
        return None


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("interaction", READS)
def test_a_patient_sees_their_own_compartment(type: str, interaction: Interaction) -> None:
    """A patient's restriction is their own compartment, but for what holds nobody's data; collectives hold others'."""
    found = restriction(Role.PATIENT, interaction, type)
    if class_of(type) in OPEN:
        hidden = frozenset({"personnel"}) if type in {"Practitioner", "PractitionerRole"} else frozenset()
        assert found == Restriction(everything=True, hidden=hidden)
    elif class_of(type) in {TypeClass.UNSTORED, TypeClass.COLLECTIVE, TypeClass.INFRASTRUCTURE}:
        assert found is None
    else:
        hidden = frozenset({"security-context"}) if type == "Binary" else frozenset()
        assert found == Restriction(compartments=frozenset({"Patient/p1"}), hidden=hidden)


@pytest.mark.parametrize("type", TYPES)
def test_staff_see_nothing_clinical(type: str) -> None:
    """Staff manage people and the directory; of clinical content they see nothing, whatever the interaction."""
    for interaction in [*READS, *WRITES]:
        found = restriction(Role.STAFF, interaction, type)
        if class_of(type) not in MANAGED:
            assert found is None


@pytest.mark.parametrize("type", TYPES)
def test_a_partner_sees_what_is_shared_or_its_own(type: str) -> None:
    """A partner's restriction never goes beyond shared patients and its own contributions."""
    for interaction in [*READS, *WRITES]:
        found = restriction(Role.PARTNER, interaction, type)
        if found is not None and (
            class_of(type) not in OPEN or interaction in {Interaction.UPDATE, Interaction.DELETE}
        ):
            assert not found.everything
            assert found.sources == {"h1"}
            assert found.compartments <= {"Patient/p9"}
            if interaction in {Interaction.UPDATE, Interaction.DELETE}:
                assert not found.compartments


@pytest.mark.parametrize("role", CALLERS)
@pytest.mark.parametrize("type", TYPES)
def test_nobody_sees_restricted_documents(role: Role, type: str) -> None:
    """Documents labelled restricted are not visible to any role that comes over a network."""
    for interaction in [*READS, *WRITES]:
        found = restriction(role, interaction, type)
        assert found is None or not found.restricted


@pytest.mark.parametrize("role", CALLERS)
@pytest.mark.parametrize("interaction", WRITES)
def test_nobody_writes_audit_events(role: Role, interaction: Interaction) -> None:
    """Audit events are written by the server only."""
    with pytest.raises(MethodNotAllowed):
        POLICY.restriction(CALLERS[role], interaction, "AuditEvent")


def test_doctors_do_not_read_the_audit_trail() -> None:
    """The audit trail is for staff, and each patient's own part for the patient."""
    assert restriction(Role.DOCTOR, Interaction.SEARCH, "AuditEvent") is None
    assert restriction(Role.STAFF, Interaction.SEARCH, "AuditEvent") == Restriction(everything=True)


def test_scopes_narrow_the_role() -> None:
    """Without the letter there is no interaction: reading is not searching."""
    reader = Caller(Role.DOCTOR, "a", scopes=frozenset({"user/Observation.r"}))
    assert POLICY.restriction(reader, Interaction.READ, "Observation") == Restriction(everything=True)
    for interaction, type in ((Interaction.SEARCH, "Observation"), (Interaction.READ, "Condition")):
        with pytest.raises(Forbidden):
            POLICY.restriction(reader, interaction, type)


def test_a_write_is_judged_on_both_versions() -> None:
    """What was there decides as well as what comes."""
    partner, doctor, patient = CALLERS[Role.PARTNER], CALLERS[Role.DOCTOR], CALLERS[Role.PATIENT]
    observation = {"resourceType": "Observation", "id": "1"}
    label = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}
    own, foreign = Old(("Patient/p1",), "h1", observation), Old(("Patient/p9",), None, observation)

    POLICY.check_write(partner, Interaction.UPDATE, "Observation", observation, (), own)
    with pytest.raises(NotFound):
        POLICY.check_write(partner, Interaction.UPDATE, "Observation", observation, (), foreign)
    restricted = Old(("Patient/p1",), None, {**observation, "meta": label})
    with pytest.raises(NotFound):
        POLICY.check_write(doctor, Interaction.UPDATE, "Observation", observation, (), restricted)
    with pytest.raises(Forbidden):
        POLICY.check_write(doctor, Interaction.CREATE, "Patient", {"id": "x"}, ("Patient/x",), None)
    with pytest.raises(Forbidden):
        POLICY.check_write(patient, Interaction.CREATE, "Observation", observation, ("Patient/p1",), None)
    with pytest.raises(Forbidden):
        POLICY.check_write(
            patient, Interaction.UPDATE, "Patient", {"id": "p2"}, ("Patient/p2",), Old(("Patient/p2",), None, {})
        )
    with pytest.raises(Forbidden):
        POLICY.check_write(patient, Interaction.CREATE, "Patient", {"id": "none"}, ("Patient/none",), None)
    POLICY.check_write(
        patient, Interaction.UPDATE, "Patient", {"id": "p1"}, ("Patient/p1",), Old(("Patient/p1",), None, {})
    )
    with pytest.raises(Forbidden):
        POLICY.check_write(doctor, Interaction.UPDATE, "Practitioner", {"id": "d2"}, (), Old((), None, {"id": "d2"}))


def test_sees() -> None:
    """Compartments or source let a document through; a restricted one only where restricted ones are visible."""
    limited = Restriction(compartments=frozenset({"Patient/1"}), sources=frozenset({"h"}))
    assert sees(limited, ("Patient/1",), None, restricted=False)
    assert sees(limited, (), "h", restricted=False)
    assert not sees(limited, ("Patient/2",), "x", restricted=False)
    assert not sees(limited, ("Patient/1",), "h", restricted=True)
    assert not sees(Restriction(everything=True), (), None, restricted=True)


CONTEXTS = ["system", "user", "patient"]
SCOPES = st.lists(
    st.builds(
        "{}/{}.{}".format,
        st.sampled_from(CONTEXTS),
        st.sampled_from(["*", "Patient", "Observation", "patient", "Observation?category=x"]),
        st.sampled_from(["rs", "cruds", "r", "s", "read", "write", "*", "sr", "x", ""]),
    ),
    max_size=4,
)


@given(
    SCOPES,
    SCOPES,
    st.sampled_from(CONTEXTS),
    st.sampled_from(["Patient", "Observation", "Condition"]),
    st.sampled_from("cruds"),
)
def test_granted_is_what_both_sides_allow(
    requested: list[str], registered: list[str], context: str, type: str, letter: str
) -> None:
    """What a client gets it asked for, and is registered for; and it gets all of that."""
    both = all(allows(frozenset(side), context, type, letter) for side in (requested, registered))
    assert allows(granted(requested, registered), context, type, letter) == both
