"""Insert commands in two halves: while MongoDB makes rows durable, the thread that sent them does something else.

The driver's own calls return only once the answer is there. Here its connections and its messages are used without
them. That also halves what a command costs: it takes no session and no cluster time along, which a plain insert has
no use for. Where anything fails, the driver does the whole of it in its usual way: a row that is there by then was
perhaps put there by the first attempt.

A row is encoded by the thread that brings it: one that cannot be stored fails there, not the group it would be in.

https://www.mongodb.com/docs/manual/reference/command/insert/, /reference/mongodb-wire-protocol/ (OP_MSG)
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from contextlib import ExitStack, suppress

import bson
from bson.codec_options import DEFAULT_CODEC_OPTIONS
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection as ThreadedCollection
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.message import _op_msg
from pymongo.server_selectors import writable_server_selector
from pymongo.synchronous.pool import Connection

from hayat_fhir.errors import Unavailable
from hayat_fhir.store.database import PATIENCE, Document
from hayat_fhir.store.faults import answered
from hayat_fhir.store.group_commit import Committing

_INSERT = "insert"
_DUPLICATE = 11000

Rows = Sequence[Committing[RawBSONDocument, bool]]


def encoded(row: Document, collection: ThreadedCollection[Document]) -> RawBSONDocument:
    """The row as it will be stored in this collection; ``_id`` is its own.

    Raises:
        InvalidRequest: It cannot be stored.
    """
    with answered():
        return RawBSONDocument(bson.encode(row, codec_options=collection.codec_options))


class Insertion:
    """Inserts groups of rows into one collection, one group at a time; of each row, whether it was not there yet.

    It keeps one of the driver's connections for as long as that works, and gives it back when it goes itself.
    """

    def __init__(self, collection: ThreadedCollection[Document]) -> None:
        self._collection = collection
        self._database = collection.database
        self._client = collection.database.client
        self._rows: Rows = ()
        self._connection: Connection | None = None
        self._borrowed = ExitStack()
        self._number: int | None = None
        """Of the message that has been sent."""
        weakref.finalize(self, self._borrowed.close)

    def begin(self, rows: Rows, /) -> None:
        """Send them, if MongoDB is within reach; whatever comes between, ``end`` meets it again."""
        self._rows, self._number = rows, None
        try:
            if self._connection is None:
                server = self._client._get_topology().select_server(writable_server_selector, _INSERT, 0)
                self._connection = self._borrowed.enter_context(self._client._checkout(server, None))
            options = self._collection.codec_options
            number, message, _, largest = _op_msg(0, self._command(), self._database.name, None, options)
            self._connection.set_conn_timeout(self._client.options.timeout or PATIENCE)
            self._connection.send_message(message, largest)
            self._number = number
        except Exception as error:  # noqa: BLE001 - as the docstring says
            self._give_back(error)

    def end(self) -> Sequence[bool]:
        """Once the rows are durable, whether each was not there yet.

        Raises:
            Unavailable: MongoDB does not answer, or cannot make them durable.
        """
        reply = self._reply() or self._answer()
        faults = reply.get("writeErrors", ())
        is_lost = reply.get("writeConcernError") or reply.get("writeConcernErrors")
        if is_lost or any(fault["code"] != _DUPLICATE for fault in faults):
            raise Unavailable("the database cannot make this durable")
        there = {fault["index"] for fault in faults}
        return [index not in there for index in range(len(self._rows))]

    def _command(self) -> Document:
        return {
            _INSERT: self._collection.name,
            "documents": [row.item for row in self._rows],
            "ordered": False,
            "writeConcern": self._collection.write_concern.document,
        }

    def _reply(self) -> Document | None:
        """The answer to what was sent; None where there is none, or it is not the one that was hoped for."""
        if self._connection is None or self._number is None:
            return None
        try:
            message = self._connection.receive_message(self._number)
        except (PyMongoError, OSError) as error:
            self._give_back(error)
            return None
        reply: Document = message.command_response(DEFAULT_CODEC_OPTIONS)
        if reply["ok"]:
            return reply
        self._give_back()
        return None

    def _give_back(self, error: Exception | None = None) -> None:
        """Let the driver have its connection back, and know what went wrong with it."""
        self._connection = None
        with suppress(PyMongoError, OSError):
            self._borrowed.__exit__(type(error) if error else None, error, None)

    def _answer(self) -> Document:
        """What comes of the same rows where the driver inserts them: again, in parts where they are too many for one.

        The keys are those of a command's answer, or of ``BulkWriteError.details``.
        """
        with answered():
            try:
                self._collection.insert_many([row.item for row in self._rows], ordered=False)
            except BulkWriteError as error:
                return dict(error.details)
        return {}
