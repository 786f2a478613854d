"""Seeded Patients and Observations: number n is always the same resource, so that a query is known to have matches."""

from __future__ import annotations

from bisect import bisect
from csv import reader
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

PATIENTS = 10_000
IDENTIFIER_SYSTEM = "http://laboratory.example/identifier/result"
LOINC = "http://loinc.org"
_UCUM = "http://unitsofmeasure.org"
_FIRST_DAY = datetime(2014, 1, 1, tzinfo=UTC)
_DAYS = 4000
_FAMILIES = (
    "Kaya",
    "Demir",
    "Çelik",
    "Şahin",
    "Öztürk",
    "Özdemir",
    "Arslan",
    "Doğan",
    "Aslan",
    "Çetin",
    "Kara",
    "Koç",
    "Kurt",
    "Özkan",
    "Şimşek",
    "Polat",
    "Korkmaz",
    "Erdoğan",
    "Acar",
    "Güneş",
    "Aksoy",
    "Bulut",
    "Keskin",
    "Ünal",
    "Turan",
    "Aydemir",
    "Erdem",
    "Tekin",
    "Duman",
)
_GIVEN = (
    "Ayşe",
    "Mehmet",
    "Fatma",
    "Mustafa",
    "Emine",
    "Ahmet",
    "Hatice",
    "Ali",
    "Zeynep",
    "Hüseyin",
    "Elif",
    "Hasan",
    "Meryem",
    "İbrahim",
    "Şerife",
    "Osman",
)
_CODES = tuple(
    tuple(row) for row in list(reader((Path(__file__).parent / "observation_codes.csv").read_text().splitlines()))[1:]
)
"""LOINC code, display, UCUM unit and a usual value: the most frequent first."""
_HEAVIEST = 3
_WEIGHTS = list(accumulate(1 / (rank + _HEAVIEST) for rank in range(len(_CODES))))


@dataclass(frozen=True, slots=True)
class Source:
    """All resources of one seed. ``patients``: whom they are about, so many."""

    seed: int = 2
    patients: int = PATIENTS

    def patient_id(self, number: int) -> str:
        """The id of Patient ``number`` of ``patients``."""
        return str(UUID(int=Random(f"{self.seed}:p:{number}").getrandbits(128), version=4))

    def patient(self, number: int) -> dict[str, Any]:
        """Patient ``number``."""
        chance = Random(f"{self.seed}:P:{number}")
        return {
            "resourceType": "Patient",
            "id": self.patient_id(number),
            "identifier": [{"system": "http://hospital.example/identifier/patient", "value": f"H-{number:06d}"}],
            "name": [{"family": chance.choice(_FAMILIES), "given": [chance.choice(_GIVEN)]}],
            "gender": chance.choice(["female", "male"]),
            "birthDate": (_FIRST_DAY - timedelta(days=chance.randrange(365, 33_000))).date().isoformat(),
        }

    def pair(self, number: int) -> tuple[int, str]:
        """The number of the Patient, and the LOINC code, of Observation ``number``."""
        chance = Random(f"{self.seed}:{number}")
        return chance.randrange(self.patients), _code(chance)[0]

    def observation(self, number: int) -> dict[str, Any]:
        """Observation ``number``: a laboratory result or vital sign of one patient; common codes are frequent."""
        chance = Random(f"{self.seed}:{number}")
        patient = chance.randrange(self.patients)
        code, name, unit, usual = _code(chance)
        taken = _FIRST_DAY + timedelta(days=chance.randrange(_DAYS), milliseconds=chance.randrange(86_400_000))
        when = taken.isoformat(timespec="milliseconds")
        return {
            "resourceType": "Observation",
            "id": str(UUID(int=chance.getrandbits(128), version=4)),
            "identifier": [{"system": IDENTIFIER_SYSTEM, "value": f"R-{number:09d}"}],
            "status": "final",
            "category": [
                {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                            "code": "laboratory",
                            "display": "Laboratory",
                        }
                    ]
                }
            ],
            "code": {"coding": [{"system": LOINC, "code": code, "display": name}], "text": name},
            "subject": {"reference": f"Patient/{self.patient_id(patient)}"},
            "effectiveDateTime": when,
            "issued": when,
            "valueQuantity": {
                "value": Decimal(f"{float(usual) * chance.uniform(0.7, 1.4):.1f}"),
                "unit": unit,
                "system": _UCUM,
                "code": unit,
            },
        }


def _code(chance: Random) -> tuple[str, ...]:
    return _CODES[bisect(_WEIGHTS, chance.random() * _WEIGHTS[-1])]
