"""Insert commands in two halves: durable when they end, and none lost where the connection breaks between the two."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import pytest
from bson.raw_bson import RawBSONDocument

from hayat_fhir.errors import InvalidRequest, Unavailable
from hayat_fhir.store.database import ThreadedDatabase, connect_sync
from hayat_fhir.store.group_commit import Committing, GroupCommit
from hayat_fhir.store.insertion import Insertion, encoded
from tests.database_relay import Relay, through


@pytest.fixture
def relay(mongodb_url: str) -> Iterator[Relay]:
    """A way to MongoDB."""
    parts = urlsplit(mongodb_url)
    assert parts.hostname
    assert parts.port
    made = Relay(parts.hostname, parts.port)
    yield made
    made.close()


@pytest.fixture
def database(mongodb_url: str, database_name: str, relay: Relay) -> Iterator[ThreadedDatabase]:
    """An empty database, by way of the relay."""
    made = connect_sync(through(mongodb_url, relay.port), database_name, timeout=5)
    with made.client:
        made["rows"].insert_one({"_id": "there"})
        yield made
        relay.mend()
        made.client.drop_database(database_name)


def group(insertion: Insertion, *rows: dict[str, Any]) -> list[Committing[RawBSONDocument, bool]]:
    """These rows as a group."""
    committing = GroupCommit(insertion)
    return [Committing(committing, encoded(row, insertion._collection)) for row in rows]


def test_a_group_is_sent_at_once(database: ThreadedDatabase) -> None:
    """Rows are sent when the command begins, not when its answer is asked for; of each it is told whether it is new."""
    insertion = Insertion(database["rows"])
    insertion.begin(group(insertion, {"_id": "new"}, {"_id": "there"}, {"_id": "newer", "of": "two"}))
    assert insertion._number is not None
    deadline = time.monotonic() + 10
    while database["rows"].count_documents({}) < 3:
        assert time.monotonic() < deadline
    assert list(insertion.end()) == [True, False, True]
    assert database["rows"].find_one({"_id": "newer"}) == {"_id": "newer", "of": "two"}
    assert database["rows"].count_documents({}) == 3


def test_a_connection_is_kept_and_given_back(database: ThreadedDatabase) -> None:
    """One command after the other goes over the same connection, which the driver has again afterwards."""
    insertion = Insertion(database["rows"])
    used = set()
    for number in range(3):
        insertion.begin(group(insertion, {"_id": number}))
        assert list(insertion.end()) == [True]
        used.add(id(insertion._connection))
    assert len(used) == 1
    ((pool,),) = ([server.pool] for server in database.client._get_topology()._servers.values())
    assert pool.active_sockets == 1
    del insertion
    gc.collect()
    assert pool.active_sockets == 0


def test_a_connection_that_breaks_meanwhile(database: ThreadedDatabase, relay: Relay) -> None:
    """The command is sent again, by the driver; it may find its own row. Before long they are in two halves again."""
    insertion = Insertion(database["rows"])
    insertion.begin(group(insertion, {"_id": "new"}))
    relay.cut()
    relay.mend()
    assert len(insertion.end()) == 1
    assert database["rows"].count_documents({"_id": "new"}) == 1
    deadline = time.monotonic() + 30
    for number in count():
        insertion.begin(group(insertion, {"_id": number}))
        is_sent = insertion._number is not None
        assert list(insertion.end()) == [True]
        if is_sent:
            break
        assert time.monotonic() < deadline


def test_a_database_out_of_reach(database: ThreadedDatabase, relay: Relay) -> None:
    """To begin does not fail; the end does, and says so."""
    insertion = Insertion(database["rows"])
    relay.cut()
    insertion.begin(group(insertion, {"_id": "new"}))
    with pytest.raises(Unavailable):
        insertion.end()
    relay.mend()
    assert database["rows"].count_documents({}) == 1


@pytest.mark.parametrize("value", [2**80, "\ud800", object()])
def test_a_row_that_cannot_be_stored(database: ThreadedDatabase, value: object) -> None:
    """It is refused before it is in any group."""
    with pytest.raises(InvalidRequest):
        encoded({"_id": "new", "value": value}, database["rows"])


def test_more_than_one_message_holds(database: ThreadedDatabase) -> None:
    """Rows of more than MongoDB takes at once (48 MB) are stored in parts, and of each it is told whether it is new."""
    insertion = Insertion(database["rows"])
    rows = [{"_id": number, "value": "x" * 15_000_000} for number in range(4)]
    insertion.begin(group(insertion, *rows[:2]))
    assert list(insertion.end()) == [True, True]
    insertion.begin(group(insertion, *rows))
    assert list(insertion.end()) == [False, False, True, True]
    assert database["rows"].count_documents({}) == 5
