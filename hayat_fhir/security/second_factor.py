"""The optional second factor: time-based one-time passwords, https://www.rfc-editor.org/rfc/rfc6238.

The secret is stored sealed: with a key that stands in no database.
"""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass

import pyotp
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

_STEP = 30
_ALGORITHMS = ["dir", "A256GCM"]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What the person's app needs: the secret, and the same as ``otpauth`` URI for a QR code."""

    secret: str
    uri: str


class SecondFactor:
    """Makes and checks secrets. ``key``: 32 bytes, for sealing; ``issuer``: the site's name in the person's app."""

    def __init__(self, key: bytes, issuer: str) -> None:
        self._key = OctKey.import_key(key)
        self._issuer = issuer

    def enrolment(self, email: str) -> Enrolment:
        """A new secret."""
        secret = pyotp.random_base32()
        return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=self._issuer))

    def sealed(self, secret: str) -> str:
        """The secret as it may be stored."""
        return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, secret.encode(), self._key, algorithms=_ALGORITHMS)

    def step(self, sealed: str, code: str, used: int, now: float | None = None) -> int | None:
        """The time step whose code this is, a step before and after now included; None where it is none.

        ``used`` is the last step whose code was accepted: it and those before it are worth nothing any more.
        """
        try:
            secret = jwe.decrypt_compact(sealed, self._key, algorithms=_ALGORITHMS).plaintext or b""
        except (JoseError, ValueError):
            return None
        current = int((time.time() if now is None else now) // _STEP)
        password = pyotp.TOTP(secret.decode())
        plain = code.replace(" ", "") if len(code) <= 16 and code.isascii() else ""
        for step in (current - 1, current, current + 1):
            if step > used and hmac.compare_digest(password.generate_otp(step), plain):
                return step
        return None
