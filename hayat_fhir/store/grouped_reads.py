"""Grouped reads: single reads of one type that arrive while one is under way go to the database together.

A trip to MongoDB costs the event loop some half a millisecond, whatever it carries. A lone read waits for
nobody; a read never sees less than what was durable when it was asked for, since its group goes out after it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from hayat_fhir.errors import Refusal, Unavailable
from hayat_fhir.security.callers import Restriction
from hayat_fhir.store.conditions import visible
from hayat_fhir.store.database import Database
from hayat_fhir.store.documents import WITHOUT_INDEX, Document
from hayat_fhir.store.faults import answered

_MOST_AT_ONCE = 500
_Waiting = dict[str, "asyncio.Future[Document | None]"]


@dataclass(slots=True)
class _Line:
    """The readers of one type under one restriction: those who wait, and the task that serves them."""

    waiting: _Waiting = field(default_factory=dict)
    serving: asyncio.Task[None] | None = None


class GroupedReads:
    """Reads current versions by id. Belongs to one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lines: dict[tuple[str, Restriction], _Line] = {}

    async def read(self, type: str, id: str, restriction: Restriction) -> Document | None:
        """The document of this id; None where there is none, or it lies outside.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        line = self._lines.setdefault((type, restriction), _Line())
        answer = line.waiting.get(id)
        if answer is None:
            answer = line.waiting[id] = asyncio.get_running_loop().create_future()
        if line.serving is None:
            line.serving = asyncio.create_task(self._serve(type, restriction, line))
        return await asyncio.shield(answer)

    async def _serve(self, type: str, restriction: Restriction, line: _Line) -> None:
        try:
            while line.waiting:
                ids = list(line.waiting)[:_MOST_AT_ONCE]
                group = {id: line.waiting.pop(id) for id in ids}
                await self._answer(type, restriction, group)
        finally:
            self._lines.pop((type, restriction), None)

    async def _answer(self, type: str, restriction: Restriction, group: _Waiting) -> None:
        found: dict[str, Document] = {}
        refusal: Refusal | None = Unavailable("the read has been interrupted")
        try:
            found, refusal = await self._find(type, restriction, list(group)), None
        except Refusal as raised:
            refusal = raised
        finally:
            for id, answer in group.items():
                if refusal is None:
                    answer.set_result(found.get(id))
                else:
                    answer.set_exception(refusal)

    async def _find(self, type: str, restriction: Restriction, ids: list[str]) -> dict[str, Document]:
        admitted = visible(restriction)
        if admitted is None:
            return {}
        if len(ids) == 1:
            document = await self._database.find_one(type, {"_id": ids[0], **admitted})
            return {} if document is None else {ids[0]: document}
        with answered():
            cursor = self._database.collection(type).find({"_id": {"$in": ids}, **admitted}, WITHOUT_INDEX)
            documents = await cursor.batch_size(len(ids)).to_list(None)
        return {document["_id"]: document for document in documents}
