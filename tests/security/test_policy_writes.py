"""Writes: judged on both versions, by role, scope, source, label and what is inside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hayat_fhir.errors import Forbidden, MethodNotAllowed, NotFound, Refusal
from hayat_fhir.security.callers import UNRESTRICTED, Caller, Restriction, Role
from hayat_fhir.security.labels import is_restricted, lowers
from hayat_fhir.security.permissions import RULES, Reach
from hayat_fhir.security.policy import Interaction, Policy, sees
from hayat_fhir.security.scopes import EVERYTHING
from hayat_fhir.security.type_classes import CLASSES, TypeClass, class_of

POLICY = Policy()
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
PATIENT = Caller(
    Role.PATIENT, "account", "Patient/own", scopes=EVERYTHING["patient"], patients=frozenset({"own"}), source=None
)
DOCTOR = Caller(Role.DOCTOR, "account", "Practitioner/own", scopes=EVERYTHING["doctor"])
STAFF = Caller(Role.STAFF, "account", "Practitioner/own", scopes=EVERYTHING["staff"])
PARTNER = Caller(
    Role.PARTNER, "one", "Organization/one", scopes=EVERYTHING["partner"], patients=frozenset({"shared"}), source="one"
)
SITE = Caller(Role.SITE, "site")
UPDATE, CREATE, DELETE = Interaction.UPDATE, Interaction.CREATE, Interaction.DELETE


@dataclass(frozen=True)
class Old:
    """A stored version."""

    compartments: tuple[str, ...] = ()
    source: str | None = None
    resource: dict[str, Any] | None = None


def labelled(*codes: str, system: str | None = CONFIDENTIALITY, **content: Any) -> dict[str, Any]:
    """A resource with security labels."""
    labels = [{"code": code} if system is None else {"system": system, "code": code} for code in codes]
    return {**content, "meta": {"security": labels}}


def update(caller: Caller, type: str, old: Old, **changes: Any) -> None:
    """Change some elements of the stored version."""
    new = {**(old.resource or {}), **changes}
    POLICY.check_write(caller, UPDATE, type, new, old.compartments, old)


@pytest.mark.parametrize("caller", [PATIENT, DOCTOR, STAFF, PARTNER, SITE])
@pytest.mark.parametrize("interaction", [CREATE, UPDATE, DELETE])
def test_nobody_writes_audit_events(caller: Caller, interaction: Interaction) -> None:
    """Not even the site itself: the audit log has a way of its own."""
    with pytest.raises(MethodNotAllowed):
        POLICY.check_write(caller, interaction, "AuditEvent", {}, (), None)


def test_a_patient_changes_their_own_entry() -> None:
    """Address, telecom, contacts; what the site vouches for, and labels, they do not."""
    stored = {"id": "own", "identifier": [{"system": "urn:a", "value": "1"}], "active": True, "gender": "other"}
    old = Old(("Patient/own",), None, stored)
    update(PATIENT, "Patient", old, address=[{"city": "x"}], gender="female", name=[{"text": "x"}])
    for change in (
        {"identifier": [{"system": "urn:a", "value": "2"}]},
        {"identifier": None},
        {"active": False},
        {"link": [{"other": {"reference": "Patient/other"}, "type": "seealso"}]},
        {"managingOrganization": {"reference": "Organization/x"}},
        {"meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}},
        {"meta": {"security": [{"system": CONFIDENTIALITY, "code": "N"}]}},
    ):
        with pytest.raises(Forbidden) as refused:
            update(PATIENT, "Patient", old, **change)
        assert refused.value.issues[0].expression


@pytest.mark.parametrize("id", ["other", "", None, 7, "Own", "own/_history/1"])
def test_another_entry_is_refused_whether_it_exists_or_not(id: Any) -> None:
    """One answer for what is there and what is not, for patients and doctors alike."""
    for caller, type in ((PATIENT, "Patient"), (DOCTOR, "Practitioner")):
        answers = set()
        for interaction, old in (
            (UPDATE, Old((f"Patient/{id}",), None, {"id": id})),
            (CREATE, Old((f"Patient/{id}",), None, None)),
            (CREATE, None),
        ):
            with pytest.raises(Refusal) as refused:
                POLICY.check_write(caller, interaction, type, {"id": id}, (f"Patient/{id}",), old)
            answers.add((refused.value.category, refused.value.issues[0].code))
        assert len(answers) == 1


def test_nobody_deletes_or_brings_back_their_own_entry() -> None:
    """A person stays until staff say otherwise."""
    for caller, type in ((PATIENT, "Patient"), (DOCTOR, "Practitioner")):
        with pytest.raises(Forbidden):
            POLICY.check_write(caller, DELETE, type, None, (), Old(("Patient/own",), None, {"id": "own"}))
        with pytest.raises(Forbidden):
            POLICY.check_write(caller, CREATE, type, {"id": "own"}, ("Patient/own",), Old(("Patient/own",), None, None))


def test_a_doctor_changes_their_own_entry() -> None:
    """Their own Practitioner, without what the site vouches for; nothing else of the directory."""
    old = Old((), None, {"id": "own", "active": True})
    update(DOCTOR, "Practitioner", old, telecom=[{"value": "x"}])
    with pytest.raises(Forbidden):
        update(DOCTOR, "Practitioner", old, active=False)
    with pytest.raises(Forbidden):
        update(DOCTOR, "PractitionerRole", Old((), None, {"id": "own"}))
    with pytest.raises(Forbidden):
        update(replace(DOCTOR, reference=None), "Practitioner", old)
    with pytest.raises(Forbidden):
        update(replace(DOCTOR, reference="Practitioner"), "Practitioner", old)


def test_a_partner_changes_what_it_contributed() -> None:
    """And nothing else, shared or open though it may be; such a thing does not exist for it."""
    update(PARTNER, "Observation", Old(("Patient/any",), "one", {"id": "x"}), status="final")
    for type in ("Observation", "Practitioner", "Medication", "Patient", "Provenance"):
        for source in (None, "two"):
            with pytest.raises(NotFound):
                update(PARTNER, type, Old(("Patient/shared",), source, {"id": "x"}))
            with pytest.raises(NotFound):
                POLICY.check_write(PARTNER, CREATE, type, {"id": "x"}, (), Old((), source, None))
    for source in (None, "two"):
        with pytest.raises(NotFound):
            POLICY.check_write(PARTNER, DELETE, "Observation", None, (), Old(("Patient/shared",), source, {}))


def test_without_a_source_nothing_is_contributed() -> None:
    """A partner of no known source writes nothing, and what has no source is not its own."""
    nobody = replace(PARTNER, source=None)
    with pytest.raises(Forbidden):
        POLICY.check_write(nobody, CREATE, "Observation", {}, (), None)
    with pytest.raises(NotFound):
        update(nobody, "Observation", Old((), None, {}))
    assert POLICY.restriction(nobody, Interaction.SEARCH, "Group") == Restriction()


def test_a_contribution_may_be_medication() -> None:
    """What a shared history refers to comes with it, and comes again."""
    for type in ("Medication", "Device", "Practitioner", "Organization", "Location", "HealthcareService"):
        POLICY.check_write(PARTNER, CREATE, type, {"id": "x"}, (), None)
        update(PARTNER, type, Old((), "one", {"id": "x"}))


def test_provenance_is_added_to() -> None:
    """A doctor adds; a share that comes again may bring it again; nobody deletes."""
    POLICY.check_write(DOCTOR, CREATE, "Provenance", {}, ("Patient/any",), None)
    update(PARTNER, "Provenance", Old(("Patient/any",), "one", {"id": "x"}))
    for caller, source in ((DOCTOR, None), (PARTNER, "one"), (STAFF, None), (PATIENT, None)):
        with pytest.raises(Forbidden):
            POLICY.check_write(caller, DELETE, "Provenance", None, (), Old(("Patient/own",), source, {}))
    with pytest.raises(Forbidden):
        update(DOCTOR, "Provenance", Old(("Patient/any",), None, {"id": "x"}))


@pytest.mark.parametrize(("before", "after"), [("N", "L"), ("N", "U"), ("M", "L"), ("L", "U"), ("N", "x"), ("L", None)])
def test_a_label_is_not_lowered(before: str, after: str | None) -> None:
    """Neither exchanged for a lesser one nor left out; raised it may be."""
    high = labelled(before, id="x")
    low = labelled(after, id="x") if after else {"id": "x"}
    for caller, source in ((DOCTOR, None), (PARTNER, "one")):
        with pytest.raises(Forbidden):
            POLICY.check_write(caller, UPDATE, "Observation", low, (), Old((), source, high))
        POLICY.check_write(caller, UPDATE, "Observation", high, (), Old((), source, low))
        POLICY.check_write(caller, UPDATE, "Observation", labelled("R"), (), Old((), source, high))
    POLICY.check_write(SITE, UPDATE, "Observation", low, (), Old((), None, high))


def test_other_labels_stay() -> None:
    """A sensitivity is not taken away; another may be added."""
    system = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    old = Old((), None, labelled("PSY", system=system))
    POLICY.check_write(DOCTOR, UPDATE, "Observation", labelled("PSY", "HIV", system=system), (), old)
    for new in ({}, labelled("HIV", system=system), labelled("N")):
        with pytest.raises(Forbidden):
            POLICY.check_write(DOCTOR, UPDATE, "Observation", new, (), old)


@pytest.mark.parametrize("code", ["R", "V"])
def test_restricted_documents_are_the_sites_own(code: str) -> None:
    """For everybody else they do not exist, not even for the partner that contributed them."""
    restricted = labelled(code, id="own")
    assert is_restricted(restricted)
    assert is_restricted(labelled(code, system=None))
    assert is_restricted({"contained": [{}, restricted]})
    for caller, source in ((DOCTOR, None), (PARTNER, "one")):
        for interaction, new in ((UPDATE, restricted), (DELETE, None)):
            with pytest.raises(NotFound):
                POLICY.check_write(caller, interaction, "Observation", new, (), Old((), source, restricted))
    with pytest.raises(NotFound):
        update(PATIENT, "Patient", Old(("Patient/own",), None, restricted))
    POLICY.check_write(SITE, UPDATE, "Observation", {}, (), Old((), None, restricted))


def test_not_restricted() -> None:
    """Another code, or another system's R."""
    assert not is_restricted(None)
    assert not is_restricted({})
    assert not is_restricted(labelled("N", "L", "r"))
    assert not is_restricted(labelled("R", system="urn:other"))
    assert not lowers(None, {})
    assert not lowers(labelled("V"), None)


def test_what_is_contained_is_about_the_same_patients() -> None:
    """Whoever sees a resource sees what is in it."""
    reference = {"reference": "Patient/b"}
    for contained in (
        {"resourceType": "Observation", "subject": reference},
        {"resourceType": "Observation", "subject": {"reference": "Patient/b/_history/2"}},
        {"resourceType": "List", "entry": [{"item": reference}]},
        {"resourceType": "Basic", "extension": [{"url": "urn:x", "valueReference": reference}]},
    ):
        new = {"contained": [{}, contained]}
        for caller in (DOCTOR, PARTNER):
            POLICY.check_write(caller, CREATE, "Observation", new, ("Patient/a", "Patient/b"), None)
            with pytest.raises(Forbidden):
                POLICY.check_write(caller, CREATE, "Observation", new, ("Patient/a",), None)
        with pytest.raises(Forbidden):
            POLICY.check_write(STAFF, CREATE, "Organization", new, (), None)
    plain = {"contained": [{"subject": {"reference": "#p"}}, {"subject": {"reference": "Group/b"}}, {"reference": 7}]}
    POLICY.check_write(DOCTOR, CREATE, "Observation", plain, ("Patient/a",), None)


def test_a_move_needs_both_sides_in_sight() -> None:
    """A doctor sees all patients, and so may mend a mix-up; who sees one patient moves nothing away from them."""
    old = Old(("Patient/a",), None, {"id": "x"})
    POLICY.check_write(DOCTOR, UPDATE, "Observation", {"id": "x"}, ("Patient/b",), old)
    with pytest.raises(Forbidden):
        POLICY.check_write(
            PATIENT, UPDATE, "Patient", {"id": "own"}, ("Patient/other",), Old(("Patient/own",), None, {"id": "own"})
        )


def test_scopes_count_in_their_context() -> None:
    """A doctor's scopes are user/, a patient's patient/, a partner's system/; others open nothing."""
    for caller, context in ((DOCTOR, "user"), (STAFF, "user"), (PATIENT, "patient"), (PARTNER, "system")):
        for other in ("user", "patient", "system"):
            scoped = replace(caller, scopes=frozenset({f"{other}/Patient.r"}))
            if other == context:
                POLICY.restriction(scoped, Interaction.READ, "Patient")
            else:
                with pytest.raises(Forbidden):
                    POLICY.restriction(scoped, Interaction.READ, "Patient")


TYPES = st.sampled_from([*sorted(CLASSES), "Nonsense"])
IDS = st.sampled_from(["a", "b", "c", "own", "shared"])
CALLERS = st.builds(
    Caller,
    st.sampled_from([role for role in Role if role is not Role.SITE]),
    st.just("account"),
    st.none() | st.sampled_from(["Practitioner/own", "Patient/own", "Organization/one"]),
    scopes=st.frozensets(
        st.sampled_from(
            [
                *(
                    f"{c}/{t}.{x}"
                    for c in ("system", "user", "patient")
                    for t in ("*", "Patient", "Observation")
                    for x in ("cruds", "rs", "r", "s", "cud")
                )
            ]
        )
    ),
    patients=st.frozensets(IDS),
    source=st.none() | st.sampled_from(["one", "two"]),
)


@given(CALLERS, st.sampled_from(Interaction), TYPES)
def test_no_restriction_is_wider_than_its_rule(caller: Caller, interaction: Interaction, type: str) -> None:
    """Whoever asks for whatever: never more than the table says, and never a restricted document."""
    try:
        found = POLICY.restriction(caller, interaction, type)
    except Refusal:
        return
    rule = RULES[caller.role, class_of(type)]
    own = {f"Patient/{patient}" for patient in caller.patients}
    assert not found.restricted
    assert found.compartments <= own
    assert found.sources <= {caller.source}
    if found.everything:
        assert Reach.ALL in {rule.see, rule.create, rule.update, rule.delete} or rule.update is Reach.SELF
    if caller.role is Role.PATIENT and class_of(type) not in {
        TypeClass.DIRECTORY,
        TypeClass.KNOWLEDGE,
        TypeClass.MATERIAL,
    }:
        assert found == Restriction(compartments=frozenset(own))
    if caller.role is Role.STAFF:
        assert class_of(type) not in {TypeClass.CLINICAL, TypeClass.FINANCIAL, TypeClass.COLLECTIVE}
    assert found != UNRESTRICTED


@given(CALLERS, st.sampled_from(Interaction), TYPES, st.frozensets(st.sampled_from(["c", "r", "u", "d", "s"])))
def test_fewer_scopes_never_open_more(caller: Caller, interaction: Interaction, type: str, letters: set[str]) -> None:
    """What a caller with some scopes gets, a caller with all of them gets as well."""
    widest = replace(caller, scopes=EVERYTHING[caller.role])
    try:
        found = POLICY.restriction(caller, interaction, type)
    except Refusal:
        return
    assert POLICY.restriction(widest, interaction, type) == found


COMPARTMENTS = st.lists(IDS.map("Patient/{}".format), max_size=2, unique=True).map(tuple)


@given(
    CALLERS,
    st.sampled_from([CREATE, UPDATE, DELETE]),
    TYPES,
    COMPARTMENTS,
    st.none() | st.builds(Old, COMPARTMENTS, st.none() | st.sampled_from(["one", "two"]), st.just({"id": "own"})),
)
def test_what_is_written_was_visible(
    caller: Caller, interaction: Interaction, type: str, compartments: tuple[str, ...], old: Old | None
) -> None:
    """Nobody replaces or deletes what their own restriction would not have shown them."""
    new = None if interaction is DELETE else {"id": "own"}
    try:
        POLICY.check_write(caller, interaction, type, new, compartments, old)
    except Refusal:
        return
    restriction = POLICY.restriction(caller, interaction, type)
    assert old is None or sees(restriction, old.compartments, old.source, restricted=False)
    if caller.role is Role.PARTNER:
        assert caller.source is not None
        assert old is None or old.source == caller.source
    if caller.role is Role.PATIENT:
        assert type == "Patient"
        assert interaction is UPDATE
        assert "own" in caller.patients
