"""Accounts of people: staff, doctors and patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pymongo.errors import DuplicateKeyError

from hayat_fhir.errors import Conflict
from hayat_fhir.store.database import Database
from hayat_fhir.store.faults import answered


@dataclass(frozen=True, slots=True)
class Account:
    """One person's account. ``epoch`` goes up with whatever must end all of its tokens (a new password, disabling).

    ``reference`` is the resource that stands for the person: ``Practitioner/..`` or ``Patient/..``. ``rights``: what
    the site allows beyond the role. ``personnel``: what is kept of a person beside FHIR, such as a salary.
    ``pending``: since when (seconds since 1970) the resource is about to be stored, 0 once it is; until then nobody
    can use the account. ``second_factor``: the sealed secret, ``second_factor_step`` the last time step whose code
    was used. ``reset``: digest, time of expiry and tries of a code with which the password may be set.
    """

    id: str
    role: str
    email: str
    name: str
    password_hash: str
    reference: str | None = None
    disabled: bool = False
    epoch: int = 0
    rights: tuple[str, ...] = ()
    personnel: Mapping[str, Any] = field(default_factory=dict)
    pending: float = 0.0
    second_factor: str | None = None
    second_factor_step: int = 0
    reset: Mapping[str, Any] = field(default_factory=dict)


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
        row = asdict(account) | {"email": normalised(account.email), "rights": list(account.rights)}
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

    async def by_reference(self, reference: str) -> Account | None:
        """The account of this person (``Practitioner/..``, ``Patient/..``), or None.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._one({"reference": reference})

    async def activate(self, id: str) -> None:
        """Let a pending account in, now that its resource is stored.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            await self._rows.update_one({"_id": id}, {"$set": {"pending": 0.0}})

    async def discard(self, id: str) -> None:
        """Forget a pending account whose resource was not stored.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            await self._rows.delete_one({"_id": id, "pending": {"$gt": 0}})

    async def set_email(self, id: str, email: str) -> None:
        """Change the address that the person signs in with.

        Raises:
            Conflict: Another account has it.
            Unavailable: MongoDB does not answer.
        """
        with answered():
            try:
                await self._rows.update_one({"_id": id}, {"$set": {"email": normalised(email)}})
            except DuplicateKeyError as error:
                raise Conflict("there is an account with this e-mail address", code="duplicate") from error

    async def set_second_factor(self, id: str, sealed: str | None, step: int = 0) -> None:
        """Ask for a second factor from now on (None: no more), which ends all tokens.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        await self._change(id, {"second_factor": sealed, "second_factor_step": step})

    async def use_step(self, id: str, step: int) -> bool:
        """Whether this time step's code is used for the first time, and no later one has been.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            done = await self._rows.update_one(
                {"_id": id, "second_factor_step": {"$lt": step}}, {"$set": {"second_factor_step": step}}
            )
        return bool(done.modified_count)

    async def set_reset(self, id: str, digest: str, expires: float) -> None:
        """Let the password be set with the code of this digest until ``expires`` (seconds since 1970).

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            reset = {"digest": digest, "expires": expires, "tries": 0}
            await self._rows.update_one({"_id": id}, {"$set": {"reset": reset}})

    async def try_reset(self, id: str, digest: str, now: float, most_tries: int) -> bool:
        """Whether this is the code, in time and not tried too often; each try counts, and the right one uses it up.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        alive = {"_id": id, "reset.expires": {"$gt": now}, "reset.tries": {"$lt": most_tries}}
        with answered():
            used = await self._rows.update_one({**alive, "reset.digest": digest}, {"$set": {"reset": {}}})
            if not used.modified_count:
                await self._rows.update_one(alive, {"$inc": {"reset.tries": 1}})
        return bool(used.modified_count)

    async def set_personnel(self, id: str, values: Mapping[str, Any]) -> None:
        """Keep these values of a person beside FHIR.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            changed = {f"personnel.{name}": value for name, value in values.items()}
            await self._rows.update_one({"_id": id}, {"$set": changed})

    async def set_rights(self, id: str, rights: Sequence[str]) -> None:
        """Say what the site allows this person beyond the role.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            await self._rows.update_one({"_id": id}, {"$set": {"rights": list(rights)}})

    async def set_password(self, id: str, password_hash: str) -> bool:
        """Change the password, which ends all tokens; whether there is such an account.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._change(id, {"password_hash": password_hash})

    async def end_tokens(self, id: str) -> None:
        """End all tokens of an account.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        await self._change(id, {})

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

    async def of_personnel(self, name: str, operator: str, value: float, most: int) -> Sequence[str]:
        """The references that stand for people of whom this number is kept; ``operator``: gt, gte, lt, lte or eq.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        wanted = {f"personnel.{name}": {f"${operator}": value}, "reference": {"$type": "string"}}
        with answered():
            return [row["reference"] async for row in self._rows.find(wanted, {"reference": 1}).limit(most)]

    async def personnel(self, references: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What is kept of these people beside FHIR (a salary), by the reference that stands for them.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            rows = await self._rows.find({"reference": {"$in": list(references)}}).to_list(None)
        return {row["reference"]: row.get("personnel", {}) for row in rows}

    async def _one(self, criteria: dict[str, Any]) -> Account | None:
        with answered():
            row = await self._rows.find_one(criteria)
        return None if row is None else _account(row)

    async def _change(self, id: str, values: dict[str, Any]) -> bool:
        with answered():
            change: dict[str, Any] = {"$inc": {"epoch": 1}, **({"$set": values} if values else {})}
            done = await self._rows.update_one({"_id": id}, change)
        return bool(done.matched_count)


def _account(row: dict[str, Any]) -> Account:
    return Account(id=row.pop("_id"), **{**row, "rights": tuple(row.get("rights", ()))})
