"""What a partner hospital contributes: linked to the site's own patient, and recorded with its origin.

https://hl7.org/fhir/R4/provenance.html
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hayat_fhir.fhir.dates import instant
from hayat_fhir.security.callers import Caller
from hayat_fhir.store.records import Change, Resource

_AGENT_TYPE = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_ACTIVITY = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"


def linked_patient(own: Resource, incoming: Resource, reserved: str) -> Resource:
    """The site's own patient with the identifiers the partner knows added; nothing is replaced.

    Only identifiers with a system count: a value without one belongs to nobody. Numbers of the system ``reserved``
    are the site's own to give: a partner that could add one would draw the next images of another patient to this.
    """
    identifiers = list(own.get("identifier", ()))
    known = {(i.get("system"), i.get("value")) for i in identifiers}
    for identifier in incoming.get("identifier", ()):
        name = (identifier.get("system"), identifier.get("value"))
        if all(name) and name not in known and name[0] != reserved:
            known.add(name)
            identifiers.append(identifier)
    return {**own, "identifier": identifiers} if identifiers else own


def provenance(caller: Caller, changes: Sequence[Change]) -> Resource:
    """The Provenance of what a partner's Bundle changed, by version, naming the partner as its author."""
    who = {"reference": caller.reference, "display": caller.name} if caller.name else {"reference": caller.reference}
    return {
        "resourceType": "Provenance",
        "target": [{"reference": f"{change.type}/{change.id}/_history/{change.expected + 1}"} for change in changes],
        "recorded": instant(datetime.now(UTC)),
        "activity": {"coding": [{"system": _ACTIVITY, "code": "CREATE"}]},
        "agent": [
            {"type": {"coding": [{"system": _AGENT_TYPE, "code": code}]}, "who": who}
            for code in ("author", "transmitter")
        ],
    }
