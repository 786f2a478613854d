"""What people do with their own password and second factor, and how a lost password is set anew."""

from __future__ import annotations

import secrets
import time
from hashlib import sha256

from hayat_fhir.errors import Forbidden, InvalidRequest, NotFound, Unauthenticated
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.second_factor import Enrolment, SecondFactor
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.password_hashing import PasswordHashing
from hayat_fhir.store.accounts import Account, Accounts

_RESET_SECONDS = 900
_RESET_TRIES = 5


class Credentials:
    """Changes passwords and second factors; each change ends all tokens of the account."""

    def __init__(
        self, accounts: Accounts, hashing: PasswordHashing, second_factor: SecondFactor, auditing: Auditing
    ) -> None:
        self._accounts = accounts
        self._hashing = hashing
        self._second_factor = second_factor
        self._auditing = auditing

    async def change_password(self, caller: Caller, old: str, new: str) -> None:
        """Set a new password.

        Raises:
            Unauthenticated: The old one is not right.
            InvalidRequest: The new one will not do.
        """
        account = await self._own(caller)
        if not await self._hashing.verify(account.password_hash, old):
            await self._auditing.record(caller, "password", "4")
            raise Unauthenticated("the present password is not right")
        await self._set(account, new)
        await self._auditing.record(caller, "password", "0")

    async def reset_code(self, email: str) -> str:
        """A code, good once and for a quarter of an hour, with which the password of an account may be set.

        Raises:
            NotFound: No such account.
        """
        account = await self._accounts.by_email(email)
        if account is None:
            raise NotFound("no such account")
        code = secrets.token_hex(12)
        await self._accounts.set_reset(account.id, _digest(code), time.time() + _RESET_SECONDS)
        return code

    async def redeem(self, email: str, code: str, new: str, address: str | None) -> None:
        """Set a new password with a code.

        Raises:
            Unauthenticated: It is not the code of this account, or not any more; the answer does not say which.
            InvalidRequest: The new password will not do; the code stays good.
        """
        account = await self._accounts.by_email(email)
        name = "" if account is None else account.name
        self._hashing.check(new, email=email, name=name)
        hashed = await self._hashing.hash(new)
        right = account is not None and await self._accounts.try_reset(
            account.id, _digest(code), time.time(), _RESET_TRIES
        )
        if account is None or not right:
            raise Unauthenticated("the code is not right")
        await self._accounts.set_password(account.id, hashed)
        caller = Caller(Role(account.role), account.id, account.reference, account.name, address=address)
        await self._auditing.record(caller, "password", "0")

    async def enrol(self, caller: Caller) -> Enrolment:
        """A new secret for a second factor; it is asked for once ``confirm`` has seen a code of it.

        Raises:
            Forbidden: A patient, or somebody who has a second factor already.
        """
        account = await self._own(caller)
        if caller.role not in {Role.DOCTOR, Role.STAFF} or account.second_factor is not None:
            raise Forbidden("there is a second factor already, or none for this role")
        return self._second_factor.enrolment(account.email)

    async def confirm(self, caller: Caller, secret: str, code: str) -> None:
        """Ask for codes of this secret from now on.

        Raises:
            InvalidRequest: It is not a code of the secret.
            Forbidden: A patient, or somebody who has a second factor already.
        """
        account = await self._own(caller)
        if caller.role not in {Role.DOCTOR, Role.STAFF} or account.second_factor is not None:
            raise Forbidden("there is a second factor already, or none for this role")
        if len(secret) != 32 or not secret.isalnum() or not secret.isascii():
            raise InvalidRequest("not a secret of an enrolment", code="value", expression=["secret"])
        sealed = self._second_factor.sealed(secret.upper())
        step = self._second_factor.step(sealed, code, 0)
        if step is None:
            raise InvalidRequest("not a code of this secret", code="value", expression=["code"])
        await self._accounts.set_second_factor(account.id, sealed, step)
        await self._auditing.record(caller, "password", "0")

    async def remove(self, caller: Caller, password: str, code: str) -> None:
        """Ask for no second factor any more.

        Raises:
            Unauthenticated: The password or the code is not right.
        """
        account = await self._own(caller)
        right = await self._hashing.verify(account.password_hash, password)
        step = self._second_factor.step(account.second_factor or "", code, account.second_factor_step)
        if not right or step is None or not await self._accounts.use_step(account.id, step):
            raise Unauthenticated("password or code are not right")
        await self._accounts.set_second_factor(account.id, None)
        await self._auditing.record(caller, "password", "0")

    async def end_sessions(self, caller: Caller) -> None:
        """End all tokens of the caller's account."""
        await self._accounts.end_tokens(caller.subject)

    async def _set(self, account: Account, new: str) -> None:
        self._hashing.check(new, email=account.email, name=account.name)
        await self._accounts.set_password(account.id, await self._hashing.hash(new))

    async def _own(self, caller: Caller) -> Account:
        account = await self._accounts.by_id(caller.subject)
        if account is None:
            raise Forbidden("this is for people with an account")
        return account


def _digest(code: str) -> str:
    return sha256(code.strip().lower().encode(errors="replace")).hexdigest()
