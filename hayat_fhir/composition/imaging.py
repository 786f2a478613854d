"""The room of imaging: images that come in, the studies they make, and what DICOM clients find and fetch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from hayat_fhir.composition.access import Access
from hayat_fhir.composition.foundation import Foundation
from hayat_fhir.composition.records import Records
from hayat_fhir.imaging_process import ImagingProcesses
from hayat_fhir.mapping.engine import Mapper
from hayat_fhir.services.binding import Binding
from hayat_fhir.services.document_visibility import DocumentVisibility
from hayat_fhir.services.documents import Documents
from hayat_fhir.services.imaging_documents import ImagingDocuments
from hayat_fhir.services.imaging_orders import OrdersOnRecord
from hayat_fhir.services.imaging_query import ImagingQuery
from hayat_fhir.services.imaging_renewal import ImagingRenewal
from hayat_fhir.services.imaging_study import ImagingStudies
from hayat_fhir.services.imaging_subject import ImagingSubjects
from hayat_fhir.services.imaging_visibility import ImagingVisibility
from hayat_fhir.services.ingest import Ingest
from hayat_fhir.services.procedure_steps import Procedures
from hayat_fhir.services.projection import Projection
from hayat_fhir.services.quarantine import Quarantine
from hayat_fhir.services.reindexing import Reindexing
from hayat_fhir.services.rejection import RejectionNotes
from hayat_fhir.services.retrieval import Retrieval
from hayat_fhir.services.scheduled_orders import ScheduledOrders
from hayat_fhir.services.storing import Storing
from hayat_fhir.services.verification import Verification
from hayat_fhir.store.arrivals import Arrivals
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.database import ThreadedDatabase
from hayat_fhir.store.image_metadata import ImageMetadata
from hayat_fhir.store.images import Images
from hayat_fhir.store.imaging_documents import ImagingDocumentRows
from hayat_fhir.store.imaging_renewal import ImagingRowRenewal
from hayat_fhir.store.imaging_studies import ImagingStudyRows
from hayat_fhir.store.incoming_instances import IncomingInstances
from hayat_fhir.store.index_renewal import IndexRenewal
from hayat_fhir.store.instances import Instances
from hayat_fhir.store.manifests import Manifests
from hayat_fhir.store.procedure_steps import ProcedureSteps
from hayat_fhir.store.quarantine import QuarantineRows
from hayat_fhir.store.rejections import Rejections
from hayat_fhir.store.scheduled_studies import ScheduledStudies

Tables = Mapping[str, Mapping[str, Mapper]]
"""The mappings out of DICOM by file and table."""


@dataclass(frozen=True, kw_only=True)
class Imaging:
    """What is done with images and their rows."""

    instances: Instances
    blobs: Blobs
    imaging_processes: ImagingProcesses
    projection: Projection
    quarantine: Quarantine
    binding: Binding
    verification: Verification
    imaging_visibility: ImagingVisibility
    document_visibility: DocumentVisibility
    imaging_query: ImagingQuery
    retrieval: Retrieval
    storing: Storing
    procedures: Procedures
    reindexing: Reindexing


def imaging(
    base: Foundation,
    records: Records,
    access: Access,
    tables: Tables,
    processes: ImagingProcesses,
    incoming: ThreadedDatabase,
) -> Imaging:
    """Build it; ``processes`` decode pixels, ``incoming`` is the database for the threads that store images."""
    settings, database, policy, auditing = base.settings, base.database, base.policy, base.auditing
    instances = Instances(database)
    blobs = Blobs(settings.data_dir / "blobs", settings.disk_reserve_mb << 20)
    documents = Documents(blobs, settings.character_set)
    rows = ImagingStudyRows(database)
    visibility = DocumentVisibility(ImagingDocumentRows(database), policy)
    quarantined = QuarantineRows(database)
    verification = Verification(
        interactions=records.interactions,
        conditional=records.conditional,
        resources=base.resources,
        instances=instances,
        partners=base.partners,
        manifests=Manifests(database),
        policy=policy,
        keys=base.keys,
        public_keys=access.authorization,
        base_url=settings.fhir_url,
    )
    ingest = Ingest(IncomingInstances(incoming), blobs, lambda *_: None, settings.character_set)
    own_numbers = settings.own_patient_id_system
    scheduled = ScheduledOrders(records.interactions, records.conditional, ScheduledStudies(database))
    orders = OrdersOnRecord(records.conditional, scheduled)
    return Imaging(
        instances=instances,
        blobs=blobs,
        imaging_processes=processes,
        projection=_projection(
            base, records, tables, instances, documents, blobs, rows, quarantined, verification, orders
        ),
        quarantine=Quarantine(quarantined, instances, blobs, policy, auditing),
        binding=Binding(
            instances, base.resources, records.interactions, base.keys, settings.site_name, settings.fhir_url
        ),
        verification=verification,
        imaging_visibility=ImagingVisibility(rows),
        document_visibility=visibility,
        imaging_query=ImagingQuery(rows, Images(database), policy, auditing, visibility),
        retrieval=Retrieval(instances, blobs, rows, ImageMetadata(database), processes, policy, auditing, visibility),
        storing=Storing(ingest, base.partners, policy, auditing, own_numbers),
        procedures=Procedures(ProcedureSteps(database), records.interactions, scheduled),
        reindexing=Reindexing(
            IndexRenewal(database),
            base.indexer.index,
            ImagingRenewal(ImagingRowRenewal(database), instances, documents, base.resources),
        ),
    )


def _projection(
    base: Foundation,
    records: Records,
    tables: Tables,
    instances: Instances,
    documents: Documents,
    blobs: Blobs,
    rows: ImagingStudyRows,
    quarantined: QuarantineRows,
    verification: Verification,
    orders: OrdersOnRecord,
) -> Projection:
    """What turns rows of images into ImagingStudies, patients and reports."""
    settings, database = base.settings, base.database
    interactions, conditional = records.interactions, records.conditional
    zone = ZoneInfo(settings.time_zone) if settings.time_zone else None
    builder = ImagingStudies(tables["dicom/imaging_study"], settings.site_url, zone, settings.site_name)
    titles = base.definitions.mappings["codes/rejection_notes"]
    return Projection(
        instances,
        quarantined,
        RejectionNotes(titles, instances, quarantined, Rejections(database), blobs, interactions, base.auditing),
        documents,
        ImagingDocuments(
            tables,
            interactions,
            conditional,
            blobs,
            builder.parties,
            ImagingDocumentRows(database),
            settings.site_url,
            zone,
            settings.character_set,
        ),
        interactions,
        conditional,
        orders,
        builder,
        ImagingSubjects(tables["dicom/patient"], zone, settings.own_patient_id_system),
        base.partners,
        settings.site_url,
        rows,
        Arrivals(database),
        verification,
        settings.study_quiet_seconds,
    )
