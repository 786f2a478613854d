"""``/fhir/$quarantine``: images that contradict what is stored, as Tasks for the staff.

https://hl7.org/fhir/R4/task.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.dates import instant
from hayat_fhir.rest.messages import Answer, Pairs, Request
from hayat_fhir.rest.operations import operation_parameters
from hayat_fhir.services.quarantine import Decision, Quarantine, Resolution
from hayat_fhir.store.quarantine import Entry

_STATUS = {
    "open": "requested",
    "accepted": "completed",
    "rejected": "rejected",
    "superseded": "cancelled",
    "withheld": "on-hold",
}
"""An entry's state to http://hl7.org/fhir/R4/valueset-task-status.html"""
_ANY = "any"


class QuarantineOperation:
    """Handlers of ``/fhir/$quarantine``."""

    def __init__(self, quarantine: Quarantine, base_url: str) -> None:
        self._quarantine = quarantine
        self._url = f"{base_url}/$quarantine"

    async def list(self, request: Request) -> Answer:
        """GET: those of ``state`` (default open), of ``study``; ``_count`` at a time; or the one with this ``id``."""
        asked = request.only("state", "study", "_count", "after", "id")
        if "id" in asked:
            return request.answer(200, task(await self._quarantine.get(request.caller, asked["id"])))
        count = int(asked["_count"]) if asked.get("_count", "").isdecimal() else 0 if "_count" in asked else 100
        state = asked.get("state", "open")
        entries = await self._quarantine.list(
            request.caller,
            None if state == _ANY else state,
            asked.get("study"),
            count=count,
            after=asked.get("after"),
        )
        bundle = _bundle(entries)
        if len(entries) == count:
            following = urlencode({**asked, "after": entries[-1].id})
            bundle["link"] = [{"relation": "next", "url": f"{self._url}?{following}"}]
        return request.answer(200, bundle)

    async def resolve(self, request: Request) -> Answer:
        """POST ``decision`` (accept, reject or reverse) and ``reason``, for the entry ``id`` or all of a ``study``."""
        given = _single(await operation_parameters(request), {"decision", "reason", "id", "study"})
        if given.get("decision") not in set(Decision):
            raise InvalidRequest(f"decision is one of {', '.join(Decision)}", code="value", expression=["decision"])
        resolution = Resolution(
            Decision(given["decision"]), given.get("reason", ""), given.get("id"), given.get("study")
        )
        return request.answer(200, _bundle(await self._quarantine.resolve(request.caller, resolution)))


def task(entry: Entry) -> dict[str, Any]:
    """An entry as a Task: the image and its patient's number as received, what is wrong, and what was decided."""
    instance = entry.instance
    inputs = [
        {"type": {"text": "SOP Class"}, "valueUri": f"urn:oid:{instance.sop_class}"},
        {"type": {"text": "Study Instance UID"}, "valueUri": f"urn:oid:{instance.study}"},
        {"type": {"text": "SHA-256 of the data set"}, "valueString": instance.sha256},
        *({"type": {"text": "differs"}, "valueCode": name} for name in entry.differs),
    ]
    shown: dict[str, Any] = {
        "resourceType": "Task",
        "id": entry.id,
        "status": _STATUS[entry.state],
        "businessStatus": {"text": entry.state},
        "intent": "order",
        "code": {"text": "resolve-conflict"},
        "focus": {"identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{instance.uid}"}},
        "authoredOn": instant(instance.received),
        "reasonCode": {"text": entry.reason},
        "input": inputs,
    }
    if instance.peer:
        shown["requester"] = {"reference": f"Organization/{instance.peer}"}
    if instance.patient_id:
        shown["for"] = {"identifier": {"system": instance.system, "value": instance.patient_id}}
    if entry.decisions:
        shown["lastModified"] = instant(entry.decisions[-1]["at"])
        shown["note"] = [
            {"authorString": one["by"], "time": instant(one["at"]), "text": f"{one['decision']}: {one['reason']}"}
            for one in entry.decisions
        ]
    return shown


def _bundle(entries: Sequence[Entry]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": task(entry)} for entry in entries]}


def _single(pairs: Pairs, names: set[str]) -> dict[str, str]:
    """The parameters of a resolution, each at most once."""
    found = dict(pairs)
    if len(found) != len(pairs) or not found.keys() <= names:
        raise InvalidRequest(f"the parameters are {', '.join(sorted(names))}, each once", code="value")
    return found
