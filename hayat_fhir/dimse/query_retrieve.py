"""The services with which peers ask for what is stored, built of what they need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from hayat_fhir.dimse.event_loop import EventLoop
from hayat_fhir.dimse.query import MOST_MATCHES, FindProvider
from hayat_fhir.dimse.retrieval import RetrievalProvider
from hayat_fhir.dimse.service import Service
from hayat_fhir.security.policy import Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.imaging_query import ImagingQuery
from hayat_fhir.services.imaging_retrieval import ImagingRetrieval
from hayat_fhir.services.peer_callers import PeerCallers
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.database import Database
from hayat_fhir.store.grants import Grants
from hayat_fhir.store.images import Images
from hayat_fhir.store.imaging_studies import ImagingStudyRows
from hayat_fhir.store.partners import Partner


def query_retrieve(
    conformance: Mapping[str, Any],
    database: Database,
    auditing: Auditing,
    blobs: Blobs,
    peer: Callable[[str], Partner | None],
    ae_title: str,
    loop: asyncio.AbstractEventLoop,
    *,
    most_matches: int = MOST_MATCHES,
) -> list[Service]:
    """The services; ``conformance`` is conformance/dicom.json, ``loop`` the event loop of this process.

    ``peer``: the partner with an AE title; ``ae_title``: this site's.
    """
    waiting, known_as = EventLoop(loop), PeerCallers(Grants(database)).caller
    rows, images, policy = ImagingStudyRows(database), Images(database), Policy()
    query = ImagingQuery(rows, images, policy, auditing)
    retrieval = ImagingRetrieval(rows, images, blobs, policy, auditing)
    return [
        FindProvider(query, known_as, waiting, most_matches).service(conformance),
        *RetrievalProvider(retrieval, known_as, waiting, peer, ae_title).services(conformance),
    ]
