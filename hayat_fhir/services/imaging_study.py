"""What image instances say, as FHIR: ImagingStudy and Endpoint. Pure.

https://hl7.org/fhir/R4/imagingstudy.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import groupby
from typing import Any

from hayat_fhir.dicom.details import ASSUMED
from hayat_fhir.dicom.header import by_keyword
from hayat_fhir.mapping.context import Context
from hayat_fhir.mapping.engine import Mapper
from hayat_fhir.services.imaging_parties import ImagingParties
from hayat_fhir.store.instances import Instance

STUDY_SYSTEM = "urn:dicom:uid"
_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_CONNECTION = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
_ENDPOINT_SYSTEM = "urn:hayat:endpoint"
_ENDPOINTS: tuple[tuple[str, list[str]], ...] = (
    ("dicom-wado-rs", ["application/dicom", "application/dicom+json"]),
    ("dicom-qido-rs", ["application/dicom+json"]),
)
_NOT_ACQUIRED = frozenset({"DOC", "KO", "PR", "REG", "RWV", "SEG", "SR"})
"""Modalities of what was derived: they stand at their series, not at the study."""

_UNKNOWN_MODALITY = "OT"
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_REFERRING = "ReferringPhysicianIdentificationSequence"
_PERFORMING = (
    ("PerformingPhysicianName", "PerformingPhysicianIdentificationSequence"),
    ("OperatorsName", "OperatorIdentificationSequence"),
)
_READERS = (
    ("NameOfPhysiciansReadingStudy", "PhysiciansReadingStudyIdentificationSequence"),
    ("PhysiciansOfRecord", "PhysiciansOfRecordIdentificationSequence"),
)
_OFFSET = "TimezoneOffsetFromUTC"
_SIDES = ("Laterality", "ImageLaterality", "FrameLaterality")
_REFERENCED_SERIES = "urn:hayat:dicom-referenced-series"
_MOST_REFERENCED = 100
ASSUMPTION = "urn:hayat:imaging-assumption"
"""The system of the tags of an ImagingStudy that say what the images did not and was assumed, or said wrongly."""
Fragment = dict[str, Any]


class ImagingStudies:
    """Builds resources from the instances of one study, by the mapping files of ``mappings/dicom/``."""

    def __init__(self, tables: Mapping[str, Mapper], base_url: str, zone: tzinfo | None, site_name: str) -> None:
        self._study = tables
        self._base_url = base_url
        self._site_name = site_name
        self._context = Context(zone)
        self.parties = ImagingParties(tables, self._context)

    def study(
        self,
        instances: Sequence[Instance],
        details: Mapping[str, Mapping[str, Any]],
        subject: str,
        endpoints: Sequence[str],
        base: str,
    ) -> Fragment:
        """The ImagingStudy of all instances of a study; counts are of what is really there.

        ``details`` are those of the first instance of each series, by UID; ``base`` is the root of the identifier
        systems of whoever sent them.
        """
        sources = {one.uid: {**by_keyword(one.attributes), **details.get(one.uid, {})} for one in instances}
        told = _told(list(sources.values()), "StudyDate", "StudyTime")
        series = [
            self._series(list(members), sources, base)
            for _, members in groupby(instances, key=lambda instance: instance.series)
        ]
        acquired = Counter(one["modality"]["code"] for one in series if one["modality"]["code"] not in _NOT_ACQUIRED)
        modalities = sorted(acquired) or sorted({one["modality"]["code"] for one in series})
        for item in told.get("RequestAttributesSequence", []):
            if isinstance(item, dict) and "ReasonForRequestedProcedureCodeSequence" in item:
                reasons = told.setdefault("ReasonForRequestedProcedureCodeSequence", [])
                told["ReasonForRequestedProcedureCodeSequence"] = [
                    *reasons,
                    *item["ReasonForRequestedProcedureCodeSequence"],
                ]
        parties = self.parties
        made = {
            "resourceType": "ImagingStudy",
            "meta": {"tag": self._assumptions(told, series, sources.values(), instances[0].received)},
            "identifier": self._identifiers(instances[0].study, told, base),
            "status": "available",
            "modality": [{"system": _DCM, "code": code} for code in modalities],
            "subject": {"reference": subject},
            "basedOn": parties.orders(told, base),
            **self._study["study"].apply(told, self._context),
            "referrer": next(iter(parties.people(told, "ReferringPhysicianName", _REFERRING)), None),
            "interpreter": [one for names, ids in _READERS for one in parties.people(told, names, ids)],
            "endpoint": [{"reference": endpoint} for endpoint in endpoints],
            "numberOfSeries": len(series),
            "numberOfInstances": len(instances),
            "series": series,
        }
        return {name: value for name, value in made.items() if value not in (None, [], {"tag": []})}

    def _identifiers(self, study: str, told: Mapping[str, Any], base: str) -> list[Fragment]:
        """The Study Instance UID; the accession number and the Study ID within the systems of who gave them."""
        found: list[Fragment] = [{"system": STUDY_SYSTEM, "value": f"urn:oid:{study}"}]
        accession = self.parties.accession(told, base)
        if accession is not None:
            found.append(accession)
        number = " ".join(str((told.get("StudyID") or [""])[0]).split())
        if number:
            found.append({"use": "secondary", "system": f"{base}/study-id", "value": number})
        return found

    def _assumptions(
        self,
        told: Mapping[str, Any],
        series: Sequence[Fragment],
        sources: Iterable[Mapping[str, Any]],
        received: datetime,
    ) -> list[Fragment]:
        """What was assumed where the images say nothing, and what cannot be so."""
        moment = str(self._study["study"].apply(told, self._context).get("started", ""))
        assumed = {
            "time-zone": "T" in moment and not told.get(_OFFSET),
            "character-set": any(ASSUMED in source for source in sources),
            "future-date": moment[:10] > f"{received + timedelta(days=1):%Y-%m-%d}",
            "modality": any(one["modality"]["code"] == _UNKNOWN_MODALITY for one in series),
        }
        return [{"system": ASSUMPTION, "code": code} for code, is_so in assumed.items() if is_so]

    def _series(self, instances: list[Instance], all_sources: Mapping[str, Mapping[str, Any]], base: str) -> Fragment:
        sources = [all_sources[instance.uid] for instance in instances]
        told = _told(sources, "SeriesDate", "SeriesTime")
        sides = {str(source.get("ImageLaterality", [""])[0]) for source in sources}
        if len(sides) > 1 or len({str(told[name][0]) for name in _SIDES if told.get(name)}) > 1:
            told = {name: value for name, value in told.items() if name not in _SIDES}
        modality = " ".join(str(told.get("Modality", [""])[0] or "").split()) or _UNKNOWN_MODALITY
        performers = [
            {"function": {"coding": [{"system": _PARTICIPATION, "code": "PRF"}]}, "actor": person}
            for name, identification in _PERFORMING
            for person in self.parties.people(told, name, identification)
        ]
        devices = [self.parties.device(told), *({"type": "Device", "display": name} for name in _algorithms(told))]
        performers += [{"actor": device} for device in devices if device is not None]
        made = {
            "uid": instances[0].series,
            "extension": _references(told) if modality in _NOT_ACQUIRED else [],
            **self._study["series"].apply(told, self._context),
            "modality": {"system": _DCM, "code": modality},
            "specimen": self.parties.specimens(told, base),
            "performer": performers,
            "numberOfInstances": len(instances),
            "instance": [self._study["instance"].apply(_titled(source), self._context) for source in sources],
        }
        return {name: value for name, value in made.items() if value != []}

    def endpoints(self) -> list[Fragment]:
        """Where the images of this site are retrieved, by WADO-RS, and asked for, by QIDO-RS."""
        return [
            {
                "resourceType": "Endpoint",
                "identifier": [{"system": _ENDPOINT_SYSTEM, "value": kind}],
                "status": "active",
                "connectionType": {"system": _CONNECTION, "code": kind},
                "name": f"DICOMweb of this site: {kind}",
                "managingOrganization": {"display": self._site_name},
                "payloadType": [{"coding": [{"system": _DCM, "code": "113014", "display": "DICOM Study"}]}],
                "payloadMimeType": media,
                "address": f"{self._base_url}/dicomweb",
            }
            for kind, media in _ENDPOINTS
        ]


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


def _titled(source: Mapping[str, Any]) -> Mapping[str, Any]:
    """The source, and its Image Type as the one text that it is to people."""
    kinds = [str(kind) for kind in source.get("ImageType", ()) if kind]
    return {**source, "ImageTypeText": ["\\".join(kinds)]} if kinds else source


def _algorithms(told: Mapping[str, Any]) -> list[str]:
    """What made the segments of a segmentation."""
    return [text for name in told.get("SegmentAlgorithmName", ()) if (text := " ".join(str(name).split()))]


def _references(told: Mapping[str, Any]) -> list[Fragment]:
    """The series to which a presentation state, segmentation or registration refers."""
    uids = [str((item.get("SeriesInstanceUID") or [""])[0]) for item in told.get("ReferencedSeriesSequence", ())]
    return [{"url": _REFERENCED_SERIES, "valueOid": f"urn:oid:{uid}"} for uid in uids[:_MOST_REFERENCED] if uid]
