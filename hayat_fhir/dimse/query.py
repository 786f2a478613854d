"""Query (C-FIND) as SCP, in the patient root, study root and patient/study only models.

PS3.4 C.4.1, https://dicom.nema.org/medical/dicom/current/output/html/part04.html#sect_C.4.1
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import evt

from hayat_fhir.dicom.information_model import Level
from hayat_fhir.dimse.event_loop import EventLoop
from hayat_fhir.dimse.identifiers import answer, is_understood, received, status
from hayat_fhir.dimse.service import Event, Service, contexts
from hayat_fhir.errors import Category, Refusal
from hayat_fhir.security.callers import Caller
from hayat_fhir.services.imaging_query import ImagingQuery
from hayat_fhir.store.partners import Partner

PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1."
PATIENT_STUDY_ONLY = "1.2.840.10008.5.1.4.1.2.3."
MOST_MATCHES = 10_000
PENDING, PENDING_UNSUPPORTED = 0xFF00, 0xFF01
CANCELLED = 0xFE00
OUT_OF_RESOURCES = 0xA700
_STATUS = {
    Category.INVALID: 0xA900,
    Category.FORBIDDEN: 0x0124,
    Category.UNAUTHENTICATED: 0x0124,
    Category.TOO_LARGE: OUT_OF_RESOURCES,
    Category.UNAVAILABLE: OUT_OF_RESOURCES,
}
_UNABLE = 0xC000
KnownAs = Callable[[Partner, str], Coroutine[Any, Any, Caller]]
"""Who a peer at an address is to the policy."""


def top_of(abstract_syntax: str) -> Level:
    """The uppermost level of an information model."""
    rooted = abstract_syntax.startswith((PATIENT_ROOT, PATIENT_STUDY_ONLY))
    return Level.PATIENT if rooted else Level.STUDY


def refused(refusal: Refusal) -> Dataset:
    """The status that answers a query that is refused (PS3.4 C.4.1.1.4)."""
    return status(_STATUS.get(refusal.category, _UNABLE), refusal)


class FindProvider:
    """Answers queries; ``most``: matches of one query, after which it is answered 0xA700."""

    def __init__(self, query: ImagingQuery, known_as: KnownAs, loop: EventLoop, most: int = MOST_MATCHES) -> None:
        self._query = query
        self._known_as = known_as
        self._loop = loop
        self._most = most

    def service(self, conformance: Mapping[str, Any]) -> Service:
        """The service; ``conformance`` is conformance/dicom.json."""
        return Service(contexts(conformance, "query"), {evt.EVT_C_FIND: self.find})

    def find(self, event: Event, peer: Partner) -> Iterator[tuple[Dataset | int, Dataset | None]]:
        """The answers to one C-FIND."""
        try:
            yield from self._answers(event, peer)
        except Refusal as refusal:
            yield refused(refusal), None

    def _answers(self, event: Event, peer: Partner) -> Iterator[tuple[Dataset | int, Dataset | None]]:
        asked, identifier = received(lambda: event.identifier, top_of(str(event.context.abstract_syntax)))
        pending = PENDING if is_understood(asked, identifier) else PENDING_UNSUPPORTED
        caller = self._loop.wait(self._known_as(peer, event.assoc.address))
        ae_title = str(event.assoc.acceptor.ae_title).strip()
        given = 0
        for matches in self._loop.each(self._query.find(caller, asked)):
            for found in matches:
                if event.is_cancelled:
                    yield CANCELLED, None
                    return
                if given == self._most:
                    yield OUT_OF_RESOURCES, None
                    return
                given += 1
                yield pending, answer(asked, found, identifier, ae_title)
