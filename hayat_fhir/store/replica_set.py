"""Makes a freshly started mongod usable: replica set, user, primary.

Each step may have been done by an earlier start that was killed at any point; what is done is not repeated.
https://www.mongodb.com/docs/v6.0/core/localhost-exception/
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, ServerSelectionTimeoutError

PATIENCE = 60.0
"""Seconds that a start may take: recovery after a crash included."""

_AUTHENTICATION_FAILED = 18
_ALREADY_INITIALIZED = 23
_NOT_YET_INITIALIZED = 94
_STARTING = frozenset({13435, 13436, 11600, 91, 189, 10107})
_ROLES = ("readWriteAnyDatabase", "dbAdminAnyDatabase", "clusterAdmin")


def open_for_use(port: int, password: str, alive: Callable[[], bool]) -> bool:
    """Bring the mongod on this loopback port to the state of a primary with our user.

    Returns whether it got there; False where the process ended, or the time ran out.
    """
    deadline = time.monotonic() + PATIENCE
    while alive() and time.monotonic() < deadline:
        try:
            with _client(port, password) as client:
                if _is_primary(client, port):
                    return True
        except OperationFailure as failure:
            if failure.code == _AUTHENTICATION_FAILED:
                _found(port, password)
            elif failure.code not in _STARTING:
                raise
        except (AutoReconnect, ServerSelectionTimeoutError):
            continue
        time.sleep(0.02)
    return False


def _client(port: int, password: str | None) -> MongoClient[dict[str, Any]]:
    credentials: dict[str, Any] = {"username": "hayat", "password": password} if password else {}
    return MongoClient(
        "127.0.0.1",
        port,
        directConnection=True,
        serverSelectionTimeoutMS=200,
        connectTimeoutMS=2000,
        heartbeatFrequencyMS=500,
        **credentials,
    )


def _is_primary(client: MongoClient[dict[str, Any]], port: int) -> bool:
    """Whether it is; where the set still has the port of an earlier start, that is corrected first."""
    member = f"127.0.0.1:{port}"
    hello = client.admin.command("hello")
    if hello.get("isWritablePrimary") and hello.get("me") == member:
        return True
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as failure:
        if failure.code != _NOT_YET_INITIALIZED:
            raise
        return False
    if config["members"][0]["host"] != member:
        config["members"][0]["host"] = member
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)
    return False


def _found(port: int, password: str) -> None:
    """Create the replica set and the user through the localhost exception, which ends with the first user."""
    with _client(port, None) as client:
        try:
            members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
            client.admin.command("replSetInitiate", {"_id": "hayat", "members": members})
        except OperationFailure as failure:
            if failure.code not in {_ALREADY_INITIALIZED, *_STARTING}:
                raise
        deadline = time.monotonic() + PATIENCE
        while not client.admin.command("hello").get("isWritablePrimary"):
            if time.monotonic() > deadline:
                return
            time.sleep(0.02)
        client.admin.command("createUser", "hayat", pwd=password, roles=list(_ROLES))
