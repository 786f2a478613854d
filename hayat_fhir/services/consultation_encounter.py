"""The Encounter of a video consultation, of class virtual: who took part in it, and when.

https://hl7.org/fhir/R4/encounter.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hayat_fhir.store.consultations import Consultation

_ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_ENCOUNTER_STATUS = {"active": "in-progress", "ended": "finished"}


def encounter(consultation: Consultation) -> dict[str, Any]:
    """The Encounter of a consultation that has begun."""
    doctors = (consultation.doctor, *consultation.invited)
    period = {"start": _instant(consultation.started or consultation.created)}
    if consultation.ended is not None:
        period["end"] = _instant(consultation.ended)
    return {
        "resourceType": "Encounter",
        "id": consultation.id,
        "status": _ENCOUNTER_STATUS.get(consultation.state, "cancelled"),
        "class": {"system": _ACT_CODE, "code": "VR", "display": "virtual"},
        "subject": {"reference": consultation.patient.reference, "display": consultation.patient.name},
        "participant": [
            {
                "type": [{"coding": [{"system": _PARTICIPATION, "code": "PPRF" if number == 0 else "CON"}]}],
                "individual": {"reference": doctor.reference, "display": doctor.name},
            }
            for number, doctor in enumerate(doctors)
        ],
        "period": period,
    }


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
