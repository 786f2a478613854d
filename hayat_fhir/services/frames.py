"""Where frames lie in their files, as it was found out once for each image; this process remembers it for a while."""

from __future__ import annotations

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


def read(path: Path, ranges: Ranges) -> bytes:
    """The bytes of a frame.

    Raises:
        NotFound: The file ends before.
    """
    with path.open("rb", buffering=0) as file:
        pieces = []
        for offset, length in ranges:
            file.seek(offset)
            pieces.append(file.read(length))
    found = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if len(found) != sum(length for _, length in ranges):
        raise NotFound("the pixel data end before this frame")
    return found


def _pieces(layout: dict[str, Any] | None) -> int:
    return 1 + sum(len(one) for one in (layout or {}).get("fragments", ()))
