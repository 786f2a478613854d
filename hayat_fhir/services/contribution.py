"""What a partner hospital contributes is recorded with its origin.

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
