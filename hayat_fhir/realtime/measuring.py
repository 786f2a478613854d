"""The server's side of a device check: what comes is measured, and sent back as it is.

Imported by the media process alone, for it needs aiortc.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from aiortc import MediaStreamTrack
from av import AudioFrame, VideoFrame

_FLOOR = 60.0
"""Decibels below full scale that count as nothing."""
_AUDIBLE = 0.08
_MOVING = 0.02
_SAMPLES = 32


class Microphone(MediaStreamTrack):
    """Echoes sound, and knows how loud it was."""

    kind = "audio"

    def __init__(self, source: MediaStreamTrack) -> None:
        super().__init__()
        self._source = source
        self.level = 0.0
        self.loudest = 0.0

    async def recv(self) -> Any:  # noqa: ANN401 - a frame of PyAV
        """The next frame, as it came."""
        frame = await self._source.recv()
        if isinstance(frame, AudioFrame):
            self.level = max(_level(frame.to_ndarray()), self.level * 0.8)
            self.loudest = max(self.loudest, self.level)
        return frame

    @property
    def verdict(self) -> str:
        """Whether anything could be heard."""
        return "good" if self.loudest >= _AUDIBLE else "silent"


class Camera(MediaStreamTrack):
    """Echoes pictures, and knows how many came and whether they changed."""

    kind = "video"

    def __init__(self, source: MediaStreamTrack) -> None:
        super().__init__()
        self._source = source
        self._last: Any = None
        self.frames = 0
        self.changed = 0

    async def recv(self) -> Any:  # noqa: ANN401 - a frame of PyAV
        """The next frame, as it came."""
        frame = await self._source.recv()
        if isinstance(frame, VideoFrame):
            self.frames += 1
            sample = np.asarray(frame.reformat(_SAMPLES, _SAMPLES, "gray").to_ndarray(), np.int16)
            if self._last is not None and float(np.abs(sample - self._last).mean()) > _MOVING:
                self.changed += 1
            self._last = sample
        return frame

    @property
    def verdict(self) -> str:
        """Whether pictures came, and not always the same one."""
        return "missing" if not self.frames else "good" if self.changed else "frozen"


def _level(samples: Any) -> float:  # noqa: ANN401 - an array of numpy
    """Loudness between 0 (60 dB below full scale) and 1."""
    values = np.asarray(samples, np.float64)
    power = float(np.sqrt(np.mean(values * values))) / 32768 if values.size else 0.0
    return 0.0 if power <= 0 else min(max((20 * math.log10(power) + _FLOOR) / _FLOOR, 0.0), 1.0)
