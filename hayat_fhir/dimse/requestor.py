"""Associations that this site asks for, in clear or over TLS as the partner's port speaks; never one for the other."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import structlog
from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation
from structlog.typing import FilteringBoundLogger

from hayat_fhir.dimse.connection import OpenConnection
from hayat_fhir.dimse.tls import ClientTls, peer_certificate, shake_hands
from hayat_fhir.dimse.upper_layer import MAXIMUM_PDU
from hayat_fhir.errors import Refusal, Unavailable, Unprocessable
from hayat_fhir.store.partners import Partner

_CONNECTION_SECONDS = 5.0
_HANDSHAKE_SECONDS = 10.0
Requested = Any
"""pynetdicom's ``Association``."""


class Requestor:
    """This site as it calls on partners: its AE title, and its TLS; a PDU comes or goes within ``pdu_seconds``."""

    def __init__(self, ae_title: str, tls: ClientTls, pdu_seconds: float = 60.0) -> None:
        self._ae_title = ae_title
        self._tls = tls
        self._pdu_seconds = pdu_seconds
        self._log: FilteringBoundLogger = structlog.get_logger("hayat_fhir.dimse")

    def associate(
        self,
        partner: Partner,
        offered: Sequence[PresentationContext],
        roles: Sequence[Any] = (),
        handlers: Sequence[tuple[Any, Any]] = (),
    ) -> Requested | None:
        """An association as of ``association``; None where it cannot be had, which is logged."""
        try:
            return self.association(partner, offered, roles, handlers)
        except Refusal as refusal:
            self._log.warning("no association", peer=partner.id, reason=refusal.issues[0].diagnostics)
            return None

    def association(
        self,
        partner: Partner,
        offered: Sequence[PresentationContext],
        roles: Sequence[Any] = (),
        handlers: Sequence[tuple[Any, Any]] = (),
    ) -> Requested:
        """An association with a partner's DICOM port.

        ``roles``: what this side asks to be beside SCU (PS3.7 D.3.3.4); ``handlers``: of pynetdicom's events.

        Raises:
            Unavailable: Nothing takes a connection there.
            Unprocessable: There is no such port, it fails at TLS, or refuses the association.
        """
        if partner.ae_title is None or partner.host is None or partner.port is None or partner.disabled:
            raise Unprocessable("the partner has no DICOM port, or is disabled")
        connection = self._connection(partner, partner.host, partner.port)
        _config.LOG_HANDLER_LEVEL = "none"
        ae = _Calling(self._ae_title, partial(OpenConnection, connection=connection, pdu_seconds=self._pdu_seconds))
        ae.acse_timeout, ae.dimse_timeout, ae.network_timeout = 15, 60, 60
        ae.requested_contexts = list(offered)
        with ExitStack() as stack:
            stack.callback(connection.close)
            association = ae.associate(
                partner.host,
                partner.port,
                ae_title=partner.ae_title,
                max_pdu=MAXIMUM_PDU,
                ext_neg=list(roles) or None,
                evt_handlers=list(handlers) or None,
            )
            if not association.is_established:
                raise Unprocessable(
                    "the association is refused: check the AE titles at both ends"
                    + (", and whether this site's certificate counts there" if partner.tls else "")
                )
            stack.pop_all()
        return association

    def _connection(self, partner: Partner, host: str, port: int) -> socket.socket:
        try:
            connection = socket.create_connection((host, port), _CONNECTION_SECONDS)
        except OSError as error:
            raise Unavailable("nothing takes a connection at this host and port") from error
        return self._secured(connection, partner, host) if partner.tls else connection

    def _secured(self, connection: socket.socket, partner: Partner, host: str) -> ssl.SSLSocket:
        """The connection over TLS, with who the partner is: by its registered certificate, or by the host's name."""
        with ExitStack() as stack:
            stack.callback(connection.close)
            context = self._tls.context(names_host=partner.certificate is None)
            secured = context.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)
            stack.callback(secured.close)
            try:
                shake_hands(secured, _HANDSHAKE_SECONDS)
            except ssl.SSLCertVerificationError as error:
                raise Unprocessable(f"the certificate of this port does not count: {error.verify_message}") from error
            except OSError as error:
                raise Unprocessable("this port does not speak TLS as it is asked for (BCP 195)") from error
            shown = peer_certificate(secured)
            if partner.certificate is not None and (shown is None or shown.sha256 != partner.certificate):
                raise Unprocessable("the certificate of this port is not the one that the partner is registered with")
            stack.pop_all()
        return secured


class _Calling(AE):  # type: ignore[misc]
    """An application entity that asks for one association, over a connection that is open already."""

    def __init__(self, ae_title: str, over: Callable[[Association], OpenConnection]) -> None:
        super().__init__(ae_title=ae_title)
        self._over = over

    def _create_socket(self, assoc: Association, address: AddressInformation, tls_args: Any) -> OpenConnection:  # noqa: ANN401 - pynetdicom's
        return self._over(assoc)
