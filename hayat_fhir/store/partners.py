"""Partner hospitals: OAuth client, FHIR address and DICOM peer in one row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pymongo import ReturnDocument
from pymongo.database import Database as SyncDatabase
from pymongo.errors import DuplicateKeyError

from hayat_fhir.errors import Conflict
from hayat_fhir.store.database import Database
from hayat_fhir.store.faults import answered


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner. ``id`` is also the id of its Organization; ``client_id`` names it at the token endpoint.

    ``jwks`` or ``jwks_url`` hold its public keys, ``fhir_url`` is its FHIR base; ``ae_title``, ``host`` and
    ``port`` are its DICOM port, which with ``tls`` is spoken to over TLS only; ``certificate`` is the SHA-256 of the
    certificate that it shows, there and here.
    ``patient_id_system`` is the identifier system of its patient numbers; ``epoch`` counts how often its keys have
    been changed: a token of an earlier one is worth nothing.
    """

    id: str
    name: str
    client_id: str
    jwks: dict[str, Any] | None = None
    jwks_url: str | None = None
    fhir_url: str | None = None
    ae_title: str | None = None
    host: str | None = None
    port: int | None = None
    scopes: tuple[str, ...] = ()
    patient_id_system: str | None = None
    disabled: bool = False
    certificate: str | None = None
    tls: bool = False
    epoch: int = 0


class Partners:
    """One row per partner; client ids and AE titles are unique."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.collection("partners")

    async def add(self, partner: Partner) -> None:
        """Store a new partner.

        Raises:
            Conflict: There is a partner with this id, name, client id or AE title.
            Unavailable: MongoDB does not answer.
        """
        rows = await self._database.prepared("partners")
        row = {name: value for name, value in asdict(partner).items() if value is not None}
        with answered():
            try:
                await rows.insert_one({"_id": row.pop("id"), **row, "scopes": list(partner.scopes)})
            except DuplicateKeyError as error:
                text = "there is a partner with this name, client id or AE title"
                raise Conflict(text, code="duplicate") from error

    async def by_id(self, id: str) -> Partner | None:
        """The partner with this id, or None.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._one({"_id": id})

    async def by_fhir_url(self, url: str) -> Partner | None:
        """The partner whose FHIR base this is, or None.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._one({"fhir_url": url})

    async def by_client_id(self, client_id: str) -> Partner | None:
        """The partner that names itself so at the token endpoint, or None.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._one({"client_id": client_id})

    async def by_name(self, name: str) -> Partner | None:
        """The partner with this name, or None.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._one({"name": name})

    async def by_ae_title(self, ae_title: str) -> Partner | None:
        """The partner with this DICOM AE title, or None.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._one({"ae_title": ae_title})

    async def list(self) -> list[Partner]:
        """All partners, in the order of their names.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            return [_partner(row) for row in await self._rows.find().sort("name").to_list(None)]

    async def change(self, id: str, values: Mapping[str, Any], *, end_tokens: bool = False) -> Partner | None:
        """Change fields of a partner, those with None to nothing; ``end_tokens`` makes its tokens worthless.

        None if there is no such partner.

        Raises:
            Conflict: There is another partner with this name, client id or AE title.
            Unavailable: MongoDB does not answer.
        """
        change: dict[str, Any] = {
            "$set": {name: value for name, value in values.items() if value is not None},
            "$unset": {name: True for name, value in values.items() if value is None},
            "$inc": {"epoch": int(end_tokens)},
        }
        with answered():
            try:
                row = await self._rows.find_one_and_update(
                    {"_id": id},
                    {name: part for name, part in change.items() if part},
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError as error:
                text = "there is a partner with this name, client id or AE title"
                raise Conflict(text, code="duplicate") from error
        return None if row is None else _partner(row)

    async def disable(self, id: str) -> bool:
        """Shut a partner out; whether there is such a partner.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._set_disabled(id, True)

    async def enable(self, id: str) -> bool:
        """Let a disabled partner in again; whether there is such a partner.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return await self._set_disabled(id, False)

    async def _set_disabled(self, id: str, value: bool) -> bool:
        with answered():
            done = await self._rows.update_one({"_id": id}, {"$set": {"disabled": value}})
        return bool(done.matched_count)

    async def _one(self, criteria: dict[str, Any]) -> Partner | None:
        with answered():
            row = await self._rows.find_one(criteria)
        return None if row is None else _partner(row)


def peers(database: SyncDatabase[dict[str, Any]]) -> list[Partner]:
    """All partners with a DICOM port that are not disabled, for the threads of the DICOM door.

    Raises:
        Unavailable: MongoDB does not answer.
    """
    with answered():
        return [_partner(row) for row in database["partners"].find({"ae_title": {"$exists": True}, "disabled": False})]


def _partner(row: dict[str, Any]) -> Partner:
    return Partner(id=row.pop("_id"), scopes=tuple(row.pop("scopes")), **row)
