"""A consultation as its members see it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hayat_fhir.store.consultations import Consultation, Member


def view(consultation: Consultation) -> dict[str, Any]:
    """The JSON of a consultation."""
    agreed = [member.role for member in consultation.members if member.account in consultation.agreed]
    state = "on" if consultation.recorder else "asked" if agreed and consultation.is_open else "off"
    return {
        "id": consultation.id,
        "encounter": f"Encounter/{consultation.id}" if consultation.started else None,
        "state": consultation.state,
        "doctor": _person(consultation.doctor),
        "patient": _person(consultation.patient),
        "invited": [_person(member) for member in consultation.invited],
        "created": _instant(consultation.created),
        "started": _instant(consultation.started),
        "ended": _instant(consultation.ended),
        "recording": {"state": state, "agreed": agreed, "peer": consultation.recorder},
        "relay": consultation.relay,
    }


def _person(member: Member) -> dict[str, str]:
    return {"id": member.id, "name": member.name}


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
