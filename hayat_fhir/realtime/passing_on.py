"""Two sides whose media goes through the site: what one sends is decoded, and encoded again for the other.

Imported by the media process alone, for it needs aiortc.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiortc import MediaStreamTrack, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError

_WAITING = {"audio": 25, "video": 2}
"""Frames that wait for their receiver: half a second of sound, and no old pictures."""
_OTHER = {"doctor": "patient", "patient": "doctor"}


class PassedOn(MediaStreamTrack):
    """What one side gets of the other: without gaps in time, also where the other has called anew."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self._frames: asyncio.Queue[Any] = asyncio.Queue(_WAITING[kind])
        self._last = 0
        self._shift = 0

    def put(self, frame: Any) -> None:  # noqa: ANN401 - a frame of PyAV
        """Take a frame; the oldest gives way where too many wait."""
        if frame.pts + self._shift < self._last:
            self._shift = self._last - frame.pts + 1
        frame.pts += self._shift
        self._last = frame.pts
        if self._frames.full():
            self._frames.get_nowait()
        self._frames.put_nowait(frame)

    async def recv(self) -> Any:  # noqa: ANN401 - a frame of PyAV
        """The next frame, once there is one."""
        return await self._frames.get()


class Exchange:
    """The connections of the two sides, one of each: a new call takes the place of the older."""

    def __init__(self) -> None:
        self._connections: dict[str, RTCPeerConnection] = {}
        self._outgoing: dict[tuple[str, str], PassedOn] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def hear(self, side: str, connection: RTCPeerConnection) -> None:
        """Pass on what comes over a connection; before its offer is looked at."""
        connection.on("track", lambda track: self._pump(side, track))

    async def join(self, side: str, connection: RTCPeerConnection) -> None:
        """Send a side what comes from the other; after its offer has been looked at, before it is answered."""
        former = self._connections.get(side)
        self._connections[side] = connection
        for kind in {transceiver.kind for transceiver in connection.getTransceivers()}:
            track = self._outgoing[side, kind] = PassedOn(kind)
            connection.addTrack(track)
        if former is not None:
            await former.close()

    def _pump(self, side: str, track: MediaStreamTrack) -> None:
        task = asyncio.create_task(self._pass_on(_OTHER[side], track))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, to: str, track: MediaStreamTrack) -> None:
        """Always read, also while nobody listens: aiortc keeps what is not read."""
        try:
            while True:
                frame = await track.recv()
                outgoing = self._outgoing.get((to, track.kind))
                if outgoing is not None:
                    outgoing.put(frame)
        except MediaStreamError:
            return
