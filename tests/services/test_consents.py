"""A share that waits in the outbox does not leave any more once the patient has withdrawn."""

import asyncio
from typing import Any

import pytest

from hayat_fhir.app import Site
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.services.partner_details import PartnerDetails
from hayat_fhir.store.outbox import Job

WORKER = Caller(Role.SITE, "test")


def consent(patient: str, partner: str, status: str) -> dict[str, Any]:
    """The patient's Consent about the partner."""
    actor = {"role": {"text": "recipient"}, "reference": {"reference": f"Organization/{partner}"}}
    return {
        "resourceType": "Consent",
        "status": status,
        "scope": {"coding": [{"code": "patient-privacy"}]},
        "category": [{"text": "sharing"}],
        "policyRule": {"text": "opt in"},
        "patient": {"reference": f"Patient/{patient}"},
        "provision": {"type": "permit", "actor": [actor]},
    }


async def test_a_queued_share_is_stopped_by_withdrawal(site: Site) -> None:
    """The job fails for good and says why; the refused disclosure is audited; asked again, it is refused at once."""
    patient = (await site.interactions.create(WORKER, "Patient", {"resourceType": "Patient"})).stored.id
    partner = await site.registration.partner(PartnerDetails("Partner", fhir_url="http://127.0.0.1:9/fhir"))
    job = await site.exchange.share(WORKER, patient, partner.id)
    await site.interactions.create(WORKER, "Consent", consent(patient, partner.id, "inactive"))
    ended = await _run(site, job)
    assert (ended.status, ended.result) == ("failed", None)
    assert "consent" in (ended.error or "")
    audit = await site.searching.search(WORKER, "AuditEvent", [("entity", f"Patient/{patient}"), ("outcome", "4")])
    assert audit.matches
    with pytest.raises(Exception, match="consent"):
        await site.exchange.share(WORKER, patient, partner.id)


async def _run(site: Site, job: Job) -> Job:
    stop = asyncio.Event()
    running = asyncio.create_task(site.exchange.run(stop))
    try:
        async with asyncio.timeout(120):
            while True:
                found = await site.outbox.get(job.id)
                if found is not None and found.status not in {"waiting", "running"}:
                    return found
                await asyncio.sleep(0.1)
    finally:
        stop.set()
        await running
