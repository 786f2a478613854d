"""Connections: what they guarantee, and how their failures are named."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hayat_fhir.errors import InvalidRequest, Unavailable
from hayat_fhir.store.database import Database, connect, connect_sync
from hayat_fhir.store.faults import answered


async def test_ping_and_concerns(database: Database) -> None:
    """The database answers; every collection writes to the majority's journal and reads what a majority has."""
    await database.ping()
    things = database.collection("things")
    assert things.write_concern.document == {"w": "majority", "j": True}
    assert things.read_concern.document == {"level": "majority"}


@pytest.mark.parametrize("text", ["1.00", "0.10000000000000000001", "-0", "1.20E+3", "1E-27", "9" * 34])
async def test_decimals_keep_their_digits(database: Database, mongodb_url: str, text: str) -> None:
    """A decimal comes back with the digits it had, for asyncio and for threads."""
    await database.collection("things").insert_one({"_id": 1, "value": [{"deep": Decimal(text)}]})
    threads = connect_sync(mongodb_url, database.name)
    with threads.client:
        for document in (await database.collection("things").find_one({}), threads["things"].find_one({})):
            assert document is not None
            assert str(document["value"][0]["deep"]) == text


async def test_a_database_that_is_down_is_unavailable() -> None:
    """Where nothing listens, the store says so in its own words, within its patience."""
    database = connect("mongodb://127.0.0.1:1/?replicaSet=hayat", timeout=0.3)
    with pytest.raises(Unavailable):
        await database.ping()
    await database.close()


@pytest.mark.parametrize("value", [2**64, "\ud800", Decimal("1." + "1" * 40)])
async def test_what_cannot_be_stored_is_refused(database: Database, value: object) -> None:
    """A value that BSON cannot hold is the caller's mistake, and is not repeated in the message."""
    with pytest.raises(InvalidRequest) as caught, answered():
        await database.collection("things").insert_one({"value": value})
    assert "1" not in str(caught.value)
