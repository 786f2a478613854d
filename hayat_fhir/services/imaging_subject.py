"""The Patient that images name, for a site that has not met them yet. Pure.

https://hl7.org/fhir/R4/patient.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from hayat_fhir.dicom.header import by_keyword, issuer_system
from hayat_fhir.mapping.context import Context
from hayat_fhir.mapping.engine import Mapper
from hayat_fhir.services.imaging_study import STUDY_SYSTEM
from hayat_fhir.store.instances import Instance

_MOST_NUMBERS = 20
_ANIMAL = "http://hl7.org/fhir/StructureDefinition/patient-animal"
_HUMAN_CODES = frozenset({"337915000", "L-85003"})
"""Homo sapiens in SNOMED CT, and as it was coded before (PS3.16 CID 7454)."""
_HUMAN_TEXTS = frozenset({"human", "homo sapiens"})


class ImagingSubjects:
    """Builds patients by ``mappings/dicom/patient.toml``; ``reserved`` is the system of the site's own numbers."""

    def __init__(self, tables: Mapping[str, Mapper], zone: tzinfo | None, reserved: str) -> None:
        self._tables = tables
        self._context = Context(zone)
        self._reserved = reserved

    def patient(self, instance: Instance, details: Mapping[str, Any], sender_system: str) -> dict[str, Any]:
        """The Patient, with the number of the images first; ``sender_system`` is the system of the sender's numbers.

        Without a patient number the patient is provisional: known by this study alone, and never merged.
        """
        source = {**by_keyword(instance.attributes), **details}
        identifier = {"system": instance.system, "value": instance.patient_id}
        if not instance.patient_id:
            identifier = {"system": STUDY_SYSTEM, "value": f"urn:oid:{instance.study}"}
        made: dict[str, Any] = {
            "resourceType": "Patient",
            "identifier": [identifier, *self._further(instance, source)],
            **self._tables["patient"].apply(source, self._context),
            **self._animal(source),
        }
        if instance.patient_id and instance.system == sender_system != self._reserved:
            made |= self._tables["contact"].apply(source, self._context)
        if instance.peer:
            made["managingOrganization"] = {"reference": f"Organization/{instance.peer}"}
        return made

    def _animal(self, source: Mapping[str, Any]) -> dict[str, Any]:
        """The extension of a patient who is no human; the species must be known (PS3.3 table C.7-1)."""
        said = self._tables["animal"].apply(source, self._context)
        codes = {coding.get("code") for coding in said.get("species", {}).get("coding", ())}
        text = " ".join(str((source.get("PatientSpeciesDescription") or [""])[0]).split()).lower()
        if "species" not in said or codes & _HUMAN_CODES or text in _HUMAN_TEXTS:
            return {}
        parts = [{"url": name, "valueCodeableConcept": concept} for name, concept in said.items()]
        return {"extension": [{"url": _ANIMAL, "extension": parts}]}

    def _further(self, instance: Instance, source: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Other numbers of the patient that name their issuer; of the site's own numbers nobody else tells."""
        found: list[dict[str, Any]] = []
        items = source.get("OtherPatientIDsSequence", ()) if instance.patient_id else ()
        for item in items[:_MOST_NUMBERS]:
            value = str((item.get("PatientID") or [""])[0]).strip() if isinstance(item, dict) else ""
            system = issuer_system(item, instance.system) if value else instance.system
            if system in {instance.system, self._reserved}:
                continue
            kind = str((item.get("TypeOfPatientID") or [""])[0]).strip()
            typed = {"type": {"text": kind}} if kind and kind != "TEXT" else {}
            found.append({**typed, "system": system, "value": value})
        return [one for number, one in enumerate(found) if one not in found[:number]]
