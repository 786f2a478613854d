"""The room of the legacy routes: the documents of ``/api/v1``, out of FHIR resources and into them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hayat_fhir.composition.access import Access
from hayat_fhir.composition.foundation import Foundation
from hayat_fhir.composition.records import Records
from hayat_fhir.mapping.document import DocumentMapping
from hayat_fhir.services.front_desk import FrontDesk
from hayat_fhir.services.legacy_reading import LegacyReading
from hayat_fhir.services.legacy_writing import LegacyWriting
from hayat_fhir.store.consultations import Consultations as ConsultationRows
from hayat_fhir.store.photos import Photos


@dataclass(frozen=True, kw_only=True)
class Legacy:
    """What the routes read and write."""

    legacy_reading: LegacyReading
    legacy_writing: LegacyWriting
    front_desk: FrontDesk
    photos: Photos


def legacy(base: Foundation, records: Records, access: Access, documents: Mapping[str, DocumentMapping]) -> Legacy:
    """Build it; ``documents`` are the mappings of the routes by document."""
    resources, auditing, people, transactions = base.resources, base.auditing, access.people, records.transactions
    reading = LegacyReading(
        documents,
        resources,
        base.policy,
        base.parameters,
        base.indexer,
        auditing,
        base.accounts,
        base.settings.fhir_url,
        base.settings.default_photo_url,
    )
    rows = ConsultationRows(base.database)
    writing = LegacyWriting(reading, resources, transactions, records.drafting, people, auditing, rows)
    return Legacy(
        legacy_reading=reading,
        legacy_writing=writing,
        front_desk=FrontDesk(reading.mappings, writing, resources, transactions, people, auditing),
        photos=Photos(base.database),
    )
