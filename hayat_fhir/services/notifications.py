"""What people are told of without asking: an arrived study, a signed report, a delivered share, a broken glass.

Whoever may read the resource may hear of it: the policy decides as it does for a read. The staff, whose inbox it is,
hear that a study has arrived as well, and may not open it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hayat_fhir.errors import Refusal
from hayat_fhir.security.callers import UNRESTRICTED, Caller, Role
from hayat_fhir.security.policy import Interaction, Policy, sees
from hayat_fhir.store.changes import Written
from hayat_fhir.store.resources import Resources

CRITERIA: tuple[dict[str, Any], ...] = (
    {"ns.coll": "ImagingStudy", "operationType": "insert"},
    {
        "ns.coll": "DiagnosticReport",
        "operationType": {"$in": ["insert", "replace"]},
        "fullDocument.resource.status": {"$in": ["final", "amended", "corrected"]},
    },
    {
        "ns.coll": "outbox",
        "operationType": "update",
        "fullDocument.kind": "share",
        "updateDescription.updatedFields.status": "done",
    },
    {
        "ns.coll": "AuditEvent",
        "operationType": "insert",
        "fullDocument.resource.purposeOfEvent.coding.code": {"$in": ["BTG", "ETREAT"]},
    },
)
"""The change events that may be worth telling. Those of an emergency: https://terminology.hl7.org/ValueSet-v3-PurposeOfUse.html."""

_ARRIVED = "study-arrived"
_SIGNED = frozenset({"final", "amended", "corrected"})


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing to tell: ``kind``, the resource that it is about, and the marks by which the policy judges it."""

    kind: str
    reference: str
    compartments: tuple[str, ...]
    at: datetime
    source: str | None = None
    restricted: bool = False

    @property
    def patient(self) -> str | None:
        """The patient, where it is about one."""
        return self.compartments[0] if len(self.compartments) == 1 else None


class Notifications:
    """Makes notifications of what has been written, and knows whom they are for."""

    def __init__(self, policy: Policy, resources: Resources) -> None:
        self._policy = policy
        self._resources = resources

    async def of(self, written: Written) -> Notification | None:
        """What to tell of a document that has been written; None where it is nothing.

        Raises:
            Unavailable: The database does not answer.
        """
        document = written.document
        if document is None:
            return None
        if written.collection == "outbox":
            patient = f"Patient/{document['payload']['patient']}"
            return Notification("share-delivered", patient, (patient,), document["updated"])
        if document["deleted"]:
            return None
        match written.collection:
            case "ImagingStudy" if written.created:
                return _told(_ARRIVED, written, document)
            case "DiagnosticReport" if not await self._was_signed(document):
                return _told("report-signed", written, document)
            case "AuditEvent":
                return _told("glass-broken", written, document)
            case _:
                return None

    def entitled(self, caller: Caller, notification: Notification) -> bool:
        """Whether a caller may hear of it."""
        if notification.kind == _ARRIVED and caller.role is Role.STAFF:
            return not notification.restricted
        type, _, id = notification.reference.partition("/")
        try:
            restriction = self._policy.restriction(caller, Interaction.READ, type)
        except Refusal:
            return False
        compartments = (*notification.compartments, f"Patient/{id}") if type == "Patient" else notification.compartments
        return sees(restriction, compartments, notification.source, restricted=notification.restricted)

    async def _was_signed(self, document: Mapping[str, Any]) -> bool:
        """Whether the version before was signed already."""
        if document["version"] == 1:
            return False
        before = await self._resources.vread("DiagnosticReport", document["_id"], document["version"] - 1, UNRESTRICTED)
        return before is not None and (before.resource or {}).get("status") in _SIGNED


def _told(kind: str, written: Written, document: Mapping[str, Any]) -> Notification:
    compartments = tuple(mark for mark in document["compartments"] if not mark.startswith("source:"))
    return Notification(
        kind,
        f"{written.collection}/{written.id}",
        compartments,
        document["updated"].astimezone(UTC),
        document.get("source"),
        bool(document.get("restricted")),
    )
