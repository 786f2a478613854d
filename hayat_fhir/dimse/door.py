"""The DICOM door: it listens, knows its peers, and gives each message to the service of its abstract syntax.

PS3.7, PS3.8.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pynetdicom import AE, _config, evt
from pynetdicom.association import Association

from hayat_fhir.dimse.peers import Peers
from hayat_fhir.dimse.service import Event, EventType, Handler, Service
from hayat_fhir.dimse.transport import MAXIMUM_PDU, DoorServer, handler
from hayat_fhir.errors import Refusal

_ASSOCIATIONS = 64
_DRAIN = 5.0
_ENDS = (evt.EVT_RELEASED, evt.EVT_ABORTED, evt.EVT_CONN_CLOSE)
Refused = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class DoorOptions:
    """How the door presents itself."""

    ae_title: str
    host: str
    port: int


class Door:
    """The SCP of these services. ``refused`` hears of refused associations: AE title, address."""

    def __init__(self, options: DoorOptions, peers: Peers, services: Sequence[Service], refused: Refused) -> None:
        self._options = options
        self._peers = peers
        self._services = tuple(services)
        self._refused = refused
        self._server: DoorServer | None = None

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
        self._server = ae.make_server(
            (self._options.host, self._options.port),
            contexts=[context for service in self._services for context in service.contexts],
            evt_handlers=[*self._dispatching(), *((event, self._ended) for event in _ENDS)],
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

    def _dispatching(self) -> list[tuple[EventType, Callable[[Event], Any]]]:
        """One handler for each event: that of the service whose abstract syntax the message has."""
        table: dict[EventType, dict[str, Handler]] = {}
        for service in self._services:
            for event, handle in service.handlers.items():
                table.setdefault(event, {}).update((str(one.abstract_syntax), handle) for one in service.contexts)
        return [(event, self._dispatch(handlers)) for event, handlers in table.items()]

    def _dispatch(self, handlers: dict[str, Handler]) -> Callable[[Event], Any]:
        def handle(event: Event) -> Any:  # noqa: ANN401 - what the event's handler returns
            return handlers[str(event.context.abstract_syntax)](event, event.assoc.peer)

        return handle

    def _admits(self, association: Association, calling: str, address: str) -> bool:
        try:
            peer = self._peers.admitted(calling, address)
        except Refusal:
            return False
        if peer is None:
            self._refused(calling, address)
            return False
        association.peer = peer
        return True

    def _ended(self, event: Event) -> None:
        """An association is over: tell the services, once."""
        peer = event.assoc.__dict__.get("peer")
        if peer is None or event.assoc.__dict__.setdefault("told", event.event) != event.event:
            return
        for service in self._services:
            if service.ended is not None:
                service.ended(peer, str(event.assoc.peer_address), event.assoc)


def _is_established(association: Association) -> bool:
    """Whether images may be under way; a connection that has not said who it is need not be waited for."""
    return bool(association.is_established)
