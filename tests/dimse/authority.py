"""A certificate authority of a test."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, in files; ``sha256`` and ``number`` are the certificate's."""

    certificate: Path
    key: Path
    sha256: str
    number: int


def _encoded(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Authority:
    """Issues certificates into a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = folder / f"{name}.pem"
        built = self._builder(name, self._key).add_extension(x509.BasicConstraints(True, 0), True)
        signed = built.sign(self._key, hashes.SHA256())
        self.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def itself(self) -> Issued:
        """Its own certificate, to be shown by a client."""
        key = self.certificate.with_suffix(".key")
        key.write_bytes(_encoded(self._key))
        return Issued(self.certificate, key, "", 0)

    def issue(self, name: str, address: str = "127.0.0.1", *, expired: bool = False) -> Issued:
        """A certificate for an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        signed = self._builder(name, key, expired=expired).add_extension(names, False).sign(self._key, hashes.SHA256())
        issued = Issued(
            self._folder / f"{name}.pem",
            self._folder / f"{name}.key",
            sha256(signed.public_bytes(serialization.Encoding.DER)).hexdigest(),
            signed.serial_number,
        )
        issued.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        issued.key.write_bytes(_encoded(key))
        return issued

    def revoke(self, *revoked: Issued, days: int = 1) -> Path:
        """Publish the list of what is revoked, which is valid for so many days; the file."""
        now = datetime.now(UTC)
        listed = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(now - timedelta(days=2))
            .next_update(now + timedelta(days=days))
        )
        for one in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(one.number).revocation_date(now)
            listed = listed.add_revoked_certificate(entry.build())
        path = self.certificate.with_suffix(".crl")
        path.write_bytes(listed.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return path

    def _builder(self, name: str, key: ec.EllipticCurvePrivateKey, *, expired: bool = False) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + timedelta(days=-1 if expired else 1))
        )
