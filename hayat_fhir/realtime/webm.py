"""Writing what one side of a consultation sends as WebM: VP8 in real time, and Opus.

The recorder of aiortc encodes for quality, with threads that wait for one another, at five times the cost of all this,
and takes the size of pictures before it has seen one.

Imported by the media process alone, for it needs PyAV.
"""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction
from typing import Any

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame
from av.video.frame import PictureType

_LONGER_SIDE = 640
_BIT_RATE = 800_000
_VP8 = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "g": "90", "error-resilient": "1"}
"""https://www.webmproject.org/docs/encoder-parameters/"""
_CLOCK = Fraction(1, 1000)
_PATIENCE = 3.0
"""Seconds that sound waits for the first picture: the header tells how large pictures are."""


class Webm:
    """One file, from ``start`` to ``stop``. ``file`` has ``write``."""

    def __init__(self, file: Any) -> None:  # noqa: ANN401 - anything that can be written
        self._container = av.open(file, "w", format="webm")
        self._tracks: list[MediaStreamTrack] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._streams: list[Any] = []
        self._begun = time.monotonic()
        self._framed = asyncio.Event()

    def add(self, track: MediaStreamTrack) -> None:
        """Record a track."""
        self._tracks.append(track)

    def start(self) -> None:
        """Begin to write."""
        streams = {"audio": self._sound, "video": self._pictures}
        made = [(track, streams[track.kind]()) for track in self._tracks]
        self._streams = [stream for _, stream in made]
        self._tasks = [
            asyncio.create_task(self._video(track, stream) if track.kind == "video" else self._audio(track, stream))
            for track, stream in made
        ]

    async def stop(self) -> None:
        """Finish the file."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            for stream in self._streams:
                self._container.mux(stream.encode(None))
        finally:
            self._container.close()

    def _sound(self) -> Any:  # noqa: ANN401 - a stream of PyAV
        return self._container.add_stream("libopus", rate=48_000)

    def _pictures(self) -> Any:  # noqa: ANN401 - a stream of PyAV
        stream = self._container.add_stream("libvpx", rate=30, options=_VP8)
        stream.width, stream.height = _size(4, 3)
        stream.pix_fmt, stream.bit_rate = "yuv420p", _BIT_RATE
        stream.codec_context.time_base = _CLOCK
        stream.codec_context.thread_count = 1  # more of them wait for one another, and burn ten times the time
        return stream

    async def _video(self, track: MediaStreamTrack, stream: Any) -> None:  # noqa: ANN401
        last = -1
        async for frame in _frames(track):
            if not isinstance(frame, VideoFrame):
                continue
            if not self._framed.is_set():
                stream.width, stream.height = _size(frame.width, frame.height)
                self._framed.set()
            picture = frame.reformat(stream.width, stream.height, "yuv420p")
            picture.pts, picture.time_base = max(last + 1, self._now()), _CLOCK
            picture.pict_type = PictureType.NONE
            last = picture.pts
            self._container.mux(stream.encode(picture))

    async def _audio(self, track: MediaStreamTrack, stream: Any) -> None:  # noqa: ANN401
        shift: int | None = None
        patience = 0.0 if all(other.kind == "audio" for other in self._tracks) else _PATIENCE
        asyncio.get_running_loop().call_later(patience, self._framed.set)
        async for frame in _frames(track):
            if not isinstance(frame, AudioFrame) or not self._framed.is_set():
                continue
            if shift is None:
                shift = self._now() * frame.sample_rate // 1000 - (frame.pts or 0)
            frame.pts = (frame.pts or 0) + shift
            self._container.mux(stream.encode(frame))

    def _now(self) -> int:
        """Milliseconds since the beginning."""
        return int((time.monotonic() - self._begun) * 1000)


async def _frames(track: MediaStreamTrack) -> Any:  # noqa: ANN401 - an asynchronous iterator
    try:
        while True:
            yield await track.recv()
    except MediaStreamError:
        return


def _size(width: int, height: int) -> tuple[int, int]:
    """The size of a picture whose longer side is ``_LONGER_SIDE``; encoders take even numbers."""
    scale = _LONGER_SIDE / max(width, height)
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
