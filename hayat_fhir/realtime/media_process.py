"""The process that touches media: one for each device check, recording and relay, and none while there are none.

Decoding what others send happens here, away from the API, with limits of its own. Messages are lines of JSON:
orders on standard input, whose end is also the process's end, answers on standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import orjson
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

from hayat_fhir.child_process import leave_no_core
from hayat_fhir.realtime.measuring import Camera, Microphone
from hayat_fhir.realtime.passing_on import Exchange
from hayat_fhir.realtime.strangers import keep_out
from hayat_fhir.realtime.webm import Webm
from hayat_fhir.security.sealing import Sealed

_ADDRESS_SPACE = 4 * 2**30
_VERDICT = 5.0
_EVERY = 0.5
_LONGEST_LINE = 256 * 1024


class Media:
    """The connections of this process, by the peer on the other side."""

    def __init__(self) -> None:
        self._connections: dict[str, RTCPeerConnection] = {}
        self._recorders: dict[str, tuple[Webm, Sealed]] = {}
        self._exchange = Exchange()
        self._tasks: set[asyncio.Task[None]] = set()

    async def obey(self, order: dict[str, Any]) -> None:
        """Carry one order out."""
        match order.get("order"):
            case "check":
                await self._check(order)
            case "record":
                await self._record(order)
            case "relay":
                await self._relay(order)
            case "candidate" if order["peer"] in self._connections:
                await self._candidate(order)
            case "stop":
                await self.stop()
                tell({"told": "stopped"})

    async def stop(self) -> None:
        """End all connections, and finish the files."""
        for peer, (recorder, sealed) in self._recorders.items():
            with contextlib.suppress(Exception):  # a recorder without a frame has nothing to finish
                await recorder.stop()
            sealed.close()
            tell({"told": "recorded", "peer": peer, "size": sealed.size, "hash": sealed.digest})
        self._recorders.clear()
        for connection in self._connections.values():
            await connection.close()
        self._connections.clear()

    async def _check(self, order: dict[str, Any]) -> None:
        connection = self._connection(order)
        microphones: list[Microphone] = []
        cameras: list[Camera] = []

        def incoming(track: Any) -> None:  # noqa: ANN401 - a track of aiortc
            if track.kind == "audio":
                microphones.append(Microphone(track))
                connection.addTrack(microphones[-1])
            else:
                cameras.append(Camera(track))
                connection.addTrack(cameras[-1])

        connection.on("track", incoming)
        await self._answer(connection, order)
        task = asyncio.create_task(_report(microphones, cameras))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _record(self, order: dict[str, Any]) -> None:
        connection = self._connection(order)
        sealed = Sealed(Path(order["path"]), b64decode(order["key"]), b64decode(order["salt"]))
        recorder = Webm(sealed)
        self._recorders[order["peer"]] = (recorder, sealed)
        connection.on("track", recorder.add)
        await self._answer(connection, order)
        recorder.start()

    async def _relay(self, order: dict[str, Any]) -> None:
        connection = self._connection(order)
        self._exchange.hear(order["side"], connection)
        await connection.setRemoteDescription(RTCSessionDescription(order["sdp"], "offer"))
        await self._exchange.join(order["side"], connection)
        await self._tell_answer(connection, order)

    async def _candidate(self, order: dict[str, Any]) -> None:
        found = order["candidate"]
        text = str(found.get("candidate") or "")
        if not text.startswith("candidate:"):
            return
        candidate = candidate_from_sdp(text.partition(":")[2])
        candidate.sdpMid, candidate.sdpMLineIndex = found.get("sdpMid"), found.get("sdpMLineIndex")
        await self._connections[order["peer"]].addIceCandidate(candidate)

    def _connection(self, order: dict[str, Any]) -> RTCPeerConnection:
        servers = [
            RTCIceServer(urls=one["urls"], username=one.get("username"), credential=one.get("credential"))
            for one in order["iceServers"]
        ]
        connection = self._connections[order["peer"]] = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        return connection

    async def _answer(self, connection: RTCPeerConnection, order: dict[str, Any]) -> None:
        await connection.setRemoteDescription(RTCSessionDescription(order["sdp"], "offer"))
        await self._tell_answer(connection, order)

    async def _tell_answer(self, connection: RTCPeerConnection, order: dict[str, Any]) -> None:
        await connection.setLocalDescription(await connection.createAnswer())
        tell({"told": "answer", "peer": order["peer"], "sdp": connection.localDescription.sdp})


async def _report(microphones: list[Microphone], cameras: list[Camera]) -> None:
    """Tell the level twice a second, and the verdict once."""
    frames = 0
    for turn in range(1, 61):
        await asyncio.sleep(_EVERY)
        level = max((one.level for one in microphones), default=0.0)
        seen = sum(one.frames for one in cameras)
        tell({"told": "level", "audio": round(level, 2), "video": (seen - frames) / _EVERY})
        frames = seen
        if turn == int(_VERDICT / _EVERY):
            microphone = microphones[0].verdict if microphones else "missing"
            camera = cameras[0].verdict if cameras else "missing"
            tell({"told": "verdict", "microphone": microphone, "camera": camera})


def tell(message: dict[str, Any]) -> None:
    """One line to whoever started this process."""
    os.write(1, orjson.dumps(message) + b"\n")


async def main() -> None:
    """Obey until standard input ends."""
    media = Media()
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tell({"told": "ready"})
    try:
        while line := await reader.readline():
            try:
                await media.obey(orjson.loads(line))
            except Exception as error:  # noqa: BLE001 - what a browser offers may be anything; the type alone is told
                tell({"told": "failed", "cause": type(error).__name__})
    finally:
        await media.stop()
        tell({"told": "ended"})


if __name__ == "__main__":
    leave_no_core()
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    os.nice(5)
    keep_out()
    asyncio.run(main())
