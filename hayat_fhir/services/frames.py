"""Where frames lie in their files, as it was found out once for each image; this process remembers it for a while."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from hayat_fhir.errors import NotFound
from hayat_fhir.services.retrieval import Retrieval, Retrieved

Ranges = tuple[tuple[int, int], ...]
"""Offset and bytes of each piece of a frame."""
_REMEMBERED = 200_000
"""Pieces of the images that are remembered together."""
_AT_ONCE = 4 * 2**20
"""Bytes that may be copied while everybody else waits."""


class Frames:
    """Finds frames. Belongs to one event loop."""

    def __init__(self, retrieval: Retrieval) -> None:
        self._retrieval = retrieval
        self._layouts: OrderedDict[str, dict[str, Any] | None] = OrderedDict()
        self._pieces = 0

    async def find(self, image: Retrieved, numbers: Sequence[int]) -> list[Ranges] | None:
        """Where these frames, counted from 1, lie; None where they do not lie there as they are to be served.

        Raises:
            NotFound: There is no such frame.
            Refusal: The object cannot be read.
        """
        layout = await self._layout(image)
        if layout is None:
            return None
        fragments = layout.get("fragments")
        if max(numbers) > (layout["count"] if fragments is None else len(fragments)):
            raise NotFound("there is no such frame")
        if fragments is None:
            return [((layout["start"] + (number - 1) * layout["length"], layout["length"]),) for number in numbers]
        chosen = (fragments[number - 1] for number in numbers)
        return [tuple(zip(pieces[::2], pieces[1::2], strict=True)) for pieces in chosen]

    async def _layout(self, image: Retrieved) -> dict[str, Any] | None:
        key = f"{image.uid}|{image.path}"
        if key in self._layouts:
            self._layouts.move_to_end(key)
            return self._layouts[key]
        found: dict[str, Any] | None = orjson.loads(await self._retrieval.layout(image))
        if key not in self._layouts:
            self._layouts[key] = found
            self._pieces += _pieces(found)
        while self._pieces > _REMEMBERED:
            self._pieces -= _pieces(self._layouts.popitem(last=False)[1])
        return found


async def read_into(path: Path, ranges: Ranges, into: memoryview) -> None:
    """Fill ``into`` with the bytes of a frame: at once where the system has them in memory, else in a thread.

    Raises:
        NotFound: The file ends before.
    """
    if len(into) > _AT_ONCE or not _read(path, ranges, into, os.RWF_NOWAIT):
        await asyncio.to_thread(_read, path, ranges, into, 0)


def _read(path: Path, ranges: Ranges, into: memoryview, flags: int) -> bool:
    """False where the flags forbid to wait for the disk, and it must be waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        at = 0
        for start, length in ranges:
            offset, end = start, at + length
            while at < end:
                count = os.preadv(descriptor, [into[at:end]], offset, flags)
                if count == 0:
                    raise NotFound("the pixel data end before this frame")
                at, offset = at + count, offset + count
    except OSError:
        if flags:
            return False
        raise
    finally:
        os.close(descriptor)
    return True


def _pieces(layout: dict[str, Any] | None) -> int:
    return 1 + sum(len(one) for one in (layout or {}).get("fragments", ()))
