"""The bound of a read: an ASGI application that finds one document and answers with ready bytes, and no more.

PyMongo with its defaults: no codec, no concerns, no timeout of ours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn
from pymongo import AsyncMongoClient

Message = MutableMapping[str, Any]


class BareHandler:
    """Answers every request with the same bytes, after one ``find_one`` of the id at the end of the path."""

    def __init__(self, url: str, collection: str, body: bytes) -> None:
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(url)
        self._collection = client["hayat"][collection]
        self._body = body
        self._headers = [
            (b"content-type", b"application/fhir+json"),
            (b"content-length", str(len(body)).encode()),
        ]

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer one request; 404 where the document is not there."""
        found = await self._collection.find_one({"_id": scope["path"].rpartition("/")[2]})
        status = 200 if found is not None else 404
        await send({"type": "http.response.start", "status": status, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body})


def main() -> None:
    """Serve until ended; the configuration comes as JSON from standard input."""
    given = json.load(sys.stdin)
    application = BareHandler(given["url"], given["collection"], given["body"].encode())
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=given["port"],
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=True,
    )


if __name__ == "__main__":
    main()
