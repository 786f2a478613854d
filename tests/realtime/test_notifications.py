"""What people are told of without asking, and who is not."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from hayat_fhir.search.entries import IndexEntries
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.store.audit_events import AuditLog
from hayat_fhir.store.records import Change
from tests.realtime.conftest import Browser, Connect, Served

_PURPOSE = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_SITE = Caller(Role.SITE, "tests")


async def _written(served: Served, resource: dict[str, Any]) -> str:
    type = resource["resourceType"]
    written = await served.run(served.site.interactions.create(_SITE, type, resource))
    return str(written.stored.reference)


def _about(reference: str) -> Any:
    return lambda told: told["reference"] == reference


async def _untold(browsers: list[Browser], reference: str) -> bool:
    return not any(
        name == "notification" and payload[0]["reference"] == reference
        for browser in browsers
        for name, payload in browser.events
    )


async def test_a_study_and_a_signed_report_are_told_to_whom_they_concern(served: Served, connect: Connect) -> None:
    """The patient and the doctors, on any process; not other patients; of the study the staff too; no names."""
    people = {name: await served.person(name) for name in ("doctor", "patient", "staff")}
    doctor, patient = await connect(people["doctor"]), await connect(people["patient"], served.urls[1])
    staff, stranger = await connect(people["staff"]), await connect(await served.person("patient"))
    subject = {"reference": f"Patient/{people['patient'].id}"}
    study = await _written(
        served,
        {"resourceType": "ImagingStudy", "status": "available", "subject": subject},
    )
    for browser in (doctor, patient, staff):
        (told,) = await browser.told("notification", _about(study))
        assert told.keys() == {"kind", "reference", "patient", "at"}
        assert (told["kind"], told["patient"]) == ("study-arrived", subject["reference"])
    report: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "status": "preliminary",
        "code": {"text": "CT"},
        "subject": subject,
    }
    reference = await _written(served, report)
    id = reference.partition("/")[2]
    for status in ("final", "amended"):
        signed = {**report, "id": id, "status": status}
        await served.run(served.site.interactions.update(_SITE, "DiagnosticReport", id, signed))
    last = await _written(served, {**report, "status": "final"})
    for browser in (doctor, patient):
        await browser.told("notification", _about(last))
        told_of = [payload[0]["kind"] for _, payload in browser.events if payload[0].get("reference") == reference]
        assert told_of == ["report-signed"]
    assert await _untold([stranger], study)
    for about in (reference, last):
        assert await _untold([stranger, staff], about)


async def test_what_is_restricted_is_not_told(served: Served, connect: Connect) -> None:
    """Not even that it exists."""
    people = {name: await served.person(name) for name in ("doctor", "patient", "staff")}
    browsers = [await connect(person) for person in people.values()]
    subject = {"reference": f"Patient/{people['patient'].id}"}
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    study = {"resourceType": "ImagingStudy", "status": "available", "subject": subject}
    secret = await _written(served, {**study, "meta": {"security": [label]}})
    plain = await _written(served, study)
    for browser in browsers:
        await browser.told("notification", _about(plain))
    assert await _untold(browsers, secret)


async def test_a_delivered_share_and_a_broken_glass_are_told(served: Served, connect: Connect) -> None:
    """The share to whoever sees the patient; the broken glass to the patient and the staff, not to doctors."""
    people = {name: await served.person(name) for name in ("doctor", "patient", "staff")}
    doctor, patient, staff = [await connect(person) for person in people.values()]
    stranger = await connect(await served.person("patient"))
    id = people["patient"].id

    async def deliver() -> None:
        outbox = served.site.outbox
        await outbox.enqueue("share", f"{id}/partner", {"patient": id, "partner": "partner"})
        job = await outbox.lease()
        assert job is not None
        await outbox.done(job)

    await served.run(deliver())
    for browser in (doctor, patient, staff):
        (told,) = await browser.told("notification", _about(f"Patient/{id}"))
        assert told["kind"] == "share-delivered"
    event = {
        "resourceType": "AuditEvent",
        "type": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110113"},
        "recorded": "2026-11-23T12:00:00Z",
        "purposeOfEvent": [{"coding": [{"system": _PURPOSE, "code": "BTG"}]}],
        "agent": [{"requestor": True}],
        "source": {"observer": {"display": "Test"}},
    }
    broken = Change("AuditEvent", uuid4().hex, 0, event, IndexEntries(), (f"Patient/{id}",))
    await served.run(AuditLog(served.site.database).append(broken))
    for browser in (patient, staff):
        (told,) = await browser.told("notification", _about(f"AuditEvent/{broken.id}"))
        assert told["kind"] == "glass-broken"
    assert await _untold([doctor, stranger], f"AuditEvent/{broken.id}")
    assert await _untold([stranger], f"Patient/{id}")
