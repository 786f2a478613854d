"""A PeerJS client as it comes from the package, on the wire: two HTTP requests and one WebSocket."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlencode

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.realtime.conftest import PATIENCE, Person


class PeerSocket:
    """One connection to the signalling server."""

    def __init__(self, id: str, socket: ClientConnection) -> None:
        self.id = id
        self._socket = socket

    @classmethod
    async def open(cls, url: str, id: str, token: str, key: str = "peerjs", **headers: Any) -> PeerSocket:
        """Connect as version 1.5 does; what the server says first is not read yet."""
        query = urlencode({"key": key, "id": id, "token": token, "version": "1.5.5"})
        where = f"{url.replace('http', 'ws', 1)}/peerjs/peerjs?{query}"
        return cls(id, await connect(where, proxy=None, max_size=2**22, **headers))

    async def send(self, type: str, dst: str | None = None, payload: Any = None, **more: Any) -> None:
        """Send a message as the client does."""
        message = {"type": type, "payload": payload, **({"dst": dst} if dst else {}), **more}
        await self.raw(json.dumps(message))

    async def raw(self, text: str | bytes) -> None:
        """Send any text."""
        await self._socket.send(text)

    async def next(self, patience: float = PATIENCE) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(patience):
            message: dict[str, Any] = json.loads(await self._socket.recv())
        return message

    async def silent(self, seconds: float = 0.5) -> bool:
        """Whether nothing comes for a while."""
        try:
            await self.next(seconds)
        except TimeoutError:
            return True
        return False

    async def ended(self) -> bool:
        """Whether the server closes the connection."""
        try:
            while True:
                await self.next()
        except ConnectionClosed:
            return True
        except TimeoutError:
            return False

    async def close(self) -> None:
        """Close."""
        await self._socket.close()

    async def cut(self) -> None:
        """End the connection without a word, as a network does."""
        self._socket.transport.abort()
        await self._socket.wait_closed()


async def ticket(person: Person, url: str, consultation: str, **more: str) -> dict[str, Any]:
    """A ticket for a person."""
    async with person.at(url) as http:
        answer = await http.post("/realtime/tickets", json={"consultation": consultation, **more})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


class Peers:
    """Opens connections, and closes them all."""

    def __init__(self) -> None:
        self._sockets: list[PeerSocket] = []

    async def open(self, url: str, id: str, token: str, key: str = "peerjs", **headers: Any) -> PeerSocket:
        """One connection, whatever the server says to it."""
        socket = await PeerSocket.open(url, id, token, key, **headers)
        self._sockets.append(socket)
        return socket

    async def of(self, person: Person, url: str, consultation: str, *, older: bool = False) -> PeerSocket:
        """A person's open peer; an older client asks the server for its id."""
        given = await ticket(person, url, consultation)
        id = given["peer"]
        if older:
            async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
                id = (await http.get("/peerjs/peerjs/id", params={"ts": "17000000000000.123"})).text
        socket = await self.open(url, id, given["token"])
        assert await socket.next() == {"type": "OPEN"}
        return socket

    async def close(self) -> None:
        """Close all."""
        for socket in self._sockets:
            await socket.close()
