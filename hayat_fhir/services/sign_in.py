"""People sign in and out: password, second factor, and how often somebody may try.

What is refused is refused in one way: nobody learns which addresses have an account.
NIST SP 800-63B, https://pages.nist.gov/800-63-4/sp800-63b.html
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from hayat_fhir.errors import Throttled, Unauthenticated
from hayat_fhir.security.callers import Caller, Role, network_of, stranger
from hayat_fhir.security.second_factor import SecondFactor
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.password_hashing import PasswordHashing
from hayat_fhir.services.people import People
from hayat_fhir.store.accounts import Account, Accounts
from hayat_fhir.store.ended_tokens import EndedTokens
from hayat_fhir.store.throttles import Throttles

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_LIMITS = (
    ("account from address", 5, 5 * _MINUTE),
    ("address", 30, 10 * _MINUTE),
    ("account", 100, _DAY),
    ("total", 1000, _MINUTE),
)
"""What is counted, how many attempts are let through, and in how many seconds. Half of the guesses that NIST admits."""

_UNLESS_KNOWN = frozenset({"account", "total"})
"""Limits that others can use up: they do not bind whoever signed in from the same address before."""

_KNOWN_DAYS = 30
_MOST_INSIDE = 64
"""Attempts under way in this process: more would keep the database from everybody else."""

_REFUSED = "e-mail address, password or code are not right"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session: the token, and when it ends (seconds since 1970)."""

    token: str
    account: Account
    expires: int


class SignIn:
    """Lets people in. ``issue`` makes a token of an account and tells when it ends. Belongs to one event loop."""

    def __init__(
        self,
        accounts: Accounts,
        people: People,
        hashing: PasswordHashing,
        second_factor: SecondFactor,
        throttles: Throttles,
        ended: EndedTokens,
        auditing: Auditing,
        issue: Callable[[Account], tuple[str, int]],
    ) -> None:
        self._accounts = accounts
        self._people = people
        self._hashing = hashing
        self._second_factor = second_factor
        self._throttles = throttles
        self._ended = ended
        self._auditing = auditing
        self._issue = issue
        self._inside = 0

    async def sign_in(
        self, role: Role, email: str, password: str, address: str | None, code: str | None = None
    ) -> SignedIn:
        """A session of the account with this address and password.

        Raises:
            Unauthenticated: They are not right, or (code ``second-factor``) the second factor is missing.
            Throttled: Too many attempts, or too many people at this moment; those cost the database nothing.
        """
        if self._inside >= _MOST_INSIDE:
            raise Throttled("too many people sign in at this moment")
        self._inside += 1
        try:
            return await self._let_in(role, email, password, address, code)
        finally:
            self._inside -= 1

    async def _let_in(self, role: Role, email: str, password: str, address: str | None, code: str | None) -> SignedIn:
        network = network_of(address)
        await self._count(email, network)
        account = await self._people.by_email(email)
        right = await self._hashing.verify(None if account is None else account.password_hash, password)
        if account is None or not right or account.disabled or account.role != role:
            await self._record(account, address, "4")
            raise Unauthenticated(_REFUSED)
        await self._check_second_factor(account, address, code)
        if self._hashing.needs_rehash(account.password_hash):
            await self._accounts.rehash(account, await self._hashing.hash(password))
        now = time.time()
        await self._throttles.forget("account from address", f"{email}\x1f{network}", _LIMITS[0][2], now)
        await self._throttles.remember("known", f"{account.id}\x1f{network}", _KNOWN_DAYS)
        await self._record(account, address, "0")
        token, expires = self._issue(account)
        return SignedIn(token, account, expires)

    async def sign_out(self, caller: Caller, expires: float) -> None:
        """End the caller's token."""
        if caller.token is not None:
            await self._ended.end(caller.token, expires)

    async def throttle(self, kind: str, subject: str, most: int, window: int) -> None:
        """Count one attempt of another kind.

        Raises:
            Throttled: Too many of this subject in this window of seconds.
        """
        if await self._throttles.count(kind, subject, window, time.time()) > most:
            raise Throttled("too many attempts; try again later")

    async def _count(self, email: str, network: str) -> None:
        """Count the attempt before it is made, so that attempts made at the same time count too."""
        subjects = {"account from address": f"{email}\x1f{network}", "address": network, "account": email, "total": ""}
        now = time.time()
        over = [
            kind
            for kind, most, window in _LIMITS
            if await self._throttles.count(kind, subjects[kind], window, now) > most
        ]
        if not over:
            return
        if set(over) <= _UNLESS_KNOWN:
            account = await self._people.by_email(email)
            if account and await self._throttles.remembers("known", f"{account.id}\x1f{network}"):
                return
        raise Throttled("too many attempts; try again later")

    async def _check_second_factor(self, account: Account, address: str | None, code: str | None) -> None:
        if account.second_factor is None:
            return
        if not code:
            raise Unauthenticated("a code of the second factor is needed", code="second-factor")
        step = self._second_factor.step(account.second_factor, code, account.second_factor_step)
        if step is None or not await self._accounts.use_step(account.id, step):
            await self._record(account, address, "4")
            raise Unauthenticated(_REFUSED)

    async def _record(self, account: Account | None, address: str | None, outcome: str) -> None:
        if account is None:
            caller = stranger(address)
        else:
            caller = Caller(Role(account.role), account.id, account.reference, account.name, address=address)
        await self._auditing.record(caller, "login", outcome)
