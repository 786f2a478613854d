"""Passwords and audit events."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hayat_fhir import definitions
from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.validation import Validator
from hayat_fhir.security.audit import EVENTS, audit_event
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.passwords import Passwords


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "x" * 14,
        "aaaaaaaaaaaaaaaa",
        "password12345password",
        "doctor@site.example",
        "ß" * 600,
        "abababababababab",
    ],
)
def test_guessable_passwords_are_refused(password: str) -> None:
    """Too short, too long, or made of what anybody would try first."""
    with pytest.raises(InvalidRequest):
        Passwords().check(password, email="doctor@site.example", name="A Doctor")


@pytest.mark.parametrize(
    "password", ["correct horse battery staple", "Tz7!kQ9#vL2@wX5$", "🙂🐴🔋📎🌍🚀🎈🍀🎲📚🧭🪁🛶🏔🌵"]
)
def test_passwords_are_verified_exactly(password: str) -> None:
    """Every character counts, spaces at the end too; nobody's password fits nobody's account."""
    passwords = Passwords()
    passwords.check(password)
    hashed = passwords.hash(password)
    assert passwords.verify(hashed, password)
    assert not passwords.verify(hashed, password + " ")
    assert not passwords.verify(None, password)
    assert not passwords.verify(hashed, "x" * 2**20)


@pytest.mark.parametrize("interaction", sorted(EVENTS))
def test_audit_events_are_valid(interaction: str) -> None:
    """Every kind of event is a valid R4 AuditEvent, and carries references, not names."""
    loaded = definitions.load()
    caller = Caller(Role.DOCTOR, "a", "Practitioner/1", "Dr Canary", token="t", address="127.0.0.1")
    event = audit_event(
        interaction=interaction,
        caller=caller,
        outcome="0",
        recorded=datetime.now(UTC),
        site="Hospital",
        entities=["Observation/1"],
        patients=["Patient/1"],
        query="Observation?code=x",
    )
    Validator(loaded.elements, loaded.bindings, loaded.resource_types).validate(event)
    assert "Canary" not in str(event)
