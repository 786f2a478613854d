"""Pictures that people upload: only their pixels are kept, whatever else is in the file."""

from __future__ import annotations

import asyncio
from io import BytesIO

from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

from hayat_fhir.errors import InvalidRequest

_FORMATS = ("JPEG", "PNG", "WEBP")
_MOST_PIXELS = 40_000_000
_SIDE = 512
_QUALITY = 85
_GATE = 1

MEDIA = "image/jpeg"


class PhotoEncoder:
    """Re-encodes pictures, one at a time. Belongs to one event loop."""

    def __init__(self) -> None:
        self._gate = asyncio.Semaphore(_GATE)

    async def encode(self, data: bytes) -> bytes:
        """The picture as JPEG of at most 512 x 512 pixels, upright, without metadata.

        Raises:
            InvalidRequest: Not a JPEG, PNG or WebP picture, or one of too many pixels.
        """
        async with self._gate:
            return await asyncio.to_thread(_encoded, data)


def default_picture() -> bytes:
    """What stands for a doctor who has given no picture: head and shoulders."""
    image = Image.new("RGB", (256, 256), "#e2e8f0")
    draw = ImageDraw.Draw(image)
    draw.ellipse((84, 48, 172, 136), fill="#94a3b8")
    draw.ellipse((36, 156, 220, 340), fill="#94a3b8")
    return _saved(image)


def _encoded(data: bytes) -> bytes:
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise InvalidRequest("the picture has too many pixels", code="too-long", expression=["photo"])
            image.draft("RGB", (_SIDE, _SIDE))
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((_SIDE, _SIDE))
            return _saved(upright.convert("RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise InvalidRequest("must be a JPEG, PNG or WebP picture", code="value", expression=["photo"]) from error


def _saved(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
