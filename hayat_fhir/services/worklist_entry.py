"""A worklist entry as DICOM JSON: an order, when it is due, and whose it is. Pure.

From ServiceRequest, Appointment and Patient to the attributes of PS3.4 K.6.1.2.2,
https://dicom.nema.org/medical/dicom/current/output/html/part04.html#table_K.6-1
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from hayat_fhir.dicom.header import LONGEST_ISSUER, issuer_of
from hayat_fhir.dicom.tags import tag_of, vr_of

Resource = Mapping[str, Any]
Attributes = dict[str, Any]
_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_STUDY = "urn:dicom:uid"
_SNOMED = "http://snomed.info/sct"
_IMAGING = frozenset({(_SNOMED, "363679005"), ("http://terminology.hl7.org/CodeSystem/service-category", "28")})
_SEX = {"male": "M", "female": "F", "other": "O"}
_PRIORITY = {"routine": "ROUTINE", "urgent": "HIGH", "asap": "HIGH", "stat": "STAT"}
_MOMENT = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2}))?)?")
_SHORT, _LONG = 16, 64
_DERIVED = "2.25."


def is_imaging(order: Resource) -> bool:
    """Whether an order is one for a modality: its category is imaging, or it names one."""
    codings = {(c.get("system"), c.get("code")) for c in _codings(order.get("category", ()))}
    return bool(codings & _IMAGING) or bool(modality(order))


def modality(order: Resource) -> str:
    """The modality that an order names, in its details, category or code; empty where it names none."""
    concepts = [*order.get("orderDetail", ()), *order.get("category", ()), order.get("code", {})]
    return next((str(c["code"]) for c in _codings(concepts) if c.get("system") == _DCM and c.get("code")), "")


def study_uid(order: Resource) -> str:
    """The Study Instance UID under which an order is to be carried out: its own, else one that follows from its id."""
    own = _own_study_uid(order)
    if own is not None:
        return own
    id = str(order.get("id", ""))
    try:
        number = UUID(id).int
    except ValueError:
        number = uuid5(NAMESPACE_OID, id).int
    return f"{_DERIVED}{number}"


def is_found_by_study(order: Resource) -> bool:
    """Whether ``study_uid`` of an order leads back to it: by its identifier or its id, which then is a UUID."""
    return _own_study_uid(order) is not None or order_id(study_uid(order)) == order.get("id")


def _own_study_uid(order: Resource) -> str | None:
    for identifier in order.get("identifier", ()):
        value = str(identifier.get("value", ""))
        if identifier.get("system") == _STUDY and value.startswith("urn:oid:"):
            return value.removeprefix("urn:oid:")
    return None


def order_id(study: str) -> str | None:
    """The id of the order from which ``study_uid`` made this UID, if it made it from one."""
    number = study.removeprefix(_DERIVED)
    if number == study or not number.isdecimal() or int(number) >= 1 << 128:
        return None
    return str(UUID(int=int(number)))


def requested_procedure_id(order: Resource) -> str:
    """The Requested Procedure ID of an order: its filler's number, else one that follows from its id."""
    filler = next((value for kind, _, value in _identifiers(order) if kind == "FILL"), "")
    return filler[:_SHORT] or _short(str(order.get("id", "")))


def worklist_entry(order: Resource, appointment: Resource | None, patient: Resource, station: str) -> Attributes:
    """The entry of an order for a station (AE title)."""
    said = _first(order.get("code", {}).get("text"), *(c.get("display") for c in _codings([order.get("code", {})])))
    start = (appointment or {}).get("start") or order.get("occurrenceDateTime")
    start = start or order.get("occurrencePeriod", {}).get("start") or order.get("authoredOn") or ""
    date, time = _moment(start)
    step: dict[str, Any] = {
        "ScheduledStationAETitle": station,
        "ScheduledProcedureStepStartDate": date,
        "ScheduledProcedureStepStartTime": time,
        "Modality": modality(order),
        "ScheduledPerformingPhysicianName": _practitioner(appointment, order),
        "ScheduledProcedureStepDescription": _first((appointment or {}).get("description"), said)[:64],
        "ScheduledProcedureStepID": _short((appointment or order).get("id", "")),
        "ScheduledProcedureStepLocation": "",
        "PreMedication": "",
    }
    codes = [_code(coding) for coding in _codings([order.get("code", {})]) if coding.get("code")]
    if codes:
        step["ScheduledProtocolCodeSequence"] = codes
    identifiers = {kind: value for kind, _, value in _identifiers(order)}
    found: dict[str, Any] = {
        **_patient(patient),
        "AccessionNumber": identifiers.get("ACSN", "")[:_SHORT],
        "ReferringPhysicianName": _person(order.get("requester", {}).get("display", "")),
        "RequestingPhysician": _person(order.get("requester", {}).get("display", "")),
        "StudyInstanceUID": study_uid(order),
        "RequestedProcedureID": requested_procedure_id(order),
        "RequestedProcedureDescription": said[:64],
        "RequestedProcedurePriority": _PRIORITY.get(str(order.get("priority", "")), ""),
        "PlacerOrderNumberImagingServiceRequest": identifiers.get("PLAC", ""),
        "FillerOrderNumberImagingServiceRequest": identifiers.get("FILL", ""),
        "ReasonForTheRequestedProcedure": _first(*(one.get("text") for one in order.get("reasonCode", ()))),
        "ScheduledProcedureStepSequence": [_attributes(step)],
    }
    if codes:
        found["RequestedProcedureCodeSequence"] = codes
    return _attributes(found)


def _attributes(values: Mapping[str, Any]) -> Attributes:
    found: Attributes = {}
    for keyword, value in values.items():
        vr = vr_of(keyword)
        element: dict[str, Any] = {"vr": vr}
        if value not in ("", None, []):
            element["Value"] = value if isinstance(value, list) else [{"Alphabetic": value} if vr == "PN" else value]
        found[tag_of(keyword)] = element
    return found


def _patient(patient: Resource) -> dict[str, Any]:
    name: Resource = next(iter(patient.get("name", ())), {})
    system, value = _number(patient)
    written = "^".join(
        (str(name.get("family", "")), " ".join(name.get("given", ())[:1]), " ".join(name.get("given", ())[1:]))
    ).rstrip("^")
    return {
        "PatientName": written or _person(str(name.get("text", ""))),
        "PatientID": value,
        "IssuerOfPatientID": system if len(system) <= LONGEST_ISSUER else "",
        "IssuerOfPatientIDQualifiersSequence": [_attributes(issuer_of(system))] if system else [],
        "PatientBirthDate": _moment(str(patient.get("birthDate", "")))[0],
        "PatientSex": _SEX.get(str(patient.get("gender", "")), ""),
    }


def _number(patient: Resource) -> tuple[str, str]:
    """System and value of the number that a modality is to copy into its images: one with a system, if possible."""
    numbers = [(system, value) for _, system, value in _identifiers(patient) if 0 < len(value) <= _LONG]
    return next((one for one in numbers if one[0]), next(iter(numbers), ("", "")))


def _identifiers(resource: Resource) -> Iterable[tuple[str, str, str]]:
    """Type code, system and value of each identifier."""
    for one in resource.get("identifier", ()):
        kinds = [str(c.get("code", "")) for c in _codings([one.get("type", {})])] or [""]
        for kind in kinds:
            yield kind, str(one.get("system", "")), str(one.get("value", ""))


def _practitioner(appointment: Resource | None, order: Resource) -> str:
    actors = [one.get("actor", {}) for one in (appointment or {}).get("participant", ())]
    for actor in [*actors, *order.get("performer", ())]:
        if str(actor.get("reference", "")).startswith("Practitioner/") and actor.get("display"):
            return _person(str(actor["display"]))
    return ""


def _person(display: str) -> str:
    """A name as one writes it as a PN: the last word is the family's."""
    *given, family = display.replace("^", " ").replace("=", " ").split() or [""]
    return f"{family}^{' '.join(given)}".rstrip("^")


def _code(coding: Resource) -> Attributes:
    system = str(coding.get("system", ""))
    scheme = {_SNOMED: "SCT", "http://loinc.org": "LN", _DCM: "DCM"}.get(system, "99HAYAT")
    return _attributes(
        {
            "CodeValue": str(coding["code"])[:_SHORT],
            "CodingSchemeDesignator": scheme,
            "CodeMeaning": str(coding.get("display") or coding["code"])[:64],
        }
    )


def _codings(concepts: Iterable[Resource]) -> list[Resource]:
    return [coding for concept in concepts for coding in concept.get("coding", ())]


def _moment(text: str) -> tuple[str, str]:
    """Date and time of a FHIR dateTime, as it is written."""
    found = _MOMENT.match(text)
    if found is None:
        return "", ""
    year, month, day, hour, minute, second = found.groups()
    return f"{year}{month}{day}", f"{hour}{minute}{second or '00'}" if hour else ""


def _short(id: str) -> str:
    """An id that fits into a short string."""
    return id if len(id) <= _SHORT else sha256(id.encode()).hexdigest()[:_SHORT]


def _first(*texts: str | None) -> str:
    return next((text for text in texts if text), "")
