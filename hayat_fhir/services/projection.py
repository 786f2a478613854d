"""Imaging studies are a projection of instance rows: rebuilt when a study has been quiet, and on demand.

However many associations push at once, the counts are those of the rows. A study that a partner announced by
Bundle before its images came is taken over: it keeps its id and its patient.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger

from hayat_fhir.dicom.demographics import differing, of_image, of_patient
from hayat_fhir.errors import Conflict, Refusal, Unavailable
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.services.conditional import Conditional
from hayat_fhir.services.documents import Documents
from hayat_fhir.services.imaging_documents import ImagingDocuments, identifier_criteria
from hayat_fhir.services.imaging_orders import OrdersOnRecord, merged
from hayat_fhir.services.imaging_rows import arrival, imaging_study_row
from hayat_fhir.services.imaging_study import ASSUMPTION, STUDY_SYSTEM, ImagingStudies
from hayat_fhir.services.imaging_subject import ImagingSubjects
from hayat_fhir.services.interactions import Interactions
from hayat_fhir.services.rejection import RejectionNotes
from hayat_fhir.services.verification import Verification
from hayat_fhir.store.arrivals import Arrivals
from hayat_fhir.store.imaging_studies import ImagingStudyRows
from hayat_fhir.store.instances import Instance, Instances
from hayat_fhir.store.partners import Partners
from hayat_fhir.store.quarantine import DEMOGRAPHICS, WITHHELD, QuarantineRows
from hayat_fhir.store.records import Stored

_POLL = 0.25
_ATTEMPTS = 5
_MOST_ENTRIES = 10_000
_PAUSE = 30.0
"""Seconds before a study that was refused is tried again."""


class Projection:
    """Turns instance rows into ImagingStudy, Patient and Endpoint."""

    def __init__(
        self,
        instances: Instances,
        quarantine: QuarantineRows,
        notes: RejectionNotes,
        documents: Documents,
        imaging_documents: ImagingDocuments,
        interactions: Interactions,
        conditional: Conditional,
        orders: OrdersOnRecord,
        builder: ImagingStudies,
        subjects: ImagingSubjects,
        partners: Partners,
        site_url: str,
        rows: ImagingStudyRows,
        arrivals: Arrivals,
        verification: Verification,
        quiet_seconds: float,
    ) -> None:
        self._verification = verification
        self._arrivals = arrivals
        self._log: FilteringBoundLogger = structlog.get_logger("hayat_fhir.imaging")
        self._instances = instances
        self._quarantine = quarantine
        self._notes = notes
        self._documents = documents
        self._imaging_documents = imaging_documents
        self._interactions = interactions
        self._conditional = conditional
        self._builder = builder
        self._subjects = subjects
        self._partners = partners
        self._site_url = site_url
        self._orders = orders
        self._rows = rows
        self._quiet = timedelta(seconds=quiet_seconds)

    async def run(self, stop: asyncio.Event) -> None:
        """Project studies as they become quiet, until ``stop`` is set; one that is refused holds no other back."""
        refused: dict[str, float] = {}
        while not stop.is_set():
            try:
                await self._round(refused)
            except Unavailable as refusal:
                self._log.warning("projection deferred", code=refusal.issues[0].code)
            try:
                await asyncio.wait_for(stop.wait(), _POLL)
            except TimeoutError:
                continue

    async def _round(self, refused: dict[str, float]) -> None:
        """Project what is pending; ``refused`` maps studies to the loop's time before which they wait."""
        now = asyncio.get_running_loop().time()
        for study in [study for study, until in refused.items() if until <= now]:
            del refused[study]
        for study in await self._instances.pending_studies(datetime.now(UTC) - self._quiet):
            if study in refused:
                continue
            try:
                await self.project(study)
            except Unavailable:
                raise
            except Refusal as refusal:
                if not isinstance(refusal, Conflict):
                    refused[study] = now + _PAUSE
                self._log.warning("projection refused", study=study, code=refusal.issues[0].code)

    async def project(self, study: str) -> Stored | None:
        """Bring the ImagingStudy of a Study Instance UID up to date; None where there is no image of it.

        Raises:
            Refusal: It cannot be stored; the images stay pending.
        """
        touched = await self._instances.touched(study)
        stored = await self._projected(study)
        if touched is not None:
            shown = {instance.uid for instance in await self._instances.of_study(study)}
            hidden = [entry.instance for entry in await self._quarantine.list(None, study, count=_MOST_ENTRIES)]
            await self._imaging_documents.retract([one for one in hidden if one.uid not in shown])
            await self._instances.settle(study, touched)
        return stored

    async def _projected(self, study: str) -> Stored | None:
        instances = await self._instances.of_study(study)
        if instances and await self._notes.apply(instances):
            instances = await self._instances.of_study(study)
        if not instances:
            return await self._emptied(study)
        first = min(instances, key=lambda one: one.received)
        caller = Caller(Role.SITE, "imaging", source=first.peer or None)
        endpoints = await self._endpoints(caller)
        details = await self._documents.details(instances)
        base = await self._base(first)
        for _ in range(_ATTEMPTS):
            existing, contested = await self._existing(caller, instances)
            of_series = next((details[one.uid] for one in instances if one.series == first.series), {})
            subject = await self._subject(caller, first, of_series, existing)
            if existing is None and await self._held(caller, instances, subject):
                return await self._projected(study)
            resource = self._builder.study(instances, details, subject, endpoints, base)
            if first.peer:
                source = f"{self._site_url}/fhir/Organization/{first.peer}"
                resource["meta"] = {"source": source, **resource.get("meta", {})}
            orders = await self._orders.found(study, resource.get("basedOn", []), subject)
            resource |= {"basedOn": orders} if orders else {}
            try:
                stored = await self._write(caller, resource, existing, contested=contested)
            except Conflict:
                continue
            await self._imaging_documents.project(instances, stored, base)
            row = imaging_study_row(instances, stored, details)
            await self._rows.put(row)
            await self._arrivals.put(arrival(instances, row, subject))
            await self._instances.projected(instances, stored.id)
            await self._verification.note(stored)
            return stored
        raise Conflict("others kept changing the same imaging study")

    async def _emptied(self, study: str) -> Stored | None:
        """No image of a study is left: its ImagingStudy, where there was one, says so."""
        id = await self._rows.imaging_study(study)
        if id is None:
            return None
        caller = Caller(Role.SITE, "imaging")
        existing = await self._interactions.read(caller, "ImagingStudy", id)
        withheld = await self._quarantine.list(WITHHELD, study)
        status = next(filter(None, (self._notes.status(entry.reason) for entry in withheld)), "entered-in-error")
        resource = {**(existing.resource or {}), "status": status}
        resource |= {"numberOfSeries": 0, "numberOfInstances": 0}
        resource.pop("series", None)
        written = await self._interactions.update(caller, "ImagingStudy", id, resource, existing.version)
        await self._rows.remove(study)
        return written.stored

    async def _held(self, caller: Caller, instances: list[Instance], subject: str) -> bool:
        """Whether images of a new study went into quarantine, for they do not describe the patient of that number."""
        patient = await self._interactions.read(caller, "Patient", subject.removeprefix("Patient/"))
        known = of_patient(patient.resource or {})
        accepted = await self._quarantine.accepted_demographics(instances[0].system, instances[0].patient_id)
        held: dict[tuple[str, ...], list[Instance]] = {}
        for instance in instances:
            said = of_image(instance.attributes)
            differs = differing(known, said)
            if differs and instance.admitted is None and all(differing(variant, said) for variant in accepted):
                held.setdefault(differs, []).append(instance)
        for differs, several in held.items():
            await self._quarantine.hold(several, DEMOGRAPHICS, differs=differs)
            self._log.warning("images quarantined", study=several[0].study, images=len(several), reason=DEMOGRAPHICS)
        return bool(held)

    async def _existing(self, caller: Caller, instances: list[Instance]) -> tuple[Stored | None, bool]:
        """The ImagingStudy of these images, if there is one; and whether somebody else claims their UID.

        It is the one they were projected into before, or one that their own sender or this site announced. What
        another partner says of the study is not taken over: it would draw the images to a patient of its choice.
        """
        found = await self._conditional.all(caller, "ImagingStudy", study_criteria(instances[0].study))
        projected = {instance.imaging_study for instance in instances}
        own = [one for one in found if one.id in projected or one.source in {None, caller.source}]
        own.sort(key=lambda one: one.id not in projected)
        return (own[0] if own else None), bool(found)

    async def _write(
        self, caller: Caller, resource: dict[str, Any], existing: Stored | None, *, contested: bool
    ) -> Stored:
        if existing is None:
            study = resource["identifier"][0]["value"].removeprefix("urn:oid:")
            criteria = None if contested else study_criteria(study)
            written = await self._interactions.create(caller, "ImagingStudy", resource, criteria)
            if written.created:
                return written.stored
            existing = written.stored
        kept = _taken_over(resource, existing.resource or {})
        return (
            await self._interactions.update(
                caller, "ImagingStudy", existing.id, {**kept, "id": existing.id}, existing.version
            )
        ).stored

    async def _subject(
        self, caller: Caller, instance: Instance, details: Mapping[str, Any], existing: Stored | None
    ) -> str:
        """The patient: of the study as it stands, else whoever has this patient number, else a new one."""
        if existing is not None and existing.resource is not None:
            reference = existing.resource.get("subject", {}).get("reference")
            if isinstance(reference, str):
                return reference
        patient = self._subjects.patient(instance, details, await self._system(instance))
        identifier = patient["identifier"][0]
        criteria = identifier_criteria(identifier["system"], identifier["value"])
        return (await self._interactions.create(caller, "Patient", patient, criteria)).stored.reference

    async def _endpoints(self, caller: Caller) -> list[str]:
        """References to the site's own endpoints, which are made where they are missing."""
        owner = Caller(Role.SITE, caller.subject)
        found = []
        for endpoint in self._builder.endpoints():
            identifier = endpoint["identifier"][0]
            criteria = identifier_criteria(identifier["system"], identifier["value"])
            found.append((await self._interactions.create(owner, "Endpoint", endpoint, criteria)).stored.reference)
        return found

    async def _base(self, instance: Instance) -> str:
        """The root of the identifier systems of the image's sender, whoever gave its patient the number."""
        system = await self._system(instance)
        if system.startswith("http"):
            return system.removesuffix("/patient")
        return f"{self._site_url}/identifier" + (f"/{instance.peer}" if instance.peer else "")

    async def _system(self, instance: Instance) -> str:
        """The identifier system of the patient numbers of the image's sender; empty where there is none."""
        sender = await self._partners.by_id(instance.peer) if instance.peer else None
        return (sender.patient_id_system or "") if sender is not None else ""


def study_criteria(study: str) -> str:
    """The criteria that name the ImagingStudy of a Study Instance UID."""
    return identifier_criteria(STUDY_SYSTEM, f"urn:oid:{study}")


def _taken_over(resource: dict[str, Any], existing: dict[str, Any]) -> dict[str, Any]:
    """The projection, with what only others can have said about the study."""
    known = {(identifier.get("system"), identifier.get("value")) for identifier in resource["identifier"]}
    others = [i for i in existing.get("identifier", ()) if (i.get("system"), i.get("value")) not in known]
    orders = merged(existing.get("basedOn", ()), resource.get("basedOn", ()))
    kept: dict[str, Any] = {
        name: existing[name]
        for name in ("encounter", "note", "reasonCode", "reasonReference", "procedureReference")
        if name in existing
    }
    made = {**kept, **resource, "identifier": [*resource["identifier"], *others]}
    told = {"basedOn": orders, "meta": _meta(resource.get("meta", {}), existing.get("meta", {}))}
    return {**made, **{name: value for name, value in told.items() if value}}


def _meta(told: dict[str, Any], there: dict[str, Any]) -> dict[str, Any]:
    """What stands of labels and origin, with what is assumed now."""
    tags = [tag for tag in there.get("tag", ()) if tag.get("system") != ASSUMPTION] + told.get("tag", [])
    meta = {name: value for name, value in {**told, **there}.items() if name != "tag"}
    return {**meta, **({"tag": tags} if tags else {})}
