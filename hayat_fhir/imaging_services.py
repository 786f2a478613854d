"""The composition of the imaging services: part of the composition root, for ``app``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from hayat_fhir.definitions import Definitions
from hayat_fhir.mapping.engine import Mapper
from hayat_fhir.security.policy import Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.conditional import Conditional
from hayat_fhir.services.documents import Documents
from hayat_fhir.services.imaging_documents import ImagingDocuments
from hayat_fhir.services.imaging_study import ImagingStudies
from hayat_fhir.services.imaging_subject import ImagingSubjects
from hayat_fhir.services.interactions import Interactions
from hayat_fhir.services.projection import Projection
from hayat_fhir.services.quarantine import Quarantine
from hayat_fhir.services.rejection import RejectionNotes
from hayat_fhir.services.verification import Verification
from hayat_fhir.store.arrivals import Arrivals
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.database import Database
from hayat_fhir.store.imaging_studies import ImagingStudyRows
from hayat_fhir.store.instances import Instances
from hayat_fhir.store.partners import Partners
from hayat_fhir.store.quarantine import QuarantineRows
from hayat_fhir.store.rejections import Rejections

if TYPE_CHECKING:
    from hayat_fhir.settings import Settings


@dataclass(frozen=True, slots=True)
class ImagingServices:
    """What the site does with the rows of its images."""

    projection: Projection
    quarantine: Quarantine


def imaging_services(
    settings: Settings,
    definitions: Definitions,
    tables: Mapping[str, Mapping[str, Mapper]],
    database: Database,
    blobs: Blobs,
    interactions: Interactions,
    conditional: Conditional,
    policy: Policy,
    auditing: Auditing,
    verification: Verification,
) -> ImagingServices:
    """Build them; ``tables`` are the mappings out of DICOM by file."""
    rows = QuarantineRows(database)
    zone = ZoneInfo(settings.time_zone) if settings.time_zone else None
    builder = ImagingStudies(tables["dicom/imaging_study"], settings.site_url, zone, settings.site_name)
    instances = Instances(database)
    titles = definitions.mappings["codes/rejection_notes"]
    projection = Projection(
        instances,
        rows,
        RejectionNotes(titles, instances, rows, Rejections(database), blobs, interactions, auditing),
        Documents(blobs, settings.character_set),
        ImagingDocuments(
            tables, interactions, conditional, blobs, builder.parties, settings.site_url, zone, settings.character_set
        ),
        interactions,
        conditional,
        builder,
        ImagingSubjects(tables["dicom/patient"], zone, settings.own_patient_id_system),
        Partners(database),
        settings.site_url,
        ImagingStudyRows(database),
        Arrivals(database),
        verification,
        settings.study_quiet_seconds,
    )
    return ImagingServices(projection, Quarantine(rows, instances, blobs, policy, auditing))
