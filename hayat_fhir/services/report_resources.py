"""What a Structured Report says, as DiagnosticReport and Observation. Pure.

PS3.3 A.35, PS3.16 TID 1500; https://hl7.org/fhir/R4/diagnosticreport.html
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha1
from typing import Any

from hayat_fhir.dicom.structured_report import Finding, Report
from hayat_fhir.mapping.context import Context
from hayat_fhir.mapping.engine import Mapper
from hayat_fhir.services.imaging_parties import ImagingParties
from hayat_fhir.services.imaging_study import STUDY_SYSTEM
from hayat_fhir.store.instances import Instance
from hayat_fhir.store.records import Stored

ITEM_SYSTEM = "urn:hayat:dicom-content-item"
"""The identifier system of an Observation: UID of the report, and where in its tree the measurement stands."""
IMAGE = "urn:hayat:dicom-image"
"""The extension of a reference to an ImagingStudy that tells the image and its frames, for which R4 has no element."""
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_SECTION = "http://terminology.hl7.org/CodeSystem/v2-0074"
_OBSERVERS = ("AuthorObserverSequence", "ParticipantSequence")
_LONGEST_CONCLUSION = 20_000
Fragment = dict[str, Any]


class ReportResources:
    """Builds them by ``mappings/dicom/structured_report.toml``."""

    def __init__(self, tables: Mapping[str, Mapper], parties: ImagingParties, context: Context) -> None:
        self._tables = tables
        self._parties = parties
        self._context = context

    def report(self, instance: Instance, report: Report, study: Stored, results: Sequence[str], base: str) -> Fragment:
        """The DiagnosticReport, whose ``results`` are Observations."""
        made = self._said(report)
        return {
            "resourceType": "DiagnosticReport",
            "identifier": [identifier_of(instance.uid)],
            "basedOn": self._parties.orders(report.header, base)
            if "ReferencedRequestSequence" in report.header
            else [],
            "category": [{"coding": [{"system": _SECTION, "code": "RAD"}]}],
            "code": {"text": "Structured report"},
            **made,
            "status": made.get("status", "unknown"),
            "subject": (study.resource or {})["subject"],
            "performer": self._observers(report.header),
            "resultsInterpreter": self._verifiers(report.header),
            "result": [{"reference": one} for one in results],
            "imagingStudy": [{"reference": study.reference}],
            "conclusion": report.text[:_LONGEST_CONCLUSION],
            "presentedForm": [attachment("text/plain; charset=utf-8", report.text.encode())] if report.text else [],
        }

    def shared(self, report: Report, study: Stored) -> Fragment:
        """What all Observations of a report have in common."""
        made = self._said(report)
        status = made.get("status")
        found = {
            "status": status if status in {"final", "preliminary"} else "preliminary",
            "category": [{"coding": [{"system": _CATEGORY, "code": "imaging"}]}],
            "subject": (study.resource or {})["subject"],
            "derivedFrom": [{"reference": study.reference}],
        }
        return {**found, **{name: made[name] for name in ("effectiveDateTime",) if name in made}}

    def observation(
        self, instance: Instance, finding: Finding, shared: Fragment, members: Sequence[str]
    ) -> Fragment | None:
        """The Observation of a finding; None where it says nothing."""
        said = self._tables["observation"].apply(finding.source, self._context)
        if "code" not in said or not (members or said.keys() & {"valueQuantity", "valueCodeableConcept"}):
            return None
        identifiers: list[Fragment] = [{"system": ITEM_SYSTEM, "value": f"{instance.uid}#{finding.path}"}]
        identifiers += [{"value": tracking} for tracking in finding.tracking]
        (study,) = shared["derivedFrom"]
        images = [{**study, "extension": [_image(uid, frames)]} for uid, frames in finding.images]
        made: Fragment = {"resourceType": "Observation", "identifier": identifiers, **shared, **said}
        if images:
            made["derivedFrom"] = images
        if finding.algorithm:
            made["device"] = {"type": "Device", "display": finding.algorithm}
        if members:
            made["hasMember"] = [{"reference": one} for one in members]
        return made

    def _said(self, report: Report) -> Fragment:
        return self._tables["report"].apply(report.header, self._context)

    def _verifiers(self, header: Mapping[str, Any]) -> list[Fragment]:
        """Who has verified the report."""
        found = []
        for item in header.get("VerifyingObserverSequence", ()):
            codes = item.get("VerifyingObserverIdentificationCodeSequence", [])
            said = {"PersonName": item.get("VerifyingObserverName"), "PersonIdentificationCodeSequence": codes}
            found.append(self._parties.person({name: value for name, value in said.items() if value}))
        return [one for one in found if one]

    def _observers(self, header: Mapping[str, Any]) -> list[Fragment]:
        """Who and what took part in making the report (PS3.3 table 10-1, C.17.2-1)."""
        found: list[Fragment] = []
        for item in (one for name in _OBSERVERS for one in header.get(name, ())):
            if item.get("ObserverType") == ["DEV"]:
                device = self._parties.device(item)
                shown = {"type": "Device", **device} if device is not None else {}
            else:
                shown = self._parties.person(item)
            if shown and shown not in found:
                found.append(shown)
        # R4 lets people and organizations perform a report; of a device the name is told.
        return [
            {"display": one["display"]} if one.get("type") == "Device" else one for one in found if "display" in one
        ]


def replacement(new: Stored, old: Sequence[Stored], recorded: str, site: str) -> Fragment:
    """The Provenance of a report that replaces others, as its predecessors tell."""
    agent = {"who": {"display": site}}
    return {
        "resourceType": "Provenance",
        "target": [{"reference": new.reference}],
        "recorded": recorded,
        "activity": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "UPDATE"}]
        },
        "agent": [agent],
        "entity": [{"role": "revision", "what": {"reference": one.reference}} for one in old],
    }


def identifier_of(uid: str) -> dict[str, str]:
    """The identifier of what was made from an instance."""
    return {"system": STUDY_SYSTEM, "value": f"urn:oid:{uid}"}


def attachment(media: str, content: bytes) -> Fragment:
    """An attachment; FHIR R4 asks for SHA-1 as its hash, which proves nothing here."""
    digest = sha1(content, usedforsecurity=False).digest()
    return {
        "contentType": media,
        "data": b64encode(content).decode(),
        "size": len(content),
        "hash": b64encode(digest).decode(),
    }


def _image(uid: str, frames: Sequence[int]) -> Fragment:
    parts: list[Fragment] = [{"url": "instance", "valueOid": f"urn:oid:{uid}"}]
    parts += [{"url": "frame", "valuePositiveInt": number} for number in frames if number > 0]
    return {"url": IMAGE, "extension": parts}
