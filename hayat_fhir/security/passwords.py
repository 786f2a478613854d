"""Passwords: argon2id, and the rules of NIST SP 800-63B: length, and nothing that is easily guessed.

https://pages.nist.gov/800-63-4/sp800-63b.html
"""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hayat_fhir.errors import InvalidRequest

_LEAST = 15
_MOST_BYTES = 1024
_GUESSED = ("password", "passwort", "parola", "sifre", "12345", "qwerty", "hayat", "hospital", "letmein", "welcome")
_MOST_REPEATED = 0.5


class Passwords:
    """Hashes and verifies; one call takes some 30 ms of a core, so call it from a bounded worker."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
        self._dummy = self._hasher.hash("of nobody, to take as long as that of somebody")

    def check(self, password: str, *, email: str = "", name: str = "") -> None:
        """Refuse a password that will not do.

        Raises:
            InvalidRequest: Too short, too long, or easily guessed.
        """
        if len(password) < _LEAST:
            raise InvalidRequest(f"a password has at least {_LEAST} characters", code="value")
        if len(password.encode()) > _MOST_BYTES:
            raise InvalidRequest(f"a password has at most {_MOST_BYTES} bytes", code="value")
        rest = password.casefold()
        for word in (*_GUESSED, *email.casefold().split("@"), *name.casefold().split()):
            if len(word) > 2:
                rest = rest.replace(word, "")
        if len(rest) < _LEAST // 2 or len(set(rest)) < len(rest) * (1 - _MOST_REPEATED) / 2:
            raise InvalidRequest("this password is easily guessed", code="value")

    def hash(self, password: str) -> str:
        """The argon2id hash, with its parameters and salt."""
        return self._hasher.hash(password)

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is the hashed one; as slow where there is no such account."""
        if len(password.encode(errors="replace")) > _MOST_BYTES:
            return False
        try:
            matches = self._hasher.verify(password_hash or self._dummy, password)
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False
        return matches and password_hash is not None

    def needs_rehash(self, password_hash: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)
