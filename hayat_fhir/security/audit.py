"""AuditEvents in the form of IHE Basic Audit Log Patterns (BALP).

Entities are references and identifiers, never names; a search stands in its event as it was asked.
https://profiles.ihe.net/ITI/BALP/, https://hl7.org/fhir/R4/auditevent.html
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from hayat_fhir.security.callers import STRANGER, Caller

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_EVENT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_REST = "http://hl7.org/fhir/restful-interaction"
_LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
_SOURCE_TYPE = "http://terminology.hl7.org/CodeSystem/security-source-type"
_BALP_ENTITY = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
_IHE = "urn:ihe:event-type-code"
_OWN = "urn:hayat:audit"
_ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"

_RESTFUL = {"system": _EVENT_TYPE, "code": "rest", "display": "RESTful Operation"}
_GIVES = {"coding": [{"system": _DCM, "code": "110153", "display": "Source Role ID"}]}
_TAKES = {"coding": [{"system": _DCM, "code": "110152", "display": "Destination Role ID"}]}


def _rest(code: str, action: str, *more: dict[str, str]) -> dict[str, Any]:
    return {"type": _RESTFUL, "subtype": [{"system": _REST, "code": code}, *more], "action": action}


def _operation(name: str) -> dict[str, Any]:
    return _rest("operation", "E", {"system": _OWN, "code": name})


def _dicom(code: str, display: str, action: str, *subtype: dict[str, str]) -> dict[str, Any]:
    kind: dict[str, Any] = {"type": {"system": _DCM, "code": code, "display": display}}
    return {**kind, "subtype": [*subtype], "action": action} if subtype else {**kind, "action": action}


def _alert(code: str, display: str) -> dict[str, Any]:
    return _dicom("110113", "Security Alert", "E", {"system": _DCM, "code": code, "display": display})


EVENTS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "read": _rest("read", "R"),
        "vread": _rest("vread", "R"),
        "history-instance": _rest("history-instance", "R"),
        "history-type": _rest("history-type", "R"),
        "history-system": _rest("history-system", "R"),
        "search-type": _rest("search-type", "E"),
        "create": _rest("create", "C"),
        "update": _rest("update", "U"),
        "patch": _rest("patch", "U"),
        "delete": _rest("delete", "D"),
        "batch": _rest("batch", "E"),
        "transaction": _rest("transaction", "E"),
        "operation": _rest("operation", "E"),
        "refused": {"type": _RESTFUL, "subtype": [{"system": _OWN, "code": "refused"}], "action": "E"},
        "operation-everything": _operation("everything"),
        "operation-share": _operation("share"),
        "operation-break-glass": _operation("break-glass"),
        "operation-fetch": _operation("fetch"),
        "operation-quarantine": _operation("quarantine"),
        "operation-statistics": _operation("statistics"),
        "operation-arrivals": _operation("arrivals"),
        "operation-origins": _operation("origins"),
        "operation-outbox": _operation("outbox"),
        "operation-partners": _operation("partners"),
        "operation-partner": _operation("partner"),
        "operation-test-connection": _operation("test-connection"),
        "export": _dicom("110106", "Export", "R", {"system": _REST, "code": "operation"}),
        "disclosure": _dicom("110106", "Export", "R", {"system": _LIFECYCLE, "code": "disclose"}),
        "login": _dicom("110114", "User Authentication", "E", {"system": _DCM, "code": "110122", "display": "Login"}),
        "password": _dicom("110136", "Security Roles Changed", "U", {"system": _OWN, "code": "credentials"}),
        "token": _dicom("110114", "User Authentication", "E", {"system": _IHE, "code": "ITI-71"}),
        "query": _dicom("110112", "Query", "E"),
        "instances-transferring": _dicom("110102", "Begin Transferring DICOM Instances", "E"),
        "instances-sent": _dicom("110104", "DICOM Instances Transferred", "R"),
        "instances-transferred": _dicom("110104", "DICOM Instances Transferred", "C"),
        "instances-accessed": _dicom("110103", "DICOM Instances Accessed", "R"),
        "instances-deleted": _dicom("110103", "DICOM Instances Accessed", "D"),
        "procedure-record": _dicom("110111", "Procedure Record", "U"),
        "commitment": _dicom("110112", "Query", "E", {"system": _OWN, "code": "storage-commitment"}),
        "commitment-report": _dicom(
            "110104", "DICOM Instances Transferred", "E", {"system": _OWN, "code": "committed"}
        ),
        "instances-rejected": _dicom(
            "110103", "DICOM Instances Accessed", "U", {"system": _OWN, "code": "rejection-note"}
        ),
        "emergency": _alert("110127", "Emergency Override Started"),
        "association-refused": _alert("110126", "Node Authentication"),
        "denied": _alert("110132", "Use of Restricted Function"),
        "conflict": _dicom("110113", "Security Alert", "E", {"system": _OWN, "code": "conflict"}),
    }
)
"""What each kind of access is: type, subtype and action."""

_READING = frozenset(
    {
        "read",
        "vread",
        "history-instance",
        "history-type",
        "history-system",
        "instances-accessed",
        "instances-transferring",
        "instances-sent",
    }
)
"""What BALP sees as flowing from the server to the client; anything else flows from the client to the server."""

_SENDING = frozenset({"export", "disclosure"})
"""What the site itself sends out: the agent that asked is no receiver."""

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
_REQUEST_ID = {"system": _BALP_ENTITY, "code": "XrequestId"}
_SERVER = [{"system": _SOURCE_TYPE, "code": "4", "display": "Application Server"}]
_IP_ADDRESS = "2"
_PURPOSE = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
EMERGENCIES: Mapping[str, str] = MappingProxyType({"BTG": "break the glass", "ETREAT": "Emergency Treatment"})
"""Purposes of use in an emergency, https://terminology.hl7.org/ValueSet-v3-PurposeOfUse.html."""


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
    request_id: str | None = None,
    reason: str | None = None,
    purpose: str | None = None,
    description: str | None = None,
) -> dict[str, Any]:
    """The AuditEvent of one access.

    ``interaction`` is a key of ``EVENTS``; ``outcome``: 0 success, 4 refused, 8 failed, 12 broken; ``entities`` and
    ``patients`` are references; ``query`` is the search as asked, which stands in the event as base64;
    ``request_id`` is the request's own; ``reason`` is why it was done, as the caller says, and ``purpose`` its code in
    an emergency, a key of ``EMERGENCIES``; ``description`` says of the outcome what its code does not.

    An event that names several patients must not be shown to any of them: it names the others.
    """
    objects: list[dict[str, Any]] = [
        {"what": {"reference": reference}, **_DATA} for reference in entities if reference not in patients
    ]
    objects += [{"what": {"reference": patient}, **_PERSON} for patient in patients]
    if query is not None:
        objects.append({**_QUERY, "query": b64encode(query.encode(errors="backslashreplace")).decode()})
    if request_id is not None:
        objects.append({"what": {"identifier": {"value": request_id}}, "type": _REQUEST_ID})
    client, server = (_TAKES, _GIVES) if interaction in _READING else (_GIVES, _TAKES)
    if interaction in _SENDING:
        server = _GIVES
    name = {"display": site}
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        **EVENTS[interaction],
        "recorded": _instant(recorded),
        "outcome": outcome,
        "agent": [_requestor(caller, client), {"type": server, "who": name, "requestor": False}],
        "source": {"observer": name, "type": _SERVER},
    }
    if description is not None:
        event["outcomeDesc"] = description
    if objects:
        event["entity"] = objects
    if reason is not None or purpose is not None:
        event["purposeOfEvent"] = [{**(_purpose(purpose) if purpose else {}), **({"text": reason} if reason else {})}]
    if any(f"Patient/{patient}" in patients for patient, _ in caller.emergency):
        event["agent"][0]["purposeOfUse"] = [_purpose("BTG")]
    return event


def audit_events(
    *,
    interaction: str,
    caller: Caller,
    outcome: str,
    recorded: datetime,
    site: str,
    entities: Sequence[str] = (),
    patients: Sequence[str] = (),
    told: Sequence[str] = (),
    query: str | None = None,
    request_id: str | None = None,
    reason: str | None = None,
    purpose: str | None = None,
    description: str | None = None,
) -> tuple[dict[str, Any], ...]:
    """The AuditEvents of one access: the whole one, and one for each of those patients who are ``told`` on their own.

    As BALP asks, those that a patient is to read name no other patient, nor carry the query, which may.
    """
    shown = [(entities, patients, query), *(((), (patient,), None) for patient in told)]
    return tuple(
        audit_event(
            interaction=interaction,
            caller=caller,
            outcome=outcome,
            recorded=recorded,
            site=site,
            entities=some,
            patients=who,
            query=asked,
            request_id=request_id,
            reason=reason,
            purpose=purpose,
            description=description,
        )
        for some, who, asked in shown
    )


def _purpose(code: str) -> dict[str, Any]:
    return {"coding": [{"system": _PURPOSE, "code": code, "display": EMERGENCIES[code]}]}


def _instant(recorded: datetime) -> str:
    """A FHIR instant in UTC, with milliseconds."""
    return recorded.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _requestor(caller: Caller, kind: dict[str, Any]) -> dict[str, Any]:
    """The agent that asked: by reference where a resource stands for it."""
    who = {"reference": caller.reference} if caller.reference else {"identifier": {"value": caller.subject}}
    agent: dict[str, Any] = {"type": kind, "who": who, "requestor": True}
    if caller.subject != STRANGER:
        agent["role"] = [{"coding": [{"system": _OWN, "code": str(caller.role)}]}]
    if caller.token:
        agent["policy"] = [f"urn:hayat:token:{caller.token}"]
    if caller.address:
        agent["network"] = {"address": caller.address, "type": _IP_ADDRESS}
    return agent
