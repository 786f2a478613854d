"""The services with which peers ask for what is stored, built of what they need."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from hayat_fhir.dimse.commitment import CommitmentProvider
from hayat_fhir.dimse.event_loop import EventLoop
from hayat_fhir.dimse.procedure_step import ProcedureStepProvider
from hayat_fhir.dimse.query import MOST_MATCHES, FindProvider
from hayat_fhir.dimse.requestor import Requestor
from hayat_fhir.dimse.retrieval import RetrievalProvider
from hayat_fhir.dimse.worklist import WorklistProvider
from hayat_fhir.search.parameters import SearchParameters
from hayat_fhir.security.policy import Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.consents import Consents
from hayat_fhir.services.document_visibility import DocumentVisibility
from hayat_fhir.services.imaging_query import ImagingQuery
from hayat_fhir.services.imaging_retrieval import ImagingRetrieval
from hayat_fhir.services.peer_callers import PeerCallers
from hayat_fhir.services.procedure_steps import ProcedureRecords
from hayat_fhir.services.storage_commitment import StorageCommitment
from hayat_fhir.services.worklist import Worklist
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.commitments import CommitmentRequests, Commitments
from hayat_fhir.store.database import Database
from hayat_fhir.store.grants import Grants
from hayat_fhir.store.images import Images
from hayat_fhir.store.imaging_documents import ImagingDocumentRows
from hayat_fhir.store.imaging_studies import ImagingStudyRows
from hayat_fhir.store.partners import Partners
from hayat_fhir.store.procedure_steps import ProcedureSteps
from hayat_fhir.store.resources import Resources
from hayat_fhir.store.scheduled_studies import ScheduledStudies


class QueryRetrieve:
    """The services, and what must run beside them.

    ``conformance`` is conformance/dicom.json; ``requestor`` calls on peers; ``loop`` is the event loop of this process;
    ``parameters`` are the search parameters of ServiceRequest and Appointment at least.
    """

    def __init__(
        self,
        conformance: Mapping[str, Any],
        database: Database,
        auditing: Auditing,
        blobs: Blobs,
        requestor: Requestor,
        loop: asyncio.AbstractEventLoop,
        parameters: SearchParameters,
        base_url: str,
        *,
        most_matches: int = MOST_MATCHES,
    ) -> None:
        waiting, partners = EventLoop(loop), Partners(database)
        known_as = PeerCallers(Consents(Resources(database), Grants(database))).caller
        rows, images, policy = ImagingStudyRows(database), Images(database), Policy()
        owed, asked = Commitments(database), CommitmentRequests(database)
        documents = DocumentVisibility(ImagingDocumentRows(database), policy)
        query = ImagingQuery(rows, images, policy, auditing, documents)
        retrieval = ImagingRetrieval(rows, images, blobs, policy, auditing, documents)
        commitment = StorageCommitment(images, rows, blobs, owed, asked, policy, auditing)
        worklist = Worklist(Resources(database), ScheduledStudies(database), parameters, policy, auditing, base_url)
        self._commitment = CommitmentProvider(commitment, known_as, waiting, partners, requestor)
        self.services = [
            FindProvider(query, known_as, waiting, most_matches).service(conformance),
            *RetrievalProvider(retrieval, known_as, waiting, partners, requestor).services(conformance),
            self._commitment.service(conformance),
            ProcedureStepProvider(ProcedureRecords(ProcedureSteps(database), auditing), known_as, waiting).service(
                conformance
            ),
            WorklistProvider(worklist, known_as, waiting, most_matches).service(conformance),
        ]

    async def run(self) -> None:
        """Deliver what is owed to peers, until cancelled."""
        await self._commitment.run()
