"""What a certificate is known by: the SHA-256 of its DER encoding."""

from __future__ import annotations

import re

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from hayat_fhir.errors import InvalidRequest

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


def certificate_digest(text: str) -> str:
    """The SHA-256, in lower-case hexadecimal digits, of the first certificate in a PEM text (RFC 7468).

    Where the text is such a digest, as ``openssl x509 -fingerprint -sha256`` prints it or without colons, itself.

    Raises:
        InvalidRequest: It is neither.
    """
    digest = text.strip().lower().rpartition("=")[2].replace(":", "")
    if _DIGEST.fullmatch(digest):
        return digest
    try:
        return x509.load_pem_x509_certificate(text.encode()).fingerprint(SHA256()).hex()
    except ValueError as error:
        raise InvalidRequest("this is no certificate in PEM, and no SHA-256 of one", code="value") from error
