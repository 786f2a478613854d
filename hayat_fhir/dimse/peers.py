"""Who may associate: the partners that have a DICOM port, by AE title, address and, over TLS, certificate."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from hayat_fhir.dimse.tls import Certificate
from hayat_fhir.store.partners import Partner

_REFRESH = 2.0


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

    def admitted(
        self, calling: str, address: str, certificate: Certificate | None = None, *, in_clear: bool = False
    ) -> Partner | None:
        """The peer with this AE title, if it may call from this address, and with this certificate or without one.

        A peer whose certificate is registered must show that one; one of any other peer must be for its host.
        ``in_clear``: it might have come over TLS, and has not; a peer that speaks TLS itself may not.
        """
        peer = self.get(calling)
        if peer is None or peer.host is None or peer.disabled or not _fits(certificate, peer, peer.host):
            return None
        if peer.tls and in_clear:
            return None
        try:
            known = {info[4][0] for info in socket.getaddrinfo(peer.host, None)}
        except OSError:
            return None
        return peer if address in known or address.removeprefix("::ffff:") in known else None


def _fits(certificate: Certificate | None, peer: Partner, host: str) -> bool:
    if peer.certificate is not None:
        return certificate is not None and certificate.sha256 == peer.certificate
    return certificate is None or certificate.names(host)
