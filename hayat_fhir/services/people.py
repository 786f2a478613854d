"""People with an account: the account and the resource that stands for the person come and go together.

The account is stored first, pending, which claims the e-mail address; then the resources; then it is let in. Whatever
ends the process in between, nobody has half an account: a pending one whose resource is there is let in the next time
somebody asks for it, and one without gives its address free.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hayat_fhir.errors import Conflict, NotFound, Unavailable
from hayat_fhir.security.callers import UNRESTRICTED, Role
from hayat_fhir.services.drafting import new_id
from hayat_fhir.services.password_hashing import PasswordHashing
from hayat_fhir.store.accounts import Account, Accounts
from hayat_fhir.store.resources import Resources

_UNDER_WAY = 120.0
"""Seconds after which a registration that has not ended has been cut short."""


@dataclass(frozen=True, slots=True)
class NewPerson:
    """Somebody to be registered; ``reference`` is the resource that will stand for them."""

    role: Role
    email: str
    name: str
    password: str
    reference: str
    personnel: Mapping[str, Any] = field(default_factory=dict)


class People:
    """Registers people, changes their addresses, and shuts them out."""

    def __init__(self, accounts: Accounts, resources: Resources, hashing: PasswordHashing) -> None:
        self._accounts = accounts
        self._resources = resources
        self._hashing = hashing

    async def register(self, person: NewPerson, store: Callable[[], Awaitable[None]]) -> Account:
        """Add the account and have ``store`` store the resources: both, or neither.

        Raises:
            InvalidRequest: The password will not do.
            Conflict: There is an account with this e-mail address.
            Throttled: Too many passwords are being hashed.
        """
        self._hashing.check(person.password, email=person.email, name=person.name)
        await self._free(person.email)
        account = Account(
            id=new_id(),
            role=person.role,
            email=person.email,
            name=person.name,
            password_hash=await self._hashing.hash(person.password),
            reference=person.reference,
            personnel=person.personnel,
            pending=time.time(),
        )
        await self._accounts.add(account)
        try:
            await store()
        except Unavailable:
            raise  # whether it is stored is not known: the next one who asks finds out
        except BaseException:
            await self._accounts.discard(account.id)
            raise
        await self._accounts.activate(account.id)
        return account

    async def by_email(self, email: str) -> Account | None:
        """The account with this e-mail address that can be used, or None."""
        account = await self._accounts.by_email(email)
        if account is None or not account.pending:
            return account
        await self._settle(account)
        return await self._settled(email)

    async def change_email(self, reference: str, email: str) -> None:
        """Let the person sign in with another address; nothing where they have no account.

        Raises:
            Conflict: Another account has it.
        """
        account = await self._accounts.by_reference(reference)
        if account is None or account.email == email:
            return
        await self._free(email)
        await self._accounts.set_email(account.id, email)

    async def set_personnel(self, reference: str, values: Mapping[str, Any]) -> None:
        """Keep these values of a person beside FHIR.

        Raises:
            NotFound: They have no account.
        """
        account = await self._accounts.by_reference(reference)
        if account is None:
            raise NotFound("no such account")
        await self._accounts.set_personnel(account.id, values)

    async def shut_out(self, reference: str) -> None:
        """Disable the account of this person, where there is one; all its tokens end."""
        account = await self._accounts.by_reference(reference)
        if account is not None:
            await self._accounts.disable(account.id)

    async def let_in(self, reference: str) -> None:
        """Enable the account of this person, where there is one."""
        account = await self._accounts.by_reference(reference)
        if account is not None:
            await self._accounts.enable(account.id)

    async def _free(self, email: str) -> None:
        """Raise Conflict where somebody has this address for good."""
        account = await self._accounts.by_email(email)
        if account is not None and account.pending:
            await self._settle(account)
            account = await self._accounts.by_email(email)
        if account is not None:
            raise Conflict("there is an account with this e-mail address", code="duplicate", expression=["email"])

    async def _settle(self, account: Account) -> None:
        """Bring a registration to its end that was cut short."""
        type, _, id = (account.reference or "").partition("/")
        stored = await self._resources.read(type, id, UNRESTRICTED)
        if stored is not None:
            await self._accounts.activate(account.id)
        elif time.time() - account.pending > _UNDER_WAY:
            await self._accounts.discard(account.id)

    async def _settled(self, email: str) -> Account | None:
        account = await self._accounts.by_email(email)
        return None if account is None or account.pending else account
