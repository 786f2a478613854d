"""AuditEvents in the form of IHE Basic Audit Log Patterns.

https://profiles.ihe.net/ITI/BALP/, https://hl7.org/fhir/R4/auditevent.html
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from hayat_fhir.security.callers import Caller

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_EVENT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_REST = "http://hl7.org/fhir/restful-interaction"
_OWN = "urn:hayat:audit"
_ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"

_RESTFUL = {"type": {"system": _EVENT_TYPE, "code": "rest", "display": "RESTful Operation"}}


def _rest(code: str, action: str) -> dict[str, Any]:
    return {**_RESTFUL, "subtype": [{"system": _REST, "code": code}], "action": action}


def _operation(name: str) -> dict[str, Any]:
    return {
        **_RESTFUL,
        "subtype": [{"system": _REST, "code": "operation"}, {"system": _OWN, "code": name}],
        "action": "E",
    }


def _dicom(code: str, display: str, action: str) -> dict[str, Any]:
    return {"type": {"system": _DCM, "code": code, "display": display}, "action": action}


EVENTS: dict[str, dict[str, Any]] = {
    "read": _rest("read", "R"),
    "vread": _rest("vread", "R"),
    "history-instance": _rest("history-instance", "R"),
    "search-type": _rest("search-type", "E"),
    "create": _rest("create", "C"),
    "update": _rest("update", "U"),
    "delete": _rest("delete", "D"),
    "transaction": _rest("transaction", "E"),
    "operation-everything": _operation("everything"),
    "operation-share": _operation("share"),
    "disclosure": _dicom("110106", "Export", "R"),
    "login": _dicom("110114", "User Authentication", "E"),
    "instances-transferred": _dicom("110104", "DICOM Instances Transferred", "C"),
    "instances-accessed": _dicom("110103", "DICOM Instances Accessed", "R"),
    "association-refused": _dicom("110113", "Security Alert", "E"),
    "conflict": _dicom("110113", "Security Alert", "E"),
}
"""What each kind of access is: type, subtype and action."""

_SERVER_ROLE = {"coding": [{"system": _DCM, "code": "110152", "display": "Destination Role ID"}]}
_CLIENT_ROLE = {"coding": [{"system": _DCM, "code": "110153", "display": "Source Role ID"}]}
_DATA = {
    "type": {"system": _ENTITY_TYPE, "code": "2", "display": "System Object"},
    "role": {"system": _ROLE, "code": "4", "display": "Domain Resource"},
}
_PERSON = {
    "type": {"system": _ENTITY_TYPE, "code": "1", "display": "Person"},
    "role": {"system": _ROLE, "code": "1", "display": "Patient"},
}
_QUERY = {
    "type": {"system": _ENTITY_TYPE, "code": "2", "display": "System Object"},
    "role": {"system": _ROLE, "code": "24", "display": "Query"},
}
_ADDRESS = "2"


def audit_event(
    *,
    interaction: str,
    caller: Caller,
    outcome: str,
    recorded: datetime,
    site: str,
    entities: Sequence[str] = (),
    patients: Sequence[str] = (),
    query: str | None = None,
) -> dict[str, Any]:
    """The AuditEvent of one access.

    ``interaction`` is a key of ``EVENTS``; ``outcome``: 0 success, 4 refused, 8 failed, 12 broken; ``entities`` and
    ``patients`` are references; ``query`` is the search as asked, which stands in the event as base64.
    """
    objects: list[dict[str, Any]] = [
        {"what": {"reference": reference}, **_DATA} for reference in entities if reference not in patients
    ]
    objects += [{"what": {"reference": patient}, **_PERSON} for patient in patients]
    if query is not None:
        objects.append({**_QUERY, "query": b64encode(query.encode()).decode()})
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        **EVENTS[interaction],
        "recorded": f"{recorded.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{recorded.microsecond // 1000:03d}Z",
        "outcome": outcome,
        "agent": [_user(caller), {"type": _SERVER_ROLE, "who": {"display": site}, "requestor": False}],
        "source": {"observer": {"display": site}},
    }
    if objects:
        event["entity"] = objects
    return event


def _user(caller: Caller) -> dict[str, Any]:
    """The agent that asked: by reference where a resource stands for it."""
    who = {"reference": caller.reference} if caller.reference else {"identifier": {"value": caller.subject}}
    agent: dict[str, Any] = {
        "type": _CLIENT_ROLE,
        "role": [{"coding": [{"system": _OWN, "code": str(caller.role)}]}],
        "who": who,
        "requestor": True,
    }
    if caller.token:
        agent["policy"] = [f"urn:hayat:token:{caller.token}"]
    if caller.address:
        agent["network"] = {"address": caller.address, "type": _ADDRESS}
    return agent
