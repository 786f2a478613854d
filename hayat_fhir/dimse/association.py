"""One accepted association: its negotiation with a known peer, and its messages, in one thread.

PS3.7 annex D (negotiation), PS3.8 7 (services of the upper layer).
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from pynetdicom import AE, evt
from pynetdicom.acse import ACSE
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation
from structlog.typing import FilteringBoundLogger

from hayat_fhir.dimse.commands import StoreRequest, store_response
from hayat_fhir.dimse.messages import Messages, Sink, StoreMessage
from hayat_fhir.dimse.tls import peer_certificate
from hayat_fhir.dimse.transport import BoundedSocket
from hayat_fhir.dimse.upper_layer import UpperLayer
from hayat_fhir.errors import InvalidRequest
from hayat_fhir.store.partners import Partner

_CALLING_UNKNOWN = (0x01, 0x01, 0x03)
_CALLED_UNKNOWN = (0x01, 0x01, 0x07)
_FULL = (0x02, 0x03, 0x02)
_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")
_SLICE = 0.1
_REST_SECONDS = 3.0
_PROVIDER_ABORT = b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x00"


class StoreHandler(Protocol):
    """Takes the images of C-STORE requests."""

    def begin(self, request: StoreRequest, context: PresentationContext, peer: Partner) -> Sink:
        """An image is about to arrive."""

    def take(self, sink: Sink, peer: Partner) -> int:
        """It has arrived; the status to answer."""


RequestHandler = Callable[["DoorAssociation", Any, PresentationContext], None]
"""Answers one message of pynetdicom's, which came in this context."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What all associations of a door have in common.

    ``context_for``: what is offered for an abstract syntax; ``handlers``: of pynetdicom's events; ``requests``:
    of messages by their type and abstract syntax, answered without pynetdicom; ``admit``: the peer
    with this AE title, if it may associate over the connection; ``enter``: whether there is room for one more.
    """

    ae: AE
    ae_title: str
    maximum_pdu: int
    pdu_seconds: float
    context_for: Callable[[str], PresentationContext | None]
    handlers: Sequence[tuple[Any, Callable[[Any], Any]]]
    requests: Mapping[tuple[str, str], RequestHandler]
    store: StoreHandler | None
    admit: Callable[[str, DoorAssociation], Partner | None]
    enter: Callable[[DoorAssociation], bool]
    stopping: Callable[[], bool]


class DoorAssociation(Association):  # type: ignore[misc]
    """An association as acceptor. ``serve`` returns when it is over, in the thread that called it."""

    peer: Partner

    def __init__(self, terms: Terms, connection: socket.socket, address: tuple[Any, ...]) -> None:
        super().__init__(terms.ae, "acceptor")
        self.terms = terms
        self.connection = connection
        self.address = str(address[0]).removeprefix("::ffff:")
        self.is_secured = isinstance(connection, ssl.SSLSocket)
        self.certificate = peer_certificate(connection)
        self.images = 0
        self.acse, self.dul, self.dimse = _Negotiation(self), UpperLayer(self), Messages(self)
        self.acse_timeout, self.network_timeout = terms.ae.acse_timeout, terms.ae.network_timeout
        self.set_socket(BoundedSocket(self, connection, terms.pdu_seconds))
        self.acceptor.ae_title = terms.ae_title
        self.acceptor.maximum_length = terms.maximum_pdu
        self.acceptor.address_info = AddressInformation.from_tuple(connection.getsockname())
        self.acceptor.implementation_class_uid = terms.ae.implementation_class_uid
        self.acceptor.implementation_version_name = terms.ae.implementation_version_name
        self.requestor.address_info = AddressInformation.from_tuple(address)
        for event, handle in terms.handlers:
            self.bind(event, handle)
        self._log: FilteringBoundLogger = structlog.get_logger("hayat_fhir.dimse")

    def serve(self) -> None:
        """Serve the association until it is over; whatever goes wrong ends it alone."""
        try:
            self.run_reactor()
        except Exception as error:  # noqa: BLE001 - whatever a stranger's bytes cause
            self._log.warning("association failed", error=type(error).__name__, address=self.address)
            self._abort_at_once()
        finally:
            self.is_established = False
            self.dul.kill_dul()
            self.dimse.discard()
            _close(self.connection)

    def sink_for(self, context_id: int, request: StoreRequest) -> Sink:
        """What takes the data set of this C-STORE.

        Raises:
            InvalidRequest: This association stores nothing.
        """
        if self.terms.store is None:
            raise InvalidRequest("no storage service")
        return self.terms.store.begin(request, self._accepted_cx[context_id], self.peer)

    def _run_reactor(self) -> None:
        """Serve messages until the peer releases or aborts, falls silent, or the door closes."""
        while not self._kill and self.dul.is_alive():
            self._is_paused = True
            self._reactor_checkpoint.wait()
            self._is_paused = False
            self.dul.pump(_SLICE)
            while not self.dimse.msg_queue.empty():
                context_id, message = self.dimse.get_msg()
                if message is not None:
                    self._serve_request(message, context_id)
            if self._has_ended():
                return

    def _serve_request(self, msg: Any, context_id: int) -> None:  # noqa: ANN401 - pynetdicom's messages, or ours
        if not isinstance(msg, StoreMessage):
            context = self._accepted_cx.get(context_id)
            answer = self.terms.requests.get((msg.msg_type, str(context.abstract_syntax))) if context else None
            if answer is None or not msg.is_valid_request:
                super()._serve_request(msg, context_id)
                return
            self.dimse.cancel_req.clear()
            self._is_paused = True
            answer(self, msg, context)
            self._is_paused = False
            self.dimse.cancel_req.clear()
        elif self.terms.store is not None:
            status = self.terms.store.take(msg.sink, self.peer)
            self.images += 1
            self.dul.socket.send(store_response(msg.request, context_id, status))

    def _has_ended(self) -> bool:
        if self.is_established and self.acse.is_release_requested():
            self.acse.send_release(is_response=True)
            self.is_released, self.is_established = True, False
            evt.trigger(self, evt.EVT_RELEASED, {})
        elif self.acse.is_aborted():
            self.dul.receive_pdu()
            self.is_aborted, self.is_established = True, False
            evt.trigger(self, evt.EVT_ABORTED, {})
        elif self.dul.idle_timer_expired() or self.terms.stopping():
            self.abort()
        elif self.dul.is_alive():
            return False
        self.kill()
        return True

    def kill(self) -> None:
        """End: let the state machine come to rest for a moment, then stop regardless."""
        self._kill, self._is_paused, self.is_established = True, True, False
        self._reactor_checkpoint.set()
        deadline = time.monotonic() + _REST_SECONDS
        while self.dul.is_alive() and not self.dul.stop_dul() and time.monotonic() < deadline:
            pass
        self.dul.kill_dul()

    def _abort_at_once(self) -> None:
        """Send an A-ABORT past the state machine, which may be where it cannot go on."""
        with suppress(OSError):
            self.connection.settimeout(_SLICE)
            self.connection.sendall(_PROVIDER_ABORT)
        self.is_aborted = True


class _Negotiation(ACSE):  # type: ignore[misc]
    """Negotiates with known peers only, and only about the abstract syntaxes that are asked for."""

    assoc: DoorAssociation

    def _negotiate_as_acceptor(self) -> None:
        reason = self._reason_to_reject()
        if reason is not None:
            self.send_reject(*reason)
            evt.trigger(self.assoc, evt.EVT_REJECTED, {})
            self.assoc.is_rejected = True
            self.assoc.kill()
            return
        asked = {str(one.abstract_syntax) for one in self.requestor.primitive.presentation_context_definition_list}
        offered = map(self.assoc.terms.context_for, sorted(asked))
        self.acceptor.supported_contexts = [context for context in offered if context is not None]
        super()._negotiate_as_acceptor()

    def _reason_to_reject(self) -> tuple[int, int, int] | None:
        """Result, source and reason of the A-ASSOCIATE-RJ (PS3.8 9.3.4), or None where the peer is welcome."""
        terms, request = self.assoc.terms, self.requestor.primitive
        calling, called = str(request.calling_ae_title).strip(), str(request.called_ae_title).strip()
        if called != terms.ae_title:
            return _CALLED_UNKNOWN
        peer = terms.admit(calling, self.assoc) if _AE_TITLE.fullmatch(calling) else None
        if peer is None:
            return _CALLING_UNKNOWN
        self.assoc.peer = peer
        return None if terms.enter(self.assoc) else _FULL


def _close(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
