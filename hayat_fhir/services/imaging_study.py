"""What image instances say, as FHIR: ImagingStudy, Patient and Endpoint. Pure.

https://hl7.org/fhir/R4/imagingstudy.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from itertools import groupby
from typing import Any

from hayat_fhir.dicom.header import by_keyword, universal_system
from hayat_fhir.mapping.engine import Mapper
from hayat_fhir.mapping.transforms import Context
from hayat_fhir.store.instances import Instance

STUDY_SYSTEM = "urn:dicom:uid"
_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_CONNECTION = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
_IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"
_ENDPOINT_SYSTEM = "urn:hayat:endpoint"
_NOT_ACQUIRED = frozenset({"DOC", "KO", "PR", "REG", "RWV", "SEG", "SR"})
"""Modalities of what was derived: they stand at their series, not at the study."""

_UNKNOWN_MODALITY = "OT"
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_REFERRING = "ReferringPhysicianIdentificationSequence"
_READING = "PhysiciansReadingStudyIdentificationSequence"
_PERFORMING = (
    ("PerformingPhysicianName", "PerformingPhysicianIdentificationSequence"),
    ("OperatorsName", "OperatorIdentificationSequence"),
)
_REQUESTS = ("RequestAttributesSequence", "ReferencedRequestSequence")
_ISSUER, _OFFSET = "IssuerOfAccessionNumberSequence", "TimezoneOffsetFromUTC"
Fragment = dict[str, Any]


class ImagingStudies:
    """Builds resources from the instances of one study, by the mapping files of ``mappings/dicom/``."""

    def __init__(
        self, study: Mapping[str, Mapper], patient: Mapping[str, Mapper], base_url: str, zone: tzinfo | None
    ) -> None:
        self._study = study
        self._patient = patient
        self._base_url = base_url
        self._context = Context(zone)

    def study(
        self,
        instances: Sequence[Instance],
        details: Mapping[str, Mapping[str, Any]],
        subject: str,
        endpoint: str,
        accession_system: str,
    ) -> Fragment:
        """The ImagingStudy of all instances of a study; counts are of what is really there.

        ``details`` are those of the first instance of each series, by UID.
        """
        sources = {one.uid: {**by_keyword(one.attributes), **details.get(one.uid, {})} for one in instances}
        told = _told(list(sources.values()), "StudyDate", "StudyTime")
        series = [
            self._series(list(members), sources)
            for _, members in groupby(instances, key=lambda instance: instance.series)
        ]
        acquired = Counter(one["modality"]["code"] for one in series if one["modality"]["code"] not in _NOT_ACQUIRED)
        modalities = sorted(acquired) or sorted({one["modality"]["code"] for one in series})
        system = _accession_system(told, accession_system)
        made = {
            "resourceType": "ImagingStudy",
            "identifier": _identifiers(instances[0].study, told, system),
            "status": "available",
            "modality": [{"system": _DCM, "code": code} for code in modalities],
            "subject": {"reference": subject},
            "basedOn": self._orders(told, accession_system),
            **self._study["study"].apply(told, self._context),
            "referrer": next(iter(self._people(told, "ReferringPhysicianName", _REFERRING)), None),
            "interpreter": self._people(told, "NameOfPhysiciansReadingStudy", _READING),
            "endpoint": [{"reference": endpoint}],
            "numberOfSeries": len(series),
            "numberOfInstances": len(instances),
            "series": series,
        }
        return {name: value for name, value in made.items() if value not in (None, [])}

    def _series(self, instances: list[Instance], all_sources: Mapping[str, Mapping[str, Any]]) -> Fragment:
        sources = [all_sources[instance.uid] for instance in instances]
        told = _told(sources, "SeriesDate", "SeriesTime")
        sides = {str(source.get("ImageLaterality", [""])[0]) for source in sources}
        if len(sides) > 1:
            told.pop("ImageLaterality", None)
        modality = " ".join(str(told.get("Modality", [""])[0] or "").split()) or _UNKNOWN_MODALITY
        performers = [
            {"function": {"coding": [{"system": _PARTICIPATION, "code": "PRF"}]}, "actor": person}
            for name, identification in _PERFORMING
            for person in self._people(told, name, identification)
        ]
        made = {
            "uid": instances[0].series,
            **self._study["series"].apply(told, self._context),
            "modality": {"system": _DCM, "code": modality},
            "performer": performers,
            "numberOfInstances": len(instances),
            "instance": [self._study["instance"].apply(source, self._context) for source in sources],
        }
        return {name: value for name, value in made.items() if value != []}

    def _people(self, told: Mapping[str, Any], names: str, identifications: str) -> list[Fragment]:
        """References to people by name and, where one is told, identifier; a name alone joins nobody."""
        items = told.get(identifications, [])
        people = [
            {"PersonName": [name], **(items[number] if number < len(items) and isinstance(items[number], dict) else {})}
            for number, name in enumerate(told.get(names, []))
            if name
        ]
        found = [self._study["person"].apply(one, self._context) for one in people]
        return [{"type": "Practitioner", **one} if "identifier" in one else one for one in found if one]

    def _orders(self, told: Mapping[str, Any], accession_system: str) -> list[Fragment]:
        """The orders that were carried out, as references by their numbers within the systems of who gave these."""
        base = accession_system.removesuffix("/accession")
        items = [item for name in _REQUESTS for item in told.get(name, []) if isinstance(item, dict)]
        if told.get("AccessionNumber") and not any(item.get("AccessionNumber") for item in items):
            items.append({key: told[key] for key in ("AccessionNumber", _ISSUER) if key in told})
        orders: list[Fragment] = []
        for item in items:
            said = self._study["request"].apply(item, self._context)
            numbers = (
                ("PLAC", said.get("placer"), f"{base}/placer"),
                ("FILL", said.get("filler"), f"{base}/filler"),
                ("ACSN", said.get("accession"), _accession_system(item, accession_system)),
            )
            number = next((one for one in numbers if one[1]), None)
            if number is not None:
                kind = {"coding": [{"system": _IDENTIFIER_TYPE, "code": number[0]}]}
                identifier = {"type": kind, "system": number[2], "value": number[1]}
                shown = {"display": said["display"]} if "display" in said else {}
                order = {"type": "ServiceRequest", "identifier": identifier, **shown}
                if order not in orders:
                    orders.append(order)
        return orders

    def patient(self, instance: Instance) -> Fragment:
        """The Patient that an image names, for a site that has not met them yet.

        Without a patient number the patient is provisional: known by this study alone, and never merged.
        """
        source = by_keyword(instance.attributes)
        value = instance.patient_id
        identifier = {"system": instance.system, "value": value}
        if not value:
            identifier = {"system": STUDY_SYSTEM, "value": f"urn:oid:{instance.study}"}
        return {
            "resourceType": "Patient",
            "identifier": [identifier],
            **self._patient["patient"].apply(source, self._context),
        }

    def endpoint(self) -> Fragment:
        """Where the images of this site are retrieved: WADO-RS."""
        return {
            "resourceType": "Endpoint",
            "identifier": [{"system": _ENDPOINT_SYSTEM, "value": "dicom-wado-rs"}],
            "status": "active",
            "connectionType": {"system": _CONNECTION, "code": "dicom-wado-rs"},
            "name": "DICOMweb of this site",
            "payloadType": [{"coding": [{"system": _DCM, "code": "113014", "display": "DICOM Study"}]}],
            "payloadMimeType": ["application/dicom"],
            "address": f"{self._base_url}/dicomweb",
        }


def _told(sources: Sequence[Mapping[str, Any]], date: str, time: str) -> dict[str, Any]:
    """What the images together say: each attribute by the first that has it, date and time by the earliest."""
    told: dict[str, Any] = {}
    for source in sources:
        told = {**source, **told}
    dated = [source for source in sources if source.get(date)]
    if dated:
        earliest = min(dated, key=lambda source: (str(source[date][0]), str(source.get(time, [""])[0])))
        for name in (time, _OFFSET):
            told.pop(name, None)
        told |= {name: earliest[name] for name in (date, time, _OFFSET) if name in earliest}
    return told


def _accession_system(source: Mapping[str, Any], default: str) -> str:
    """The identifier system of an accession number: of its issuer where that is universal."""
    issuers = [one for one in source.get(_ISSUER, []) if isinstance(one, dict)]
    return next(filter(None, map(universal_system, issuers)), default)


def _identifiers(study: str, source: Mapping[str, Any], accession_system: str) -> list[Fragment]:
    """The Study Instance UID, and the accession number within the system of whoever gave it."""
    found: list[Fragment] = [{"system": STUDY_SYSTEM, "value": f"urn:oid:{study}"}]
    accession = str(source.get("AccessionNumber", [""])[0]).strip()
    if accession:
        found.append(
            {
                "type": {"coding": [{"system": _IDENTIFIER_TYPE, "code": "ACSN"}]},
                "system": accession_system,
                "value": accession,
            }
        )
    return found
