"""Audit events: valid, in BALP's form, without names, and cheap."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from hayat_fhir.definitions import Definitions
from hayat_fhir.fhir.validation import Validator
from hayat_fhir.security.audit import EVENTS, audit_event, audit_events
from hayat_fhir.security.callers import Caller, Role

NOW = datetime(2026, 11, 23, 10, 0, 0, 123456, UTC)
DOCTOR = Caller(Role.DOCTOR, "account", "Practitioner/1", "Dr Canary", token="name", address="127.0.0.1")
SOURCE, DESTINATION = "110153", "110152"


@pytest.fixture(scope="module")
def validator(definitions: Definitions) -> Validator:
    """The site's own."""
    return Validator(definitions.elements, definitions.bindings, definitions.resource_types)


def event(**changes: Any) -> dict[str, Any]:
    """One event, a doctor's search."""
    arguments: dict[str, Any] = {
        "interaction": "search-type",
        "caller": DOCTOR,
        "outcome": "0",
        "recorded": NOW,
        "site": "Hospital",
        "entities": ("Observation/1",),
        "patients": ("Patient/1",),
        "query": "Observation?code=x",
        "request_id": "r1",
    }
    return audit_event(**(arguments | changes))


def roles(found: dict[str, Any]) -> list[str]:
    """The BALP roles of who asked and of the server."""
    return [agent["type"]["coding"][0]["code"] for agent in found["agent"]]


@pytest.mark.parametrize("interaction", sorted(EVENTS))
@pytest.mark.parametrize("outcome", ["0", "4", "8", "12"])
def test_every_event_is_valid(validator: Validator, interaction: str, outcome: str) -> None:
    """Each kind with each outcome, by each kind of caller, with all and with nothing."""
    for caller in (
        DOCTOR,
        Caller(Role.PARTNER, "p", "Organization/p", source="p"),
        Caller(Role.SITE, "worker"),
        Caller(Role.PATIENT, "a", "Patient/1", patients=frozenset({"1"})),
    ):
        found = event(interaction=interaction, outcome=outcome, caller=caller)
        validator.validate(found, type="AuditEvent")
        assert "Canary" not in str(found)
        validator.validate(
            event(interaction=interaction, caller=caller, entities=(), patients=(), query=None, request_id=None)
        )


def test_a_search_stands_as_it_was_asked() -> None:
    """As base64, whatever it holds; the client is the source, as BALP has it."""
    text = "Observation?code=http://loinc.org|1&name=ü\ud800\n"
    found = event(query=text)
    (query,) = [entity for entity in found["entity"] if "query" in entity]
    assert b64decode(query["query"]).decode() == text.replace("\ud800", "\\ud800")
    assert query["role"]["code"] == "24"
    assert roles(found) == [SOURCE, DESTINATION]
    assert (found["action"], found["type"]["code"], found["subtype"][0]["code"]) == ("E", "rest", "search-type")


@pytest.mark.parametrize(
    ("interaction", "expected"),
    [
        ("read", [DESTINATION, SOURCE]),
        ("vread", [DESTINATION, SOURCE]),
        ("create", [SOURCE, DESTINATION]),
        ("update", [SOURCE, DESTINATION]),
        ("delete", [SOURCE, DESTINATION]),
        ("transaction", [SOURCE, DESTINATION]),
        ("instances-accessed", [DESTINATION, SOURCE]),
        ("instances-transferred", [SOURCE, DESTINATION]),
        ("disclosure", [SOURCE, SOURCE]),
    ],
)
def test_the_flow_is_the_one_of_balp(interaction: str, expected: list[str]) -> None:
    """What is read flows to the client, what is written flows from it, what is sent flows from the site."""
    assert roles(event(interaction=interaction)) == expected


def test_who_and_where() -> None:
    """The agent by reference, its role, its token's name, its address; the server asked for nothing."""
    user, server = event()["agent"]
    assert user["who"] == {"reference": "Practitioner/1"}
    assert user["role"][0]["coding"][0]["code"] == "doctor"
    assert user["policy"] == ["urn:hayat:token:name"]
    assert user["network"] == {"address": "127.0.0.1", "type": "2"}
    assert user["requestor"] is True
    assert server["requestor"] is False
    unknown = event(caller=Caller(Role.PARTNER, "unknown"))["agent"][0]
    assert unknown["who"] == {"identifier": {"value": "unknown"}}
    assert not unknown.keys() & {"policy", "network"}


def test_what_and_of_whom() -> None:
    """Data and patients in the roles of BALP, a patient once; the request by its id."""
    entities = event(entities=("Patient/1", "Observation/1"))["entity"]
    assert [entity.get("what", {}).get("reference") for entity in entities[:2]] == ["Observation/1", "Patient/1"]
    assert [entity["role"]["code"] for entity in entities[:2]] == ["4", "1"]
    assert entities[-1]["what"] == {"identifier": {"value": "r1"}}
    assert entities[-1]["type"]["code"] == "XrequestId"


def test_times_are_utc_to_the_millisecond() -> None:
    """Whatever zone the clock is in."""
    assert event()["recorded"] == "2026-11-23T10:00:00.123Z"
    assert event(recorded=NOW.astimezone(timezone(timedelta(hours=3))))["recorded"] == "2026-11-23T10:00:00.123Z"
    assert event(recorded=NOW.replace(microsecond=0))["recorded"] == "2026-11-23T10:00:00.000Z"


def test_events_share_nothing_that_can_be_changed() -> None:
    """Adding to one event's own parts leaves the table and other events alone."""
    first = event()
    first["outcome"] = "12"
    first["agent"].append({})
    first["entity"].append({})
    assert (event()["outcome"], len(event()["agent"]), len(event()["entity"])) == ("0", 2, 4)


def test_one_event_for_each_patient(validator: Validator) -> None:
    """As BALP asks: none that one is to read names another or carries the query; the whole one names all."""
    patients = ("Patient/1", "Patient/2", "Patient/3")
    found = audit_events(
        interaction="search-type",
        caller=DOCTOR,
        outcome="0",
        recorded=NOW,
        site="Hospital",
        entities=("Patient/1", "Observation/9"),
        patients=patients,
        told=patients[:2],
        query="Patient?name=x",
        request_id="r1",
        reason="why",
    )
    for each in found:
        validator.validate(each)
    named = [[name for name in patients if f"'{name}'" in str(each)] for each in found]
    assert named == [[*patients], ["Patient/1"], ["Patient/2"]]
    assert [any("query" in entity for entity in each["entity"]) for each in found] == [True, False, False]
    assert all(each["purposeOfEvent"] == [{"text": "why"}] for each in found)
    assert "Observation/9" in str(found[0])
    assert "Observation/9" not in str(found[1:])


def test_one_patient_one_event() -> None:
    """The same, where nobody is to be told on their own."""
    single = {"interaction": "read", "caller": DOCTOR, "outcome": "0", "recorded": NOW, "site": "Hospital"}
    for patients in ((), ("Patient/1",)):
        assert audit_events(**single, patients=patients) == (audit_event(**single, patients=patients),)
