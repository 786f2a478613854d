"""Reading multipart/related bodies as they come: parts of any size, without a copy of any in memory.

RFC 2387, RFC 2046 5.1; PS3.18 8.6.1.2.1.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from hayat_fhir.errors import InvalidRequest, TooLarge

_LONGEST_HEAD = 8 * 1024
_LONGEST_BOUNDARY = 128
"""RFC 2046 allows 70 characters; Orthanc's DICOMweb plugin sends 73."""


@dataclass(slots=True)
class Piece:
    """Bytes of a part. ``head`` holds its fields in the first piece of each part; ``last`` ends it."""

    content: bytes
    head: dict[str, str] | None = None
    last: bool = False


def boundary_of(parameters: dict[str, str]) -> bytes:
    """The boundary of a multipart media type.

    Raises:
        InvalidRequest: There is none, or it is malformed.
    """
    text = parameters.get("boundary", "")
    if not 0 < len(text) <= _LONGEST_BOUNDARY or not text.isascii() or not text.isprintable():
        raise InvalidRequest("multipart/related without a boundary", code="structure")
    return text.encode()


@dataclass(slots=True)
class Reader:
    """Cuts a stream at its boundaries."""

    stream: AsyncIterator[bytes]
    boundary: bytes
    _held: bytearray = field(default_factory=bytearray)

    async def pieces(self) -> AsyncIterator[Piece]:
        """The pieces of all parts.

        Raises:
            InvalidRequest: The body is not multipart, or ends too soon.
            TooLarge: The head of a part is too long.
        """
        await self._skip_preamble()
        while await self._begins():
            head = await self._head()
            first: dict[str, str] | None = head
            async for content, last in self._content():
                yield Piece(content, first, last)
                first = None

    async def _more(self) -> bool:
        chunk = await anext(self.stream, b"")
        self._held += chunk
        return bool(chunk)

    async def _until(self, length: int) -> None:
        while len(self._held) < length:
            if not await self._more():
                raise InvalidRequest("the body ends within a part", code="structure")

    async def _skip_preamble(self) -> None:
        opening = b"--" + self.boundary
        while (place := self._held.find(opening)) < 0:
            if len(self._held) > _LONGEST_HEAD:
                raise InvalidRequest("no part begins", code="structure")
            if not await self._more():
                raise InvalidRequest("no part begins", code="structure")
        del self._held[: place + len(opening)]

    async def _begins(self) -> bool:
        """Whether another part follows the boundary that has just been read; blanks after it are padding."""
        await self._until(2)
        if self._held[:2] == b"--":
            return False
        while (place := self._held.find(b"\r\n", 0, _LONGEST_HEAD)) < 0 and len(self._held) < _LONGEST_HEAD:
            await self._until(len(self._held) + 1)
        if place < 0 or self._held[:place].strip(b" \t"):
            raise InvalidRequest("a boundary does not end its line", code="structure")
        del self._held[:place]
        return True

    async def _head(self) -> dict[str, str]:
        while (place := self._held.find(b"\r\n\r\n")) < 0:
            if len(self._held) > _LONGEST_HEAD:
                raise TooLarge("the head of a part is too long")
            if not await self._more():
                raise InvalidRequest("the body ends within a part", code="structure")
        lines = bytes(self._held[2:place]).decode("latin-1").split("\r\n")
        del self._held[: place + 4]
        fields = (line.partition(":") for line in lines if line)
        return {name.strip().lower(): value.strip() for name, _, value in fields}

    async def _content(self) -> AsyncIterator[tuple[bytes, bool]]:
        """The content up to the next boundary; the last of it comes with True."""
        closing = b"\r\n--" + self.boundary
        while (place := self._held.find(closing)) < 0:
            safe = len(self._held) - len(closing) + 1
            if safe > 0:
                yield bytes(self._held[:safe]), False
                del self._held[:safe]
            if not await self._more():
                raise InvalidRequest("the body ends within a part", code="structure")
        content = bytes(self._held[:place])
        del self._held[: place + len(closing)]
        yield content, True
