"""What the staff tell about a partner, and whether it will do: URLs, keys, scopes and the DICOM port."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.security.client_assertions import registrable_keys
from hayat_fhir.security.scopes import registrable

_AE_TITLE_LENGTH = 16


@dataclass(frozen=True, slots=True)
class PartnerDetails:
    """What staff tell about a partner: ``fhir_url`` is its FHIR base; AE title, host and port its DICOM port."""

    name: str
    fhir_url: str | None = None
    jwks: dict[str, Any] | None = None
    jwks_url: str | None = None
    client_id: str | None = None
    ae_title: str | None = None
    host: str | None = None
    port: int | None = None
    scopes: tuple[str, ...] = ("system/*.cruds",)
    patient_id_system: str | None = None
    certificate: str | None = None
    """The SHA-256 of the certificate that it shows over TLS, at its port and when it associates here."""
    tls: bool = False
    """Whether its DICOM port speaks TLS: then it is never spoken to in clear."""

    def check(self) -> None:
        """Return where every detail will do.

        Raises:
            InvalidRequest: One is missing or malformed.
        """
        for url in (self.fhir_url, self.jwks_url):
            if url is not None and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
                raise InvalidRequest("a partner's URL must be http or https with a host", code="value")
        registrable(self.scopes)
        if self.jwks is not None and self.jwks_url is not None:
            raise InvalidRequest("give either a key set or its URL", code="value")
        if self.jwks is not None:
            registrable_keys(self.jwks)
        self._check_door()

    def _check_door(self) -> None:
        """Raise InvalidRequest where the DICOM port will not do."""
        if self.host is not None and not _addressable(self.host):
            raise InvalidRequest("this is no host that a partner could have", code="value")
        if self.ae_title is not None:
            title = self.ae_title
            printable = title.isascii() and title.isprintable() and "\\" not in title
            if not printable or title != title.strip() or not 1 <= len(title) <= _AE_TITLE_LENGTH:
                raise InvalidRequest("an AE title has 1 to 16 printable ASCII characters (PS3.5 6.2)", code="value")
            if self.host is None or self.port is None:
                raise InvalidRequest("a DICOM peer needs AE title, host and port", code="required")


def _is_name(host: str) -> bool:
    """Whether it can be looked up at all: no part of it is empty or longer than a name's may be."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _addressable(host: str) -> bool:
    """Whether somebody else's door can be there: not where a machine keeps what is its own, or at everybody's."""
    if not host or any(c.isspace() or c in "/@?#" for c in host):
        return False
    try:
        address = ip_address(host)
    except ValueError:
        return _is_name(host)
    return not (address.is_link_local or address.is_multicast or address.is_unspecified)
