"""Passwords: argon2id, and the rules of NIST SP 800-63B: length, and nothing that is easily guessed.

A password counts exactly as it was typed: it is neither trimmed nor normalised nor cut.
https://pages.nist.gov/800-63-4/sp800-63b.html
"""

from __future__ import annotations

import re

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hayat_fhir.errors import InvalidRequest

LEAST = 15
"""Characters."""
MOST_BYTES = 1024
"""Bytes in UTF-8."""

_GUESSED = (
    *("password", "passwort", "passphrase", "parola", "sifre", "şifre", "letmein", "iloveyou", "changeme", "welcome"),
    *("admin", "secret", "doctor", "patient", "hospital", "hayat", "login", "qwerty", "qwertz", "azerty", "asdfgh"),
)
_ROWS = ("01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn")
_RUN = 4
_FEWEST_LEFT = 8
_FEWEST_DIFFERENT = 5
_LONGEST_PERIOD = 7
_SHORTEST_WORD = 3
_WORD = re.compile(r"[^\W_]+")


class Passwords:
    """Hashes and verifies; one call takes some 30 ms of a core, so call it from a bounded worker."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
        self._dummy = self._hasher.hash("of nobody, to take as long as that of somebody")

    def check(self, password: str, *, email: str = "", name: str = "") -> None:
        """Refuse a password that will not do.

        Raises:
            InvalidRequest: Too short, too long, no Unicode text, or easily guessed.
        """
        if len(password) < LEAST:
            raise InvalidRequest(f"a password has at least {LEAST} characters", code="value")
        encoded = _encoded(password)
        if encoded is None:
            raise InvalidRequest(f"a password has at most {MOST_BYTES} bytes of Unicode text", code="value")
        if _is_guessed(password.casefold(), _WORD.findall(f"{email} {name}".casefold())):
            raise InvalidRequest("this password is easily guessed", code="value")

    def hash(self, password: str) -> str:
        """The argon2id hash, with its parameters and salt."""
        return self._hasher.hash(password)

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is the hashed one; as slow where there is no such account, or none with a password."""
        encoded = _encoded(password)
        if encoded is None:
            return False
        try:
            return self._hasher.verify(password_hash or self._dummy, encoded) and bool(password_hash)
        except InvalidHashError:
            return self.verify(None, password)
        except VerificationError:
            return False

    def needs_rehash(self, password_hash: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        try:
            return self._hasher.check_needs_rehash(password_hash)
        except InvalidHashError:
            return True


def _encoded(password: str) -> bytes | None:
    """The password's bytes; None where it is too long or has a lone surrogate."""
    if len(password) > MOST_BYTES:
        return None
    try:
        encoded = password.encode()
    except UnicodeEncodeError:
        return None
    return encoded if len(encoded) <= MOST_BYTES else None


def _is_guessed(password: str, known: list[str]) -> bool:
    """Whether little is left without the usual words, what is known of the person, and rows of the keyboard."""
    if len(set(password)) < _FEWEST_DIFFERENT or _repeats(password):
        return True
    rest = password
    for word in sorted({*_GUESSED, *known}, key=lambda word: (-len(word), word)):
        if len(word) >= _SHORTEST_WORD:
            rest = rest.replace(word, "")
    return len(_without_runs(rest)) < _FEWEST_LEFT


def _repeats(password: str) -> bool:
    """Whether it is one short piece over and over."""
    return any(
        password == (password[:period] * len(password))[: len(password)] for period in range(1, _LONGEST_PERIOD + 1)
    )


def _without_runs(text: str) -> str:
    """The text without runs of neighbours on the keyboard or in the alphabet, forwards or backwards."""
    kept: list[str] = []
    position = 0
    while position < len(text):
        length = max(_run(row, text[position : position + len(row)]) for line in _ROWS for row in (line, line[::-1]))
        if length < _RUN:
            kept.append(text[position])
        position += length if length >= _RUN else 1
    return "".join(kept)


def _run(row: str, text: str) -> int:
    """How many first characters of the text stand in a row."""
    length = 0
    while length < len(text) and text[: length + 1] in row:
        length += 1
    return length
