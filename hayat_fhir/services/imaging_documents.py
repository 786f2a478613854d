"""Documents among a study's instances, as FHIR: reports with their measurements, encapsulated documents, selections.

A Structured Report becomes a DiagnosticReport with an Observation for each measurement, an encapsulated document a
DocumentReference with a Binary, a key object selection a DocumentReference that names what it refers to. Each carries
the UID of its instance as identifier, so that it is made once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import tzinfo
from typing import Any
from urllib.parse import quote

import structlog
from structlog.typing import FilteringBoundLogger

from hayat_fhir.dicom import key_objects
from hayat_fhir.dicom.details import read_details
from hayat_fhir.dicom.encapsulated_document import MEDIA, read_document
from hayat_fhir.dicom.structured_report import Finding, read_report
from hayat_fhir.errors import PreconditionFailed, Refusal, Unavailable
from hayat_fhir.fhir.dates import instant
from hayat_fhir.mapping.context import Context
from hayat_fhir.mapping.engine import Mapper
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.services.conditional import Conditional
from hayat_fhir.services.document_visibility import document_type
from hayat_fhir.services.drafting import new_id
from hayat_fhir.services.history_bundle import escaped
from hayat_fhir.services.imaging_parties import ImagingParties
from hayat_fhir.services.imaging_study import STUDY_SYSTEM
from hayat_fhir.services.interactions import Interactions
from hayat_fhir.services.report_resources import ReportResources, attachment, identifier_of, replacement
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.imaging_documents import ImagingDocumentRows
from hayat_fhir.store.instances import Instance
from hayat_fhir.store.records import Stored

_RETRACTED = "entered-in-error"
_MOST_FINDINGS = 1000
Fragment = dict[str, Any]


class ImagingDocuments:
    """Makes the resources; ``tables`` are the mappings out of DICOM by file."""

    def __init__(
        self,
        tables: Mapping[str, Mapping[str, Mapper]],
        interactions: Interactions,
        conditional: Conditional,
        blobs: Blobs,
        parties: ImagingParties,
        rows: ImagingDocumentRows,
        site_url: str,
        zone: tzinfo | None,
        character_set: str,
    ) -> None:
        self._log: FilteringBoundLogger = structlog.get_logger("hayat_fhir.imaging")
        self._reports = ReportResources(tables["dicom/structured_report"], parties, Context(zone))
        self._document = tables["dicom/encapsulated_document"]
        self._interactions = interactions
        self._conditional = conditional
        self._blobs = blobs
        self._rows = rows
        self._site_url = site_url
        self._context = Context(zone)
        self._character_set = character_set

    async def project(self, instances: Sequence[Instance], study: Stored, base: str) -> None:
        """Make the resources of those instances that are not projected yet; one that cannot be read is left out.

        ``base`` is the root of the identifier systems of whoever sent the study.

        Raises:
            Unavailable: The database does not answer.
        """
        for instance in instances:
            if instance.imaging_study is not None or not is_document(instance):
                continue
            try:
                await self._one(instance, study, base)
            except Unavailable:
                raise
            except Refusal as refusal:
                self._log.warning("document not projected", image=instance.uid, code=refusal.issues[0].code)

    async def _one(self, instance: Instance, study: Stored, base: str) -> None:
        caller = _sender(instance)
        if instance.sop_class == key_objects.SOP_CLASS:
            made = await self._selection(caller, instance, study)
        elif instance.sop_class in MEDIA:
            made = await self._encapsulated(caller, instance, study)
        else:
            made = await self._structured_report(caller, instance, study, base)
        await self._rows.put(instance.uid, made.reference)

    async def _structured_report(self, caller: Caller, instance: Instance, study: Stored, base: str) -> Stored:
        report = await asyncio.to_thread(read_report, self._blobs.path(instance.blob), self._character_set)
        shared = self._reports.shared(report, study)
        budget = [_MOST_FINDINGS]
        results = [await self._observation(caller, instance, one, shared, budget) for one in report.findings]
        told = [one for one in results if one is not None]
        stored = await self._create(caller, self._reports.report(instance, report, study, told, base))
        old = [
            one
            for uid in report.predecessors
            for one in await self._made_of(caller, "DiagnosticReport", uid)
            if one.source in {None, caller.source}
        ]
        if old:
            recorded = instant(instance.received)
            record = replacement(stored, old, recorded, self._site_url)
            await self._interactions.create(caller, "Provenance", record, f"target={stored.reference}")
        return stored

    async def _observation(
        self, caller: Caller, instance: Instance, finding: Finding, shared: Fragment, budget: list[int]
    ) -> str | None:
        """The Observation of a finding, with those of its members; None: too many, or nothing said."""
        budget[0] -= 1
        if budget[0] < 0:
            return None
        members = [await self._observation(caller, instance, one, shared, budget) for one in finding.members]
        made = self._reports.observation(instance, finding, shared, [one for one in members if one is not None])
        return None if made is None else (await self._create(caller, made)).reference

    async def _encapsulated(self, caller: Caller, instance: Instance, study: Stored) -> Stored:
        document = await asyncio.to_thread(read_document, self._blobs.path(instance.blob), self._character_set)
        media = MEDIA[instance.sop_class]
        content: Fragment = {"contentType": "application/dicom", "url": self._wado(instance)}
        if document.content is None:
            return await self._create(caller, self._reference(instance, study, document.header, content))
        content = attachment(media, document.content)
        data = content.pop("data")
        there = await self._made_of(caller, "DocumentReference", instance.uid)
        same = [one for one in there if _has(one, content)]
        content["url"] = next(filter(None, map(_binary, same)), None) or f"Binary/{new_id()}"
        stored = await self._create(caller, self._reference(instance, study, document.header, content))
        if (url := _binary(stored)) is not None:
            await self._put_binary(caller, url.removeprefix("Binary/"), media, data, stored)
        return stored

    async def _put_binary(self, caller: Caller, id: str, media: str, data: str, document: Stored) -> None:
        """The bytes of a document, for whoever may see the document; once, for what is there is not replaced."""
        binary = {
            "resourceType": "Binary",
            "id": id,
            "contentType": media,
            "securityContext": {"reference": document.reference},
            "data": data,
        }
        with suppress(PreconditionFailed):
            await self._interactions.update(caller, "Binary", id, binary, absent=True)

    async def _selection(self, caller: Caller, instance: Instance, study: Stored) -> Stored:
        path = self._blobs.path(instance.blob)
        selection = await asyncio.to_thread(key_objects.read_key_objects, path)
        header = await asyncio.to_thread(read_details, path, self._character_set)
        content = {"contentType": "application/dicom", "url": self._wado(instance)}
        resource = self._reference(instance, study, header, content)
        resource["context"]["related"] += [
            {"identifier": identifier_of(uid)} for uid in selection.references[:_MOST_FINDINGS]
        ]
        return await self._create(caller, resource)

    def _reference(self, instance: Instance, study: Stored, header: Mapping[str, Any], content: Fragment) -> Fragment:
        said = self._document["document"].apply(header, self._context)
        if "description" in said:
            content = {**content, "title": said["description"]}
        return {
            "resourceType": "DocumentReference",
            "identifier": [identifier_of(instance.uid)],
            **said,
            "subject": (study.resource or {})["subject"],
            "content": [{"attachment": content}],
            "context": {"related": [{"reference": study.reference}]},
        }

    async def _made_of(self, caller: Caller, type: str, uid: str) -> list[Stored]:
        """What was made of this instance."""
        return await self._conditional.all(caller, type, identifier_criteria(STUDY_SYSTEM, f"urn:oid:{uid}"))

    async def _create(self, caller: Caller, resource: Fragment) -> Stored:
        kept = {name: value for name, value in resource.items() if value not in (None, [], "")}
        identifier = kept["identifier"][0]
        criteria = identifier_criteria(identifier["system"], identifier["value"])
        written = await self._interactions.create(caller, kept["resourceType"], kept, criteria)
        if written.created or not _is_revivable(written.stored, caller):
            return written.stored
        # labels stay: somebody has set them since it was made
        there = (written.stored.resource or {}).get("meta", {})
        labels = {name: there[name] for name in ("security",) if name in there}
        return await self._replace(caller, written.stored, {**kept, "meta": labels} if labels else kept)

    async def retract(self, instances: Sequence[Instance]) -> None:
        """Mark what was made of these instances, which are not shown any more, as entered in error.

        Raises:
            Refusal: It cannot be stored.
        """
        for instance in instances:
            if not is_document(instance):
                continue
            caller = _sender(instance)
            for type in ("DiagnosticReport", "DocumentReference"):
                for stored in await self._made_of(caller, type, instance.uid):
                    if stored.source in {None, caller.source}:
                        await self._retract(caller, stored)

    async def _retract(self, caller: Caller, stored: Stored) -> None:
        resource = stored.resource or {}
        if resource.get("status") == _RETRACTED:
            return
        await self._replace(caller, stored, {**resource, "status": _RETRACTED})
        for made in [*resource.get("result", ()), *resource.get("hasMember", ())]:
            id = str(made["reference"]).removeprefix("Observation/")
            await self._retract(caller, await self._interactions.read(caller, "Observation", id))

    async def _replace(self, caller: Caller, stored: Stored, resource: Fragment) -> Stored:
        type = str(resource["resourceType"])
        changed = {**resource, "id": stored.id}
        return (await self._interactions.update(caller, type, stored.id, changed, stored.version)).stored

    def _wado(self, instance: Instance) -> str:
        """Where the instance itself is retrieved."""
        study, series = instance.study, instance.series
        return f"{self._site_url}/dicomweb/studies/{study}/series/{series}/instances/{instance.uid}"


def _sender(instance: Instance) -> Caller:
    """The site, on behalf of the partner that sent an instance; what a doctor has stored here is the site's own."""
    return Caller(Role.SITE, "imaging", source=instance.peer or None)


def _is_revivable(made: Stored, caller: Caller) -> bool:
    """Whether what was made of an instance has been retracted, and is the instance's again now that it is back."""
    return (made.resource or {}).get("status") == _RETRACTED and made.source in {None, caller.source}


def identifier_criteria(system: str, value: str) -> str:
    """``identifier=system|value`` as a query string."""
    return "identifier=" + quote(f"{escaped(system)}|{escaped(value)}", safe="")


def is_document(instance: Instance) -> bool:
    """Whether an instance is a report, an encapsulated document or a selection."""
    return document_type(instance.sop_class) is not None


def _has(document: Stored, content: Fragment) -> bool:
    """Whether a DocumentReference is of the same content: of this type, size and hash."""
    attachments = [one.get("attachment", {}) for one in (document.resource or {}).get("content", ())]
    return any(content.items() <= one.items() for one in attachments)


def _binary(document: Stored) -> str | None:
    """The Binary (``Binary/id``) of a DocumentReference, if it has one here."""
    attachments = [one.get("attachment", {}) for one in (document.resource or {}).get("content", ())]
    urls = [str(one.get("url", "")) for one in attachments]
    return next((url for url in urls if url.startswith("Binary/") and url.count("/") == 1), None)
