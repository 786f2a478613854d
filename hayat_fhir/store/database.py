"""Connections to MongoDB, with the guarantees every read and write relies on.

Write concern majority with journal, read concern majority, retryable reads and writes; decimals keep their
digits (Decimal128), instants are aware UTC datetimes.
https://www.mongodb.com/docs/manual/core/causal-consistency-read-write-concerns/
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import bson
import pymongo
from bson.codec_options import CodecOptions, TypeCodec, TypeRegistry
from bson.decimal128 import Decimal128
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient, MongoClient
from pymongo.asynchronous.change_stream import AsyncDatabaseChangeStream
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.database import Database as SyncDatabase
from pymongo.errors import AutoReconnect, OperationFailure
from pymongo.errors import ConfigurationError as MalformedUrl
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from hayat_fhir.errors import ConfigurationError
from hayat_fhir.store.faults import answered
from hayat_fhir.store.indexes import indexes_of

Document = dict[str, Any]
Collection = AsyncCollection[Document]
ThreadedDatabase = SyncDatabase[Document]
"""What threads use."""

WRITE_CONCERN = WriteConcern("majority", j=True)
READ_CONCERN = ReadConcern("majority")
PATIENCE = 10.0
"""Seconds that one operation may take: longer than a crashed mongod needs to come back."""


class _DecimalCodec(TypeCodec):
    """``decimal.Decimal`` as Decimal128, so that ``1.00`` stays ``1.00`` (up to 34 digits)."""

    python_type = Decimal
    bson_type = Decimal128

    def transform_python(self, value: Decimal) -> Decimal128:
        return Decimal128(value)

    def transform_bson(self, value: Decimal128) -> Decimal:
        return value.to_decimal()


CODEC_OPTIONS: CodecOptions[Document] = CodecOptions(tz_aware=True, type_registry=TypeRegistry([_DecimalCodec()]))
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
_INDEX_PATIENCE = 3600.0
"""Seconds that the indexes of a large database may take at start."""

_NOT_LET_IN = frozenset({13, 18, 8000})
"""Server codes of a wrong user, a wrong password, and a user without rights."""
_OLDEST_WIRE_VERSION = 17
"""That of MongoDB 6.0, the version of the embedded one."""

_OPTIONS: dict[str, Any] = {
    "appname": "hayat",
    "connectTimeoutMS": 5000,
    "maxPoolSize": 64,
    "retryReads": True,
    "retryWrites": True,
    "w": "majority",
    "journal": True,
    "readConcernLevel": "majority",
}


class Database:
    """One site's database. Made by ``connect``; used by the event loop that first awaits something of it."""

    def __init__(self, client: AsyncMongoClient[Document], name: str) -> None:
        self.client = client
        self.name = name
        self._database: AsyncDatabase[Document] = client.get_database(name, codec_options=CODEC_OPTIONS)
        self._collections: dict[str, Collection] = {}
        self._ready: set[str] = set()
        self._preparing = asyncio.Lock()

    def collection(self, name: str) -> Collection:
        """The collection of this name, with the site's codec and concerns."""
        found = self._collections.get(name)
        if found is None:
            found = self._collections[name] = self._database[name]
        return found

    async def find_one(self, name: str, criteria: Document) -> Document | None:
        """The first document of a collection that meets the criteria, without its ``index``.

        The command is sent as it is: this is the path of every FHIR read, and a cursor of the driver costs as
        much as the rest of it. Where the connection breaks, the driver's own retry takes over.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        command = {
            "find": name,
            "filter": criteria,
            "projection": {"index": False},
            "limit": 1,
            "singleBatch": True,
            "readConcern": READ_CONCERN.document,
        }
        with answered():
            try:
                reply = await self._database.command(command, codec_options=_RAW)
            except AutoReconnect:
                return await self.collection(name).find_one(criteria, {"index": False})
        batch = reply["cursor"]["firstBatch"]
        return bson.decode(batch[0].raw, CODEC_OPTIONS) if batch else None

    async def watch(
        self,
        pipeline: list[Document],
        resume_after: Any,  # noqa: ANN401 - a token is opaque
        await_ms: int,
    ) -> AsyncDatabaseChangeStream[Document]:
        """A change stream over all collections, with the documents as they are when it tells of them."""
        return await self._database.watch(
            pipeline, full_document="updateLookup", resume_after=resume_after, max_await_time_ms=await_ms
        )

    async def prepared(self, name: str) -> Collection:
        """The collection, existing and with its indexes: call before the first write.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        if name not in self._ready:
            async with self._preparing:
                if name not in self._ready:
                    await self._prepare(name)
        return self.collection(name)

    async def collection_names(self) -> list[str]:
        """The collections that exist.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            names: list[str] = await self._database.list_collection_names()
            return names

    async def ensure_indexes(self) -> None:
        """Bring every existing collection to the present set of indexes; may take long on a large database.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            names = await self._database.list_collection_names()
            with pymongo.timeout(_INDEX_PATIENCE):
                for name in sorted(names):
                    await self.prepared(name)

    async def check_server(self) -> None:
        """Return if the server keeps the guarantees that the store relies on.

        Raises:
            ConfigurationError: It does not let us in, is no replica set (or a cluster of them), or is too old.
            Unavailable: MongoDB does not answer.
        """
        try:
            with answered():
                hello = await self._database.command("hello")
        except OperationFailure as failure:
            if failure.code not in _NOT_LET_IN:
                raise
            raise ConfigurationError("HAYAT_MONGODB_URL: MongoDB does not let this user in") from None
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise ConfigurationError(
                "HAYAT_MONGODB_URL: this MongoDB is no replica set; one node is enough (--replSet)"
            )
        if hello["maxWireVersion"] < _OLDEST_WIRE_VERSION:
            raise ConfigurationError("HAYAT_MONGODB_URL: this MongoDB is older than 6.0")

    async def ping(self) -> None:
        """Return if the primary answers.

        Raises:
            Unavailable: It does not.
        """
        with answered():
            await self._database.command("ping")

    async def drop(self) -> None:
        """Drop the whole database: for tests."""
        with answered():
            await self.client.drop_database(self.name)
        self._ready.clear()

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()

    async def _prepare(self, name: str) -> None:
        if models := indexes_of(name):
            with answered():
                await self.collection(name).create_indexes(models)
        self._ready.add(name)


def connect(url: str, name: str = "hayat", *, timeout: float = PATIENCE) -> Database:
    """A database for asyncio; connects when first used, and again whenever it has to.

    ``timeout``: seconds after which an operation, its retries included, gives up as Unavailable.

    Raises:
        ConfigurationError: The URL is malformed.
    """
    with _understood():
        return Database(AsyncMongoClient(url, timeoutMS=int(timeout * 1000), **_OPTIONS), name)


def connect_sync(url: str, name: str = "hayat", *, timeout: float = PATIENCE) -> SyncDatabase[Document]:
    """The same database for threads (the DICOM door); safe to share between threads, not across fork.

    Raises:
        ConfigurationError: The URL is malformed.
    """
    with _understood():
        client: MongoClient[Document] = MongoClient(url, timeoutMS=int(timeout * 1000), **_OPTIONS)
    return client.get_database(name, codec_options=CODEC_OPTIONS)


@contextmanager
def _understood() -> Iterator[None]:
    """The driver's opinion of a URL as ours, without the URL."""
    try:
        yield
    except (MalformedUrl, ValueError) as error:
        raise ConfigurationError("HAYAT_MONGODB_URL: not a connection string of MongoDB (RFC 3986 escapes?)") from error
