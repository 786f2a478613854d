"""What image instances say, as FHIR: ImagingStudy, Patient and Endpoint. Pure.

https://hl7.org/fhir/R4/imagingstudy.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from itertools import groupby
from typing import Any

from hayat_fhir.dicom.header import by_keyword
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

    def study(self, instances: Sequence[Instance], subject: str, endpoint: str, accession_system: str) -> Fragment:
        """The ImagingStudy of all instances of a study; counts are of what is really there."""
        first = by_keyword(instances[0].attributes)
        series = [
            self._series(list(members)) for _, members in groupby(instances, key=lambda instance: instance.series)
        ]
        acquired = Counter(one["modality"]["code"] for one in series if one["modality"]["code"] not in _NOT_ACQUIRED)
        modalities = sorted(acquired) or sorted({one["modality"]["code"] for one in series})
        return {
            "resourceType": "ImagingStudy",
            "identifier": _identifiers(instances[0].study, first, accession_system),
            "status": "available",
            "modality": [{"system": _DCM, "code": code} for code in modalities],
            "subject": {"reference": subject},
            **self._study["study"].apply(first, self._context),
            "endpoint": [{"reference": endpoint}],
            "numberOfSeries": len(series),
            "numberOfInstances": len(instances),
            "series": series,
        }

    def _series(self, instances: list[Instance]) -> Fragment:
        sources = [by_keyword(instance.attributes) for instance in instances]
        modality = " ".join(str(sources[0].get("Modality", [""])[0] or "").split()) or _UNKNOWN_MODALITY
        return {
            "uid": instances[0].series,
            **self._study["series"].apply(sources[0], self._context),
            "modality": {"system": _DCM, "code": modality},
            "numberOfInstances": len(instances),
            "instance": [self._study["instance"].apply(source, self._context) for source in sources],
        }

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
