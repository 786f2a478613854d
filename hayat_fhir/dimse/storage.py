"""Storage (C-STORE) as SCP: an image is answered 0x0000 only when it is durable. PS3.4 annex B."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from pynetdicom import evt
from structlog.typing import FilteringBoundLogger

from hayat_fhir.dimse.service import Event, Service, contexts
from hayat_fhir.errors import DIMSE_STATUS, Refusal
from hayat_fhir.services.ingest import Ingest, Taken
from hayat_fhir.store.partners import Partner

_SUCCESS = 0x0000
_CONFLICT = 0xA900
_PROCESSING_FAILURE = 0x0110
Transferred = Callable[[str, str, int], None]


class Storage:
    """Takes images in. ``transferred`` hears of what an association brought: peer id, address, images."""

    def __init__(self, ingest: Ingest, transferred: Transferred) -> None:
        self._ingest = ingest
        self._transferred = transferred
        self._log: FilteringBoundLogger = structlog.get_logger("hayat_fhir.dimse")

    def service(self, conformance: Mapping[str, Any]) -> Service:
        """The service; ``conformance`` is conformance/dicom.json."""
        return Service(contexts(conformance, "storage"), {evt.EVT_C_STORE: self._store}, self._ended)

    def _store(self, event: Event, peer: Partner) -> int:
        request = event.request
        try:
            taken = self._ingest.take(
                request.DataSet.getvalue(),
                str(event.context.transfer_syntax),
                str(request.AffectedSOPClassUID),
                str(request.AffectedSOPInstanceUID),
                peer,
            )
        except Refusal as refusal:
            self._log.warning("image refused", code=refusal.issues[0].code, peer=peer.id)
            return DIMSE_STATUS.get(refusal.category, _PROCESSING_FAILURE)
        event.assoc.__dict__["images"] = event.assoc.__dict__.get("images", 0) + 1
        return _CONFLICT if taken is Taken.QUARANTINED else _SUCCESS

    def _ended(self, peer: Partner, address: str, association: Any) -> None:  # noqa: ANN401 - pynetdicom's Association
        images = association.__dict__.get("images", 0)
        if images:
            self._transferred(peer.id, address, images)
