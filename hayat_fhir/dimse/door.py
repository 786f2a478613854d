"""The DICOM door: verification and storage as SCP, for known peers.

PS3.4 annexes A and B, PS3.7, PS3.8. A C-STORE is answered 0x0000 only when the image is durable.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification
from structlog.typing import FilteringBoundLogger

from hayat_fhir.dimse.transport import MAXIMUM_PDU, DoorServer, handler
from hayat_fhir.errors import DIMSE_STATUS, Refusal
from hayat_fhir.services.ingest import Ingest, Taken
from hayat_fhir.store.partners import Partner

_SUCCESS = 0x0000
_CONFLICT = 0xA900
_PROCESSING_FAILURE = 0x0110
_MOST_MESSAGE = 2**31
_ASSOCIATIONS = 64
_REFRESH = 2.0
_DRAIN = 5.0
Refused = Callable[[str, str], None]
Transferred = Callable[[str, str, int], None]


@dataclass(frozen=True, slots=True)
class DoorOptions:
    """How the door presents itself; ``conformance`` is conformance/dicom.json."""

    ae_title: str
    host: str
    port: int
    conformance: Mapping[str, Any]


class Peers:
    """The peers that may associate, looked up again every two seconds."""

    def __init__(self, load: Callable[[], list[Partner]]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._at = 0.0
        self._by_title: dict[str, Partner] = {}

    def get(self, ae_title: str) -> Partner | None:
        """The peer with this AE title."""
        with self._lock:
            if time.monotonic() - self._at > _REFRESH or ae_title not in self._by_title:
                self._by_title = {peer.ae_title: peer for peer in self._load() if peer.ae_title}
                self._at = time.monotonic()
            return self._by_title.get(ae_title)

    def admits(self, calling: str, address: str) -> bool:
        """Whether this peer may call from this address."""
        peer = self.get(calling)
        if peer is None or peer.host is None:
            return False
        try:
            known = {info[4][0] for info in socket.getaddrinfo(peer.host, None)}
        except OSError:
            return False
        return address in known or address.removeprefix("::ffff:") in known


class Door:
    """The SCP. ``refused`` hears of refused associations (AE title, address), ``transferred`` of taken images."""

    def __init__(
        self, options: DoorOptions, peers: Peers, ingest: Ingest, refused: Refused, transferred: Transferred
    ) -> None:
        self._options = options
        self._peers = peers
        self._ingest = ingest
        self._refused = refused
        self._transferred = transferred
        self._server: DoorServer | None = None
        self._log: FilteringBoundLogger = structlog.get_logger("hayat_fhir.dimse")

    def start(self) -> None:
        """Listen; associations are served by threads.

        Raises:
            OSError: The port cannot be had.
        """
        _config.LOG_HANDLER_LEVEL = "none"
        _config.LOG_REQUEST_IDENTIFIERS = False
        _config.LOG_RESPONSE_IDENTIFIERS = False
        ae = AE(ae_title=self._options.ae_title)
        ae.maximum_pdu_size = MAXIMUM_PDU
        ae.maximum_associations = _ASSOCIATIONS
        ae.acse_timeout, ae.dimse_timeout, ae.network_timeout = 15, 30, 60
        ae.add_supported_context(Verification)
        syntaxes = [row["uid"] for row in self._options.conformance["transfer_syntaxes"]]
        for row in self._options.conformance["storage"]:
            if "scp" in row["roles"]:
                ae.add_supported_context(row["uid"], syntaxes)
        self._server = ae.make_server(
            (self._options.host, self._options.port),
            evt_handlers=[
                (evt.EVT_C_ECHO, lambda _: _SUCCESS),
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_RELEASED, self._ended),
                (evt.EVT_ABORTED, self._ended),
                (evt.EVT_CONN_CLOSE, self._ended),
            ],
            server_class=DoorServer,
            request_handler=handler(self._admits),
        )
        ae._servers.append(self._server)
        threading.Thread(target=self._server.serve_forever, name="accept", daemon=True).start()

    def stop(self) -> None:
        """Accept no more, let what is under way finish for a few seconds, and close."""
        if self._server is None:
            return
        self._server.shutdown()
        deadline = time.monotonic() + _DRAIN
        while any(map(_is_established, self._server.active_associations)) and time.monotonic() < deadline:
            time.sleep(0.05)
        self._server.server_close()

    def _admits(self, calling: str, called: str, address: str) -> bool:
        del called
        try:
            admitted = self._peers.admits(calling, address)
        except Refusal:
            return False
        if not admitted:
            self._refused(calling, address)
        return admitted

    def _store(self, event: Any) -> int:  # noqa: ANN401 - pynetdicom's Event
        """Answer one C-STORE."""
        association, request = event.assoc, event.request
        peer = self._peers.get(str(association.requestor.ae_title).strip())
        if peer is None:
            return DIMSE_STATUS_REFUSED
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
        counts = association.__dict__.setdefault("taken", {"peer": peer.id, "images": 0})
        counts["images"] += 1
        return _CONFLICT if taken is Taken.QUARANTINED else _SUCCESS

    def _ended(self, event: Any) -> None:  # noqa: ANN401 - pynetdicom's Event
        """An association is over: report what it brought, once."""
        counts = event.assoc.__dict__.pop("taken", None)
        if counts is not None:
            address = str(getattr(event.assoc, "peer_address", ""))
            self._transferred(counts["peer"], address, counts["images"])


def _is_established(association: Association) -> bool:
    """Whether images may be under way; a connection that has not said who it is need not be waited for."""
    return bool(association.is_established)


DIMSE_STATUS_REFUSED = 0x0124
"""Refused: not authorised (PS3.7 annex C.4.23)."""
