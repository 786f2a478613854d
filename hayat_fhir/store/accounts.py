"""Accounts of people: staff, doctors and patients."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pymongo.errors import DuplicateKeyError

from hayat_fhir.errors import Conflict
from hayat_fhir.store.database import Database
from hayat_fhir.store.faults import answered


@dataclass(frozen=True, slots=True)
class Account:
    """One person's account. ``epoch`` goes up with whatever must end all of its tokens (a new password, disabling).

    ``reference`` is the resource that stands for the person: ``Practitioner/..`` or ``Patient/..``.
    """

    id: str
    role: str
    email: str
    name: str
    password_hash: str
    reference: str | None = None
    disabled: bool = False
    epoch: int = 0


def normalised(email: str) -> str:
    """The form in which an e-mail address names an account: without surrounding space, case ignored."""
    return email.strip().casefold()


class Accounts:
    """One row per account; the normalised e-mail address is unique."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.collection("accounts")

    async def add(self, account: Account) -> None:
        """Store a new account.

        Raises:
            Conflict: There is an account with this e-mail address or id.
            Unavailable: MongoDB does not answer.
        """
        rows = await self._database.prepared("accounts")
        row = asdict(account) | {"email": normalised(account.email)}
        with answered():
            try:
                await rows.insert_one({"_id": row.pop("id"), **row})
            except DuplicateKeyError as error:
                raise Conflict("there is an account with this e-mail address", code="duplicate") from error

    async def by_id(self, id: str) -> Account | None:
        """The account with this id, or None.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._one({"_id": id})

    async def by_email(self, email: str) -> Account | None:
        """The account with this e-mail address, however it is written, or None.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._one({"email": normalised(email)})

    async def set_password(self, id: str, password_hash: str) -> bool:
        """Change the password, which ends all tokens; whether there is such an account.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._change(id, {"password_hash": password_hash})

    async def rehash(self, account: Account, password_hash: str) -> None:
        """Store the same password under better parameters, unless it has been changed; tokens stay valid.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            await self._rows.update_one(
                {"_id": account.id, "password_hash": account.password_hash},
                {"$set": {"password_hash": password_hash}},
            )

    async def disable(self, id: str) -> bool:
        """Shut an account out, which ends all tokens; whether there is such an account.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._change(id, {"disabled": True})

    async def enable(self, id: str) -> bool:
        """Let a disabled account in again; whether there is such an account.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._change(id, {"disabled": False})

    async def list(self) -> list[Account]:
        """All accounts, in the order of their e-mail addresses.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            return [_account(row) for row in await self._rows.find().sort("email").to_list(None)]

    async def _one(self, criteria: dict[str, Any]) -> Account | None:
        with answered():
            row = await self._rows.find_one(criteria)
        return None if row is None else _account(row)

    async def _change(self, id: str, values: dict[str, Any]) -> bool:
        with answered():
            done = await self._rows.update_one({"_id": id}, {"$set": values, "$inc": {"epoch": 1}})
        return bool(done.matched_count)


def _account(row: dict[str, Any]) -> Account:
    return Account(id=row.pop("_id"), **row)
