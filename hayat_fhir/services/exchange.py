"""Sharing: a patient's history goes to a partner hospital, as FHIR and as images, through a durable outbox.

A share is a job in MongoDB. The worker sends the history to the partner's FHIR base and the images, byte for
byte, to its DICOM port, and tries again until both are delivered. All of it can be repeated without effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

from hayat_fhir.dicom.composed_object import Composed
from hayat_fhir.errors import Forbidden, NotFound, Refusal, Unavailable, Unprocessable
from hayat_fhir.security.callers import Caller, Restriction, Role
from hayat_fhir.security.consent import Terms
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Access, Auditing
from hayat_fhir.services.binding import Binding, Bound, is_manifest, study_uid
from hayat_fhir.services.consents import Consents
from hayat_fhir.services.document_visibility import SharedDocuments
from hayat_fhir.services.everything import Everything
from hayat_fhir.services.history_bundle import HistoryBundle
from hayat_fhir.store.grants import Grants
from hayat_fhir.store.outbox import Job, Outbox
from hayat_fhir.store.partners import Partner, Partners
from hayat_fhir.store.records import Stored
from hayat_fhir.store.resources import Resources

_SHARERS = frozenset({Role.DOCTOR, Role.PATIENT, Role.PARTNER, Role.SITE})
_SHAREABLE = Restriction(everything=True)
"""All of a patient's history but what is labelled restricted."""

_FIRST_PAUSE = timedelta(seconds=2)
_LONGEST_PAUSE = timedelta(minutes=10)


class PartnerFhir(Protocol):
    """A partner's FHIR door."""

    async def transaction(self, partner: Partner, bundle: dict[str, Any]) -> dict[str, Any]:
        """Post a transaction Bundle; Unavailable means try again, Unprocessable that a person must look."""


class PartnerImaging(Protocol):
    """A partner's DICOM port."""

    async def send(
        self,
        partner: Partner,
        studies: Sequence[str],
        objects: Sequence[Composed],
        still: Callable[[], Coroutine[Any, Any, None]],
        withheld: Collection[str],
    ) -> tuple[int, int]:
        """Send all images of these studies (Study Instance UIDs) and these objects; how many, and how many are proven.

        ``still`` is asked between images, and ends the transfer by what it raises; ``withheld`` are the UIDs of what
        does not go along of the studies. Unavailable means try again.
        """


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one run of a share has sent. ``proven``: images of which it is proven that the partner has them."""

    resources: int
    images: int
    proven: int


class Exchange:
    """Accepts shares, and delivers them."""

    def __init__(
        self,
        *,
        base_url: str,
        resources: Resources,
        policy: Policy,
        auditing: Auditing,
        everything: Everything,
        outbox: Outbox,
        partners: Partners,
        grants: Grants,
        consents: Consents,
        binding: Binding,
        fhir: PartnerFhir,
        imaging: PartnerImaging,
        documents: SharedDocuments,
    ) -> None:
        self._base_url = base_url
        self._resources = resources
        self._policy = policy
        self._auditing = auditing
        self._everything = everything
        self._outbox = outbox
        self._partners = partners
        self._grants = grants
        self._consents = consents
        self._binding = binding
        self._fhir = fhir
        self._imaging = imaging
        self._documents = documents

    async def share(self, caller: Caller, patient: str, partner: str) -> Job:
        """Put the share of a patient's history with a partner into the outbox; from now on the partner sees it here.

        A partner asks for what was shared with it to be sent again: that opens nothing which was not open.

        Raises:
            NotFound: No such patient for this caller, or no such partner.
            Forbidden: The caller's role may not share, or not with this partner, or the patient does not consent.
        """
        async with self._auditing.access(
            caller, "operation-share", f"Patient/{patient}", f"Organization/{partner}"
        ) as access:
            if caller.role is Role.PARTNER and partner != caller.source:
                raise Forbidden("a partner may ask for itself only")
            await self._entitled(caller, patient)
            if (found := await self._partners.by_id(partner)) is None or found.disabled:
                raise NotFound("no such partner")
            await self._consents.terms(patient, found.id, access)
            await self._grants.add(found.id, patient)
            access.patients.add(f"Patient/{patient}")
            return await self._outbox.enqueue(
                "share", f"{patient}/{found.id}", {"patient": patient, "partner": found.id}
            )

    async def share_and_wait(self, patient: str, partner: str, *, wait: bool) -> str:
        """Share for the site's own command line; the job's id and state, with ``wait`` once it has come to an end.

        Raises:
            NotFound: No such patient or partner.
            Unprocessable: With ``wait``: the share failed for good.
        """
        job = await self.share(Caller(Role.SITE, "command line"), patient, partner)
        while wait and job.status in {"waiting", "running"}:
            await asyncio.sleep(0.2)
            job = await self._outbox.get(job.id) or job
        if job.status == "failed":
            raise Unprocessable(f"the share failed: {job.error}")
        return f"{job.id} {job.status}"

    async def job(self, caller: Caller, patient: str, id: str) -> Job:
        """The state of a share.

        Raises:
            NotFound: No such patient for this caller, or no such share of it.
            Forbidden: The caller's role may not share.
        """
        async with self._auditing.access(caller, "read", f"Patient/{patient}", f"Task/{id}", renewed=True) as access:
            await self._entitled(caller, patient)
            job = await self._outbox.get(id)
            if job is None or job.payload.get("patient") != patient:
                raise NotFound("no such share")
            if caller.role is Role.PARTNER and job.payload.get("partner") != caller.source:
                raise NotFound("no such share")
            access.patients.add(f"Patient/{patient}")
            return job

    async def _entitled(self, caller: Caller, patient: str) -> None:
        if caller.role not in _SHARERS:
            raise Forbidden("this role may not share a patient's history")
        restriction = self._policy.restriction(caller, Interaction.OPERATION, "Patient")
        stored = await self._resources.read("Patient", patient, restriction)
        if stored is None or stored.deleted:
            raise NotFound("no such patient")
        # a Consent alone lets a partner read, and may end before the job is due: only a share has it sent
        if caller.role is Role.PARTNER and not await self._grants.has(caller.subject, patient):
            raise NotFound("no such patient")

    async def deliver(self, job: Job) -> Delivery:
        """Send what a job says, all of it; whatever arrived before does not arrive twice.

        Raises:
            Unavailable: The partner cannot be reached: try again.
            Refusal: The partner or this site refuses: a person must look.
        """
        patient, partner_id = str(job.payload["patient"]), str(job.payload["partner"])
        site = Caller(Role.SITE, "worker")
        async with self._auditing.access(
            site, "disclosure", f"Patient/{patient}", f"Organization/{partner_id}"
        ) as access:
            partner = await self._registered(partner_id)
            terms = await self._consents.terms(patient, partner.id, access)
            history = [
                stored
                async for stored in self._everything.collect(patient, _SHAREABLE)
                if stored.source != partner.id and (not stored.compartments or terms.allow(stored.type))
                # what this site has vouched for before was for another occasion, and perhaps for another partner
                if stored.source is not None or not is_manifest(stored)
            ]
            withheld = await self._documents.withheld(_studies(history), terms) if partner.ae_title else frozenset()
            bound = await self._binding.bind(history, withheld) if partner.ae_title else Bound((), {}, ())
            sent = await self._send_history(partner, patient, terms, history, bound) if partner.fhir_url else 0
            still = partial(self._still, patient, partner.id, terms)
            await still()
            images, proven = 0, 0
            if partner.ae_title:
                images, proven = await self._imaging.send(partner, _studies(history), bound.objects, still, withheld)
            access.touched(*history)
            return Delivery(sent, images, proven)

    async def _registered(self, id: str) -> Partner:
        partner = await self._partners.by_id(id)
        if partner is None or partner.disabled:
            raise NotFound("the partner is disabled, or not registered any more")
        return partner

    async def _still(self, patient: str, partner: str, terms: Terms) -> None:
        """What the patient consents to may have changed since the history was read, and the partner been shut out.

        Raises:
            NotFound: The partner is disabled.
            Forbidden: The patient has withdrawn.
            Unavailable: The patient consents to something else now: begin again.
        """
        await self._registered(partner)
        if await self._consents.terms(patient, partner, Access()) != terms:
            raise Unavailable("the patient's consent has changed")

    async def _send_history(
        self, partner: Partner, patient: str, terms: Terms, history: Sequence[Stored], bound: Bound
    ) -> int:
        known: dict[str, str] = {}
        sent = 0
        for bundle in HistoryBundle(self._base_url, [*history, *bound.records], bound.made_of).bundles(known):
            await self._still(patient, partner.id, terms)
            answer = await self._fhir.transaction(partner, bundle)
            for entry, answered in zip(bundle["entry"], answer.get("entry", ()), strict=False):
                location = answered.get("response", {}).get("location", "")
                known[entry["fullUrl"]] = "/".join(location.split("/_history")[0].split("/")[-2:])
            sent += len(bundle["entry"])
        return sent

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver due jobs, one after the other, until ``stop`` is set."""
        while not stop.is_set():
            job = await self._outbox.lease()
            if job is None:
                await _pause(stop, 0.5)
                continue
            await self._attempt(job)

    async def _attempt(self, job: Job) -> None:
        try:
            async with self._outbox.holding(job):
                delivery = await self.deliver(job)
        except Unavailable as refusal:
            pause = min(_FIRST_PAUSE * 2 ** min(job.attempts, 16), _LONGEST_PAUSE)
            await self._outbox.retry(job, datetime.now(UTC) + pause, refusal.issues[0].diagnostics)
        except Refusal as refusal:
            await self._outbox.fail(job, refusal.issues[0].diagnostics)
        else:
            await self._outbox.done(job, asdict(delivery))


def _studies(history: Sequence[Stored]) -> list[str]:
    """The Study Instance UIDs of the imaging studies in a history."""
    return [uid for stored in history if (uid := study_uid(stored)) is not None]


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
