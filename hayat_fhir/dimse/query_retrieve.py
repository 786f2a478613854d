"""The services with which peers ask for what is stored, built of what they need."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from hayat_fhir.dimse.event_loop import EventLoop
from hayat_fhir.dimse.query import MOST_MATCHES, FindProvider
from hayat_fhir.dimse.service import Service
from hayat_fhir.security.policy import Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.imaging_query import ImagingQuery
from hayat_fhir.services.peer_callers import PeerCallers
from hayat_fhir.store.database import Database
from hayat_fhir.store.grants import Grants
from hayat_fhir.store.images import Images
from hayat_fhir.store.imaging_studies import ImagingStudyRows


def query_retrieve(
    conformance: Mapping[str, Any],
    database: Database,
    auditing: Auditing,
    loop: asyncio.AbstractEventLoop,
    *,
    most_matches: int = MOST_MATCHES,
) -> list[Service]:
    """The services; ``conformance`` is conformance/dicom.json, ``loop`` the event loop of this process."""
    waiting, known_as = EventLoop(loop), PeerCallers(Grants(database)).caller
    query = ImagingQuery(ImagingStudyRows(database), Images(database), Policy(), auditing)
    return [FindProvider(query, known_as, waiting, most_matches).service(conformance)]
