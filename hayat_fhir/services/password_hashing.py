"""Hashes passwords beside the event loop, one at a time in each API process, so that nobody else waits for them.

Two at once were measured to take more than half of the reads from everybody else on four cores.
"""

from __future__ import annotations

import asyncio

from hayat_fhir.errors import Throttled
from hayat_fhir.security.passwords import Passwords

_AT_ONCE = 1
_MOST_WAITING = 50


class PasswordHashing:
    """Runs argon2id in threads. Belongs to one event loop."""

    def __init__(self, passwords: Passwords, at_once: int = _AT_ONCE, most_waiting: int = _MOST_WAITING) -> None:
        self._passwords = passwords
        self._gate = asyncio.Semaphore(at_once)
        self._room = most_waiting

    def check(self, password: str, *, email: str, name: str) -> None:
        """Refuse a password that will not do.

        Raises:
            InvalidRequest: Too short, too long, no Unicode text, or easily guessed.
        """
        self._passwords.check(password, email=email, name=name)

    async def hash(self, password: str) -> str:
        """The hash of a password.

        Raises:
            Throttled: Too many are waiting.
        """
        await self._enter()
        try:
            return await asyncio.to_thread(self._passwords.hash, password)
        finally:
            self._leave()

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is the hashed one; as slow where there is no hash.

        Raises:
            Throttled: Too many are waiting.
        """
        await self._enter()
        try:
            return await asyncio.to_thread(self._passwords.verify, password_hash, password)
        finally:
            self._leave()

    def needs_rehash(self, password_hash: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        return self._passwords.needs_rehash(password_hash)

    async def _enter(self) -> None:
        if not self._room:
            raise Throttled("too many people sign in at this moment", code="throttled")
        self._room -= 1
        try:
            await self._gate.acquire()
        except BaseException:
            self._room += 1
            raise

    def _leave(self) -> None:
        self._gate.release()
        self._room += 1
