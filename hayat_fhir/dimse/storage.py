"""Storage (C-STORE) as SCP: an image is answered 0x0000 only when it is durable. PS3.4 annex B."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from pynetdicom.presentation import PresentationContext, build_context
from structlog.typing import FilteringBoundLogger

from hayat_fhir.dicom.header import is_uid
from hayat_fhir.dimse.commands import StoreRequest
from hayat_fhir.dimse.messages import Sink
from hayat_fhir.dimse.service import Service, contexts, transfer_syntaxes
from hayat_fhir.errors import DIMSE_STATUS, Refusal
from hayat_fhir.services.ingest import Arrival, Ingest, Taken
from hayat_fhir.store.figures import Figures
from hayat_fhir.store.partners import Partner

_STANDARD_ROOT = "1.2.840.10008."
"""What the UIDs begin with that DICOM itself assigns; SOP classes of any other root are a vendor's own."""
_SUCCESS = 0x0000
_CONFLICT = 0xA900
_PROCESSING_FAILURE = 0x0110


class Receiving:
    """One image as it arrives. Once something is wrong with it, what still comes of it is dropped."""

    def __init__(self) -> None:
        self.arrival: Arrival | None = None
        self.refusal: Refusal | None = None

    def write(self, data: memoryview) -> None:
        """The next bytes of the data set."""
        if self.arrival is not None:
            try:
                self.arrival.write(data)
            except Refusal as refusal:
                self.refuse(refusal)

    def refuse(self, refusal: Refusal) -> None:
        """It will be answered with this."""
        self.refusal = refusal
        self.discard()

    def discard(self) -> None:
        """Leave nothing behind."""
        if self.arrival is not None:
            self.arrival.discard()
            self.arrival = None


class Storage:
    """Takes the images of C-STORE requests into custody."""

    def __init__(self, ingest: Ingest, figures: Figures | None = None) -> None:
        self._ingest = ingest
        self._figures = figures or Figures()
        self._log: FilteringBoundLogger = structlog.get_logger("hayat_fhir.dimse")

    def service(self, conformance: Mapping[str, Any]) -> Service:
        """The service; ``conformance`` is conformance/dicom.json."""
        syntaxes = transfer_syntaxes(conformance, "storage")

        def private(abstract_syntax: str) -> PresentationContext | None:
            standard = abstract_syntax.startswith(_STANDARD_ROOT)
            return None if standard or not is_uid(abstract_syntax) else build_context(abstract_syntax, syntaxes)

        accepts = bool(conformance["private_storage"])
        return Service(contexts(conformance, "storage"), {}, store=self, private=private if accepts else None)

    def begin(self, request: StoreRequest, context: PresentationContext, peer: Partner) -> Receiving:
        """An image is about to arrive."""
        receiving = Receiving()
        syntax = str(context.transfer_syntax[0])
        try:
            receiving.arrival = self._ingest.begin(syntax, request.sop_class, request.sop_instance, peer)
        except Refusal as refusal:
            receiving.refuse(refusal)
        return receiving

    def take(self, sink: Sink, peer: Partner) -> int:
        """Take an image that has arrived; the status to answer (PS3.4 B.2.3)."""
        if not isinstance(sink, Receiving):
            return _PROCESSING_FAILURE
        try:
            if sink.arrival is None:
                raise sink.refusal or Refusal()
            size = sink.arrival.size
            taken = self._ingest.take(sink.arrival)
        except Refusal as refusal:
            self._figures.count("hayat_dicom_instances", result="refused")
            self._log.warning("image refused", code=refusal.issues[0].code, peer=peer.id)
            return DIMSE_STATUS.get(refusal.category, _PROCESSING_FAILURE)
        self._figures.count("hayat_dicom_instances", result=taken.value)
        self._figures.count("hayat_dicom_received_bytes", size)
        return _CONFLICT if taken is Taken.QUARANTINED else _SUCCESS
