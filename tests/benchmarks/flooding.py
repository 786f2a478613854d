"""Socket.IO clients that send without end, in a process of their own: what they cost themselves would count as ours."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.benchmarks.figures import BenchmarkFailed

_PAUSE = 0.05
_FLOODS: dict[str, list[str | bytes]] = {
    "events": ['42["get-online-doctor","x"]'] * 20,
    "attachments": ['451000-["message",{"_placeholder":true,"num":0}]', *[b"x"] * 20],
    "a megabyte": ["42" + json.dumps(["message", "x" * 2**20])],
    "namespaces": ["40/admin,"] * 20,
}
"""What is sent at once, a thousand packets a second or a megabyte of them, until the server ends the connection."""
FLOODS = tuple(_FLOODS)


async def opened(where: str, token: str) -> ClientConnection:
    """A connection that has presented its token.

    Raises:
        BenchmarkFailed: It was refused.
    """
    socket = await connect(where, proxy=None, compression=None, ping_interval=None, max_size=2**22)
    await socket.recv()
    await socket.send(f"40{json.dumps({'token': token})}")
    if not str(answer := await socket.recv()).startswith("40"):
        raise BenchmarkFailed(f"a socket was refused: {answer!r}")
    return socket


async def _flood(where: str, token: str, packets: list[str | bytes]) -> None:
    """Send, and come again, until cancelled."""
    while True:
        with suppress(ConnectionClosed, InvalidHandshake, OSError, BenchmarkFailed):
            socket = await opened(where, token)
            try:
                while True:
                    for packet in packets:
                        await socket.send(packet)
                    await asyncio.sleep(len(packets) / 1000)
            finally:
                await socket.close()
        await asyncio.sleep(_PAUSE)


async def _run(where: str, tokens: list[str], name: str) -> None:
    await asyncio.gather(*(_flood(where, token, _FLOODS[name]) for token in tokens))


if __name__ == "__main__":
    asyncio.run(_run(**json.load(sys.stdin)))
