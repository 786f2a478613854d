"""Seeded DiagnosticReports as a hospital holds them: some written here, with their notes, most from elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from tests.benchmarks.observations import LOINC, Source

PRACTITIONERS = 200
WITH_NOTES = 10
"""One report of so many was written here, and holds a history and a treatment."""

_FIRST_DAY = datetime(2014, 1, 1, tzinfo=UTC)
_DAYS = 4000
_NOTES = (("10164-2", "History of Present illness Narrative"), ("18776-5", "Plan of care note"))
_FINDINGS = ("Pneumonia", "Bronchitis", "Fracture", "Gastritis", "Migraine", "Otitis", "Sinusitis", "Nephrolithiasis")


def notes(reports: int) -> int:
    """The number of Observations that belong to this number of reports."""
    return -(-reports // WITH_NOTES) * len(_NOTES)


def subject(source: Source, number: int) -> str:
    """The id of the Patient of report ``number``."""
    return source.patient_id(Random(f"{source.seed}:r:{number}").randrange(source.patients))


def report(source: Source, number: int) -> dict[str, Any]:
    """DiagnosticReport ``number``."""
    chance = Random(f"{source.seed}:R:{number}")
    finding = chance.choice(_FINDINGS)
    made: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "id": _id("R", source, number),
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "11488-4", "display": "Consult note"}]},
        **_context(source, number),
        "conclusion": f"{finding}, seen on day {chance.randrange(30)} of the complaint; no further finding.",
        "conclusionCode": [{"text": finding}],
    }
    if number % WITH_NOTES == 0:
        first = number // WITH_NOTES * len(_NOTES)
        made["result"] = [
            {"reference": f"Observation/{_id('N', source, first + place)}"} for place in range(len(_NOTES))
        ]
    return made


def note(source: Source, number: int) -> dict[str, Any]:
    """Observation ``number``: the history or the treatment of a report that was written here."""
    code, display = _NOTES[number % len(_NOTES)]
    return {
        "resourceType": "Observation",
        "id": _id("N", source, number),
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code, "display": display}]},
        **_context(source, number // len(_NOTES) * WITH_NOTES),
        "valueString": f"{display}: text of about the length that people write into such a field. " * 3,
    }


def practitioner(source: Source, number: int) -> dict[str, Any]:
    """Practitioner ``number``, who wrote reports."""
    return {
        "resourceType": "Practitioner",
        "id": _id("D", source, number),
        "active": True,
        "name": [{"text": f"Doctor {number}"}],
    }


def _context(source: Source, number: int) -> dict[str, Any]:
    """Whom report ``number`` and its notes are about, who wrote them, and when."""
    chance = Random(f"{source.seed}:c:{number}")
    taken = _FIRST_DAY + timedelta(days=chance.randrange(_DAYS), milliseconds=chance.randrange(86_400_000))
    return {
        "subject": {"reference": f"Patient/{subject(source, number)}"},
        "performer": [{"reference": f"Practitioner/{_id('D', source, chance.randrange(PRACTITIONERS))}"}],
        "effectiveDateTime": taken.isoformat(timespec="milliseconds"),
    }


def _id(kind: str, source: Source, number: int) -> str:
    return str(UUID(int=Random(f"{source.seed}:{kind}:i:{number}").getrandbits(128), version=4))
