"""Signalling frames for peers that are not there yet: few, and not for long."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

_LONGEST = 5.0
_MOST = 100

Frame = dict[str, Any]


@dataclass(slots=True)
class _Kept:
    """Frames from one peer to another, since the first of them."""

    since: float
    frames: list[Frame] = field(default_factory=list)


class Waiting:
    """What the peers of this process have said to such peers: at most 100 frames of each, five seconds long."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], _Kept] = {}

    def keep(self, source: str, target: str, frame: Frame) -> None:
        """Hold a frame until its receiver comes; what is too much is dropped."""
        kept = self._kept.setdefault((source, target), _Kept(time.monotonic()))
        if sum(len(some.frames) for (other, _), some in self._kept.items() if other == source) < _MOST:
            kept.frames.append(frame)

    def is_for(self, target: str) -> bool:
        """Whether something waits for this peer."""
        return any(to == target for _, to in self._kept)

    def take(self, target: str) -> list[tuple[str, list[Frame]]]:
        """What waits for a peer, by its senders; it waits no more."""
        found = [key for key in self._kept if key[1] == target]
        return [(source, self._kept.pop((source, target)).frames) for source, target in found]

    def expired(self) -> list[tuple[str, str]]:
        """Senders and receivers of what has waited too long, and is dropped."""
        now = time.monotonic()
        late = [key for key, kept in self._kept.items() if now - kept.since > _LONGEST]
        for key in late:
            del self._kept[key]
        return late
