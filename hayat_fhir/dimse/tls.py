"""TLS of DICOM ports, ours and partners': the profile of BCP 195 (DICOM PS3.15 annex B.12; RFC 9325).

And who a certificate names.
"""

from __future__ import annotations

import select
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog
from structlog.typing import FilteringBoundLogger

from hayat_fhir.errors import ConfigurationError

Made = TypeVar("Made")
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and authenticated encryption only; those of TLS 1.3 all are so."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A peer's certificate, which a trusted authority has signed: its SHA-256, and the hosts that it is for."""

    sha256: str
    hosts: frozenset[str]

    def names(self, host: str) -> bool:
        """Whether it is for this host name or address."""
        return _normal(host) in self.hosts


UNTRUSTED = frozenset({"CERTIFICATE_VERIFY_FAILED", "PEER_DID_NOT_RETURN_A_CERTIFICATE"})
"""The reasons of failed handshakes whose client has shown no certificate that counts."""


class _Contexts(Generic[Made]):
    """TLS contexts as their files say: where one has changed they are read again, for the next connection.

    A context is never changed, but made anew: else a client whose certificate was revoked could resume a session.
    What cannot be read leaves everything as it was.
    """

    def __init__(self, build: Callable[[], Made], *files: Path | None) -> None:
        self._log: FilteringBoundLogger = structlog.get_logger("hayat_fhir.dimse")
        self._build = build
        self._files = files
        self._lock = threading.Lock()
        self._seen = self._state()
        self._made = build()

    def _current(self) -> Made:
        with self._lock:
            state = self._state()
            if state != self._seen:
                self._seen = state
                try:
                    self._made = self._build()
                except ConfigurationError as error:
                    self._log.error("TLS files not taken over", reason=str(error))
                else:
                    self._log.info("TLS files taken over")
            return self._made

    def _state(self) -> list[tuple[int, int, int] | None]:
        return [None if file is None else _state(file) for file in self._files]


class ServerTls(_Contexts[ssl.SSLContext]):
    """The TLS of the port; with ``client_authorities`` every client must show a certificate of one of them.

    ``client_crl`` holds the revocation lists of all these authorities: a certificate that is on its list, or whose
    authority has no list there that is still valid, does not count (RFC 5280 6.3).

    Raises:
        ConfigurationError: A file cannot be read, or does not hold what it should.
    """

    def __init__(
        self, certificate: Path, key: Path, client_authorities: Path | None = None, client_crl: Path | None = None
    ) -> None:
        def build() -> ssl.SSLContext:
            context = _context(ssl.PROTOCOL_TLS_SERVER)
            context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
            _load_own(context, certificate, key)
            if client_authorities is not None:
                _load_authorities(context, client_authorities, "HAYAT_DICOM_TLS_CLIENT_CA")
                context.verify_mode = ssl.CERT_REQUIRED
            if client_crl is not None:
                _load_revocations(context, client_crl)
            return context

        super().__init__(build, certificate, key, client_authorities, client_crl)

    def context(self) -> ssl.SSLContext:
        """The context for a connection that comes now."""
        return self._current()


class ClientTls(_Contexts[tuple[ssl.SSLContext, ssl.SSLContext]]):
    """TLS towards partners' DICOM ports, whose certificates must be of one of these authorities, and not revoked.

    Without ``authorities`` those count that this machine trusts. This site shows its own certificate where it has one
    and is asked for it.

    Raises:
        ConfigurationError: A file cannot be read, or does not hold what it should.
    """

    def __init__(
        self,
        certificate: Path | None = None,
        key: Path | None = None,
        authorities: Path | None = None,
        crl: Path | None = None,
    ) -> None:
        def build(*, names_host: bool) -> ssl.SSLContext:
            context = _context(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = names_host
            if certificate is not None and key is not None:
                _load_own(context, certificate, key)
            if authorities is None:
                context.load_default_certs(ssl.Purpose.SERVER_AUTH)
            else:
                _load_authorities(context, authorities, "HAYAT_DICOM_TLS_SERVER_CA, or else HAYAT_DICOM_TLS_CLIENT_CA")
            if crl is not None:
                _load_revocations(context, crl)
            return context

        super().__init__(lambda: (build(names_host=False), build(names_host=True)), certificate, key, authorities, crl)

    def context(self, *, names_host: bool) -> ssl.SSLContext:
        """The context for a connection that is opened now; its certificate must name the host, or any will do."""
        return self._current()[names_host]


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def _load_own(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"HAYAT_DICOM_TLS_CERTIFICATE, HAYAT_DICOM_TLS_KEY: {_reason(error)}") from error


def _load_authorities(context: ssl.SSLContext, authorities: Path, setting: str) -> None:
    try:
        context.load_verify_locations(authorities)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"{setting}: {_reason(error)}") from error


def _load_revocations(context: ssl.SSLContext, client_crl: Path) -> None:
    trusted = context.cert_store_stats()["x509"]
    try:
        context.load_verify_locations(client_crl)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"HAYAT_DICOM_TLS_CLIENT_CRL: {_reason(error)}") from error
    held = context.cert_store_stats()
    if not held["crl"] or held["x509"] != trusted:
        raise ConfigurationError("HAYAT_DICOM_TLS_CLIENT_CRL: must hold revocation lists, and nothing to be trusted")
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def shake_hands(connection: ssl.SSLSocket, seconds: float) -> None:
    """Complete the handshake within this time altogether, however slowly the other side's bytes come.

    Raises:
        OSError: It failed, or was not completed in time.
    """
    deadline = time.monotonic() + seconds
    connection.setblocking(False)
    poll = select.poll()
    while True:
        try:
            connection.do_handshake()
        except ssl.SSLWantReadError:
            poll.register(connection, select.POLLIN)
        except ssl.SSLWantWriteError:
            poll.register(connection, select.POLLOUT)
        else:
            return
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("TLS handshake not completed in time")
        poll.poll(left * 1000)


def peer_certificate(connection: object) -> Certificate | None:
    """The certificate that the peer of this connection has shown; None where there is none."""
    encoded = connection.getpeercert(binary_form=True) if isinstance(connection, ssl.SSLSocket) else None
    if not encoded or not isinstance(connection, ssl.SSLSocket):
        return None
    shown: Mapping[str, Any] = connection.getpeercert() or {}
    names = [name for kind, name in shown.get("subjectAltName", ()) if kind in {"DNS", "IP Address"}]
    return Certificate(sha256(encoded).hexdigest(), frozenset(map(_normal, names)))


def _state(file: Path) -> tuple[int, int, int] | None:
    """What tells a file from what it was before; None where it is not there."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _normal(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        return host.lower().rstrip(".")


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
