"""What others write, as it happens: change streams of MongoDB.

https://www.mongodb.com/docs/manual/changeStreams/
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from pymongo.errors import PyMongoError

from hayat_fhir.store.database import Database

_AWAIT_MS = 500
_PAUSE = 1.0
_TOKEN_LOST = frozenset({280, 286})
"""ChangeStreamFatalError, ChangeStreamHistoryLost."""
_LOG = structlog.get_logger("hayat_fhir.changes")


@dataclass(frozen=True, slots=True)
class Written:
    """One document as it was when the stream told of it; ``document`` is None where it has been deleted.

    ``created``: this was the document's insertion.
    """

    collection: str
    id: Any
    document: dict[str, Any] | None
    created: bool = False


class Changes:
    """Follows collections. ``criteria`` are change events that count, in the words of ``$match``.

    Each names its collections (``ns.coll``, or several with ``$in``).
    """

    def __init__(self, database: Database, criteria: Sequence[dict[str, Any]]) -> None:
        self._database = database
        self._criteria = list(criteria)
        self._collections = sorted({name for one in criteria for name in _collections(one)})

    async def follow(self) -> AsyncGenerator[Written | None, None]:
        """Changes from now on, for ever; None where some may have been missed: then read again what you know.

        The first is always None. Where MongoDB is away, the stream goes on after the last change that it told of.
        """
        token: Any = None
        while True:
            try:
                async with await self._database.watch(self._pipeline(), token, _AWAIT_MS) as stream:
                    first = await stream.try_next()
                    if token is None:
                        yield None
                    while True:
                        if first is not None:
                            yield _written(first)
                        token = stream.resume_token
                        first = await stream.try_next()
            except PyMongoError as error:
                if not _resumable(error):
                    token = None
                _LOG.warning("change stream broken", cause=type(error).__name__)
                await asyncio.sleep(_PAUSE)

    def _pipeline(self) -> list[dict[str, Any]]:
        # MongoDB drops what is of no collection among these before it looks documents up: images come by the thousand
        kinds, collections = {"$in": ["insert", "update", "replace", "delete"]}, {"$in": self._collections}
        return [
            {"$match": {"ns.coll": collections, "operationType": kinds, "$or": self._criteria}},
            {"$project": {"fullDocument.index": False, "updateDescription": False}},
        ]


def _collections(criterion: dict[str, Any]) -> list[str]:
    named = criterion["ns.coll"]
    return list(named["$in"]) if isinstance(named, dict) else [named]


def _resumable(error: PyMongoError) -> bool:
    """Whether the stream may go on after its last token: not where the log does not reach back to it."""
    return getattr(error, "code", None) not in _TOKEN_LOST


def _written(event: dict[str, Any]) -> Written:
    return Written(
        event["ns"]["coll"],
        event["documentKey"]["_id"],
        event.get("fullDocument"),
        event["operationType"] == "insert",
    )
