"""The DICOM door: it listens, knows its peers, and gives each message to the service of its abstract syntax.

PS3.7, PS3.8.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pynetdicom import AE, _config, evt
from pynetdicom.presentation import PresentationContext

from hayat_fhir.dimse.acceptor import Acceptor, Limits, Occupancy
from hayat_fhir.dimse.association import DoorAssociation, Terms
from hayat_fhir.dimse.peers import Peers
from hayat_fhir.dimse.service import Event, EventType, Handler, Service
from hayat_fhir.dimse.tls import ServerTls
from hayat_fhir.dimse.upper_layer import MAXIMUM_PDU
from hayat_fhir.errors import Refusal
from hayat_fhir.store.figures import Figures
from hayat_fhir.store.partners import Partner

_DRAIN = 4.0
Refused = Callable[[str, str], None]
Ended = Callable[[Partner, str, int], None]


@dataclass(frozen=True, slots=True)
class DoorOptions:
    """How the door presents itself; with ``tls`` it speaks nothing else at the last of its ports."""

    ae_title: str
    tls: ServerTls | None = None
    limits: Limits = field(default_factory=Limits)
    busy: Callable[[], None] | None = None
    """Called when there are several associations at the same time."""


class Door:
    """The SCP of these services, on sockets that listen: one, or one for clear text and one for TLS.

    ``refused`` hears of refused associations (AE title, address), ``transferred`` of what one that has ended brought
    (peer, address, images).
    """

    def __init__(
        self,
        options: DoorOptions,
        listening: Sequence[socket.socket],
        peers: Peers,
        services: Sequence[Service],
        refused: Refused,
        transferred: Ended,
        figures: Figures | None = None,
    ) -> None:
        self._peers = peers
        self._services = tuple(services)
        self._refused = refused
        self._transferred = transferred
        self._busy = options.busy
        self._figures = figures or Figures()
        self._figures.show("hayat_dicom_associations", lambda: len(self._occupancy.associations))
        self._stopping = threading.Event()
        self._occupancy = Occupancy(options.limits)
        self._terms = self._agreed(options)
        self._speaks_tls = options.tls is not None
        self._acceptors = [
            Acceptor(one, self._occupancy, self._serve, tls, lambda address: refused("", address))
            for one, tls in zip(listening, [*[None] * (len(listening) - 1), options.tls], strict=True)
        ]

    @property
    def associations(self) -> list[DoorAssociation]:
        """The associations that are served now."""
        return self._occupancy.associations

    def start(self) -> None:
        """Accept connections; each is served by a thread."""
        for acceptor in self._acceptors:
            acceptor.start()

    def stop(self) -> None:
        """Accept no more, let messages that are under way finish for a few seconds, and abort what is left."""
        for acceptor in self._acceptors:
            acceptor.stop()
        self._stopping.set()
        self._occupancy.shut_waiting()
        deadline = time.monotonic() + _DRAIN
        while self._occupancy.associations and time.monotonic() < deadline:
            time.sleep(0.02)

    def _agreed(self, options: DoorOptions) -> Terms:
        _config.LOG_HANDLER_LEVEL = "none"
        _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
        ae = AE(ae_title=options.ae_title)
        ae.acse_timeout, ae.dimse_timeout, ae.network_timeout = 15, 30, options.limits.idle_seconds
        contexts = {str(one.abstract_syntax): one for service in self._services for one in service.contexts}
        return Terms(
            ae=ae,
            ae_title=options.ae_title,
            maximum_pdu=MAXIMUM_PDU,
            pdu_seconds=options.limits.pdu_seconds,
            context_for=lambda abstract_syntax: contexts.get(abstract_syntax) or self._private(abstract_syntax),
            handlers=self._dispatching(),
            requests={
                (kind, str(context.abstract_syntax)): answer
                for service in self._services
                for kind, answer in service.requests.items()
                for context in service.contexts
            },
            store=next((service.store for service in self._services if service.store is not None), None),
            admit=self._admit,
            enter=self._enter,
            stopping=self._stopping.is_set,
        )

    def _private(self, abstract_syntax: str) -> PresentationContext | None:
        offered = (service.private(abstract_syntax) for service in self._services if service.private is not None)
        return next((context for context in offered if context is not None), None)

    def _dispatching(self) -> list[tuple[EventType, Callable[[Event], Any]]]:
        """One handler for each event: that of the service whose abstract syntax the message has."""
        table: dict[EventType, dict[str, Handler]] = {}
        for service in self._services:
            for event, handle in service.handlers.items():
                table.setdefault(event, {}).update((str(one.abstract_syntax), handle) for one in service.contexts)
        of_the_door = [
            (evt.EVT_ASYNC_OPS, lambda _: (1, 1)),
            (evt.EVT_ACCEPTED, self._counting("accepted")),
            (evt.EVT_REJECTED, self._counting("rejected")),
        ]
        return [*of_the_door, *((event, _dispatch(handlers)) for event, handlers in table.items())]

    def _counting(self, result: str) -> Callable[[Event], None]:
        return lambda _: self._figures.count("hayat_dicom_association_requests", result=result)

    def _admit(self, calling: str, association: DoorAssociation) -> Partner | None:
        try:
            in_clear = self._speaks_tls and not association.is_secured
            peer = self._peers.admitted(calling, association.address, association.certificate, in_clear=in_clear)
        except Refusal:
            return None
        if peer is None:
            self._refused(calling, association.address)
        return peer

    def _enter(self, association: DoorAssociation) -> bool:
        entered = self._occupancy.enters(association, association.address)
        if self._busy is not None and len(self._occupancy.associations) > 1:
            self._busy()
        return entered

    def _serve(self, connection: socket.socket, address: tuple[Any, ...]) -> None:
        association = DoorAssociation(self._terms, connection, address)
        try:
            association.serve()
        finally:
            self._occupancy.leaves(connection, association)
        if hasattr(association, "peer"):
            for service in self._services:
                if service.ended is not None:
                    service.ended(association)
            self._transferred(association.peer, association.address, association.images)


def _dispatch(handlers: dict[str, Handler]) -> Callable[[Event], Any]:
    def handle(event: Event) -> Any:  # noqa: ANN401 - what the event's handler returns
        return handlers[str(event.context.abstract_syntax)](event, event.assoc.peer)

    return handle
