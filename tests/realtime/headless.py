"""A peer without a browser: aiortc behind the PeerJS protocol, with a camera and a microphone of its own."""

from __future__ import annotations

import asyncio
import contextlib
import fractions
from typing import Any

import numpy as np
from aiortc import AudioStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from av import AudioFrame, VideoFrame

from tests.realtime.peerjs import PeerSocket

_RATE = 48_000
_SAMPLES = 960


class Tone(AudioStreamTrack):
    """A microphone that hears a tone of 440 Hz, or nothing."""

    def __init__(self, *, silent: bool = False) -> None:
        super().__init__()
        self._amplitude = 0 if silent else 8000

    async def recv(self) -> AudioFrame:
        """Twenty milliseconds."""
        await super().recv()
        start = getattr(self, "_position", 0)
        self._position = start + _SAMPLES
        wave = np.sin(2 * np.pi * 440 * (start + np.arange(_SAMPLES)) / _RATE) * self._amplitude
        frame = AudioFrame.from_ndarray(wave.astype(np.int16).reshape(1, -1), layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = _RATE, start, fractions.Fraction(1, _RATE)
        return frame


class Picture(VideoStreamTrack):
    """A camera before which something moves, or nothing."""

    def __init__(self, *, frozen: bool = False, width: int = 160, height: int = 120) -> None:
        super().__init__()
        self._size = (height, width)
        self._frozen = frozen
        self._number = 0

    async def recv(self) -> VideoFrame:
        """One frame."""
        pts, time_base = await self.next_timestamp()
        self._number += 0 if self._frozen else 4
        height, width = self._size
        left = self._number % (width * 3 // 4)
        picture = np.full((height, width, 3), 40, np.uint8)
        picture[:, left : left + width // 4] = 220
        frame = VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


def connection(*tracks: Any) -> RTCPeerConnection:
    """A connection that sends these tracks, and knows no server of anybody."""
    made = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for track in tracks:
        made.addTrack(track)
    return made


class Received:
    """What comes over a connection."""

    def __init__(self, made: RTCPeerConnection) -> None:
        self.frames = {"audio": 0, "video": 0}
        self.loudest = 0
        self._tasks: list[asyncio.Task[None]] = []
        made.on("track", lambda track: self._tasks.append(asyncio.create_task(self._count(track))))

    async def _count(self, track: Any) -> None:
        with contextlib.suppress(Exception):
            while True:
                frame = await track.recv()
                self.frames[track.kind] += 1
                if track.kind == "audio":
                    self.loudest = max(self.loudest, int(np.abs(frame.to_ndarray()).max()))

    @property
    def both(self) -> bool:
        """Whether pictures and audible sound have come."""
        return self.frames["video"] >= 5 and self.frames["audio"] >= 10 and self.loudest > 500

    async def stop(self) -> None:
        """Listen no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def call(socket: PeerSocket, made: RTCPeerConnection, target: str, connection_id: str = "mc_test") -> None:
    """Call another peer as ``peer.call`` does, and take its answer."""
    await made.setLocalDescription(await made.createOffer())
    offer = {"sdp": made.localDescription.sdp, "type": "offer"}
    await socket.send("OFFER", target, {"sdp": offer, "type": "media", "connectionId": connection_id, "metadata": None})
    while (message := await socket.next())["type"] != "ANSWER":
        assert message["type"] in {"CANDIDATE", "LEAVE"}, message["type"]
    answer = message["payload"]["sdp"]
    await made.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))


async def answer(socket: PeerSocket, made: RTCPeerConnection) -> None:
    """Take the next call, as ``call.answer`` does."""
    while (message := await socket.next())["type"] != "OFFER":
        assert message["type"] == "CANDIDATE"
    offer = message["payload"]
    await made.setRemoteDescription(RTCSessionDescription(offer["sdp"]["sdp"], offer["sdp"]["type"]))
    await made.setLocalDescription(await made.createAnswer())
    description = {"sdp": made.localDescription.sdp, "type": "answer"}
    payload = {"sdp": description, "type": "media", "connectionId": offer["connectionId"]}
    await socket.send("ANSWER", message["src"], payload)
