"""WADO-RS: studies, series, instances, their metadata, frames, bulk data and pictures, for whoever may see them.

PS3.18 10.4, https://dicom.nema.org/medical/dicom/current/output/html/part18.html#sect_10.4
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hayat_fhir.dicomweb import media_types
from hayat_fhir.dicomweb.answers import Held, Part, Stretch, file_part, gathered, held, multipart, ranged, single
from hayat_fhir.dicomweb.callers import Callers
from hayat_fhir.dicomweb.media_types import COMPRESSED, DICOM, ENCODED, EXPLICIT, NATIVE, OCTETS, UNCOMPRESSED, Range
from hayat_fhir.errors import InvalidRequest, NotAcceptable, NotFound, TooLarge
from hayat_fhir.imaging_process import ImagingProcesses
from hayat_fhir.services.frames import Frames
from hayat_fhir.services.retrieval import Retrieval, Retrieved
from hayat_fhir.services.viewing import Viewing

_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,6})?", re.ASCII)
_PLACE = re.compile(r"[0-9A-F]{8}(/[0-9]{1,6}/[0-9A-F]{8}){0,16}", re.ASCII | re.IGNORECASE)
_MOST_FRAMES = 1000
_LARGEST_FRAMES = 256 * 2**20
"""Bytes of frames in one answer."""
_MOST_TRANSCODED = 512
_LARGEST_VIEWPORT = 8192
_THUMBNAIL = (256, 256)
_FUNCTIONS = frozenset({"LINEAR", "LINEAR_EXACT", "SIGMOID"})
_ANNOTATIONS = frozenset({"patient", "technique"})
_BULK = b'"BulkDataURI":"'


class Wado:
    """Answers retrievals. ``root`` is the door's URL."""

    def __init__(self, callers: Callers, retrieval: Retrieval, processes: ImagingProcesses, root: str) -> None:
        self._callers = callers
        self._retrieval = retrieval
        self._processes = processes
        self._places = Frames(retrieval)
        self._viewing = Viewing(retrieval)
        self._root = root

    async def objects(self, request: Request) -> Response:
        """A study, a series or an instance: the files as they came, or in another transfer syntax where asked."""
        wanted = media_types.ranges(_accepted(request))
        images = await self._images(request)
        for one in wanted:
            if not (one.anything or one.multipart or one.media in {DICOM, "application/*"}):
                continue
            alone = not (one.anything or one.multipart)
            if alone and "instance" not in request.path_params:
                continue
            if one.anything or all(one.takes(DICOM, image.transfer_syntax) for image in images):
                parts = [file_part(image, self._url(image)) for image in images]
            elif (syntax := one.syntax or EXPLICIT) in ENCODED and one.takes(DICOM, syntax):
                parts = await self._transcoded(images, syntax)
            else:
                continue
            return single(parts[0]) if alone else multipart(parts, DICOM)
        raise NotAcceptable(
            "application/dicom is served as stored, in Explicit VR Little Endian, or coded without loss"
        )

    async def metadata(self, request: Request) -> Response:
        """The attributes of all images below, as an array of the DICOM JSON model."""
        media = media_types.json(_accepted(request))
        images = await self._images(request)
        found = [
            json.replace(_BULK, _BULK + f"{self._url(image)}/".encode())
            async for image, json in self._retrieval.metadata(images)
        ]
        return Response(b"[" + b",".join(found) + b"]", media_type=media)

    async def frames(self, request: Request) -> Response:
        """Frames of an image, as they are stored, decoded, or encoded anew without loss, as the client accepts."""
        wanted = media_types.ranges(_accepted(request))
        numbers = frame_numbers(request.path_params["frames"])
        (image,) = await self._images(request)
        for one in wanted:
            if (alone := not (one.anything or one.multipart)) and len(numbers) > 1:
                continue
            found = await self._frames(image, numbers, one)
            if found is not None:
                media, frames = found
                parts = [Part(media, frame, len(frame), f"{self._url(image)}/frames/{number}")
                         for number, frame in zip(numbers, frames, strict=True)]  # fmt: skip
                return await (held(parts[0]) if alone else gathered(parts, media.partition(";")[0]))
        raise NotAcceptable("frames are served as stored, as application/octet-stream, or encoded without loss")

    async def bulk_data(self, request: Request) -> Response:
        """One large value of the header, or all pixels."""
        place = request.path_params["place"]
        await self._callers.of(request)
        if _PLACE.fullmatch(place) is None:
            raise InvalidRequest("not the place of a value", code="value")
        (image,) = await self._images(request)
        value = b"".join(await self._processes.run("bulk", str(image.path), place=place.upper()))
        part = Part(OCTETS, value, len(value))
        for one in media_types.ranges(_accepted(request)):
            if one.anything or (one.multipart and one.takes(OCTETS, "")):
                return multipart([part], OCTETS)
            if one.media in {OCTETS, "application/*"}:
                # there is no validator that If-Range could name
                return ranged(
                    part, value, request.headers.get("range", "") if "if-range" not in request.headers else ""
                )
        raise NotAcceptable("only application/octet-stream is served here")

    async def rendered(self, request: Request) -> Response:
        """A frame as a picture: the first that is named, or the middle one."""
        return await self._picture(request, None)

    async def renderings(self, request: Request) -> Response:
        """Pictures of all images of a study or series, each a part; what has no pixels has none."""
        media = media_types.picture(_accepted(request))
        how = {**rendering(request.query_params, None), "format": media.removeprefix("image/").upper()}
        images = await self._images(request)
        if len(images) > _MOST_TRANSCODED:
            raise TooLarge("too many images to be shown at once")
        parts = []
        for image in images:
            try:
                (picture,) = await self._processes.run("rendered", str(image.path), number=None, how=how)
            except (NotFound, NotAcceptable):
                continue
            parts.append(Part(media, picture, len(picture), f"{self._url(image)}/rendered"))
        if not parts:
            raise NotFound("there is nothing to be shown")
        return multipart(parts, media)

    async def thumbnail(self, request: Request) -> Response:
        """A small picture of what stands in the middle of a study, series or instance, or nearest to it."""
        return await self._picture(request, _THUMBNAIL)

    async def _picture(self, request: Request, viewport: tuple[int, int] | None) -> Response:
        media = media_types.picture(_accepted(request))
        how = {**rendering(request.query_params, viewport), "format": media.removeprefix("image/").upper()}
        numbers = frame_numbers(request.path_params["frames"]) if "frames" in request.path_params else [None]
        images = await self._images(request)
        for image in _outward(images)[:_MOST_TRANSCODED]:
            try:
                (picture,) = await self._processes.run("rendered", str(image.path), number=numbers[0], how=how)
            except (NotFound, NotAcceptable):
                if len(images) == 1:
                    raise
                continue
            return Response(picture, media_type=media)
        raise NotFound("there is nothing to be shown")

    async def _frames(self, image: Retrieved, numbers: list[int], one: Range) -> tuple[str, Sequence[Held]] | None:
        path, syntax = str(image.path), image.transfer_syntax
        media = COMPRESSED.get(syntax)
        named = (one.part if one.multipart else one.media) not in {"*/*", ""}
        if media is not None and named and one.takes(media, syntax):
            return f"{media}; transfer-syntax={syntax}", await self._stored(image, numbers)
        for other in ENCODED - {EXPLICIT, syntax}:
            if named and one.takes(media := COMPRESSED[other], other):
                encoded = await self._processes.run("encoded", path, numbers=numbers, syntax=other)
                return f"{media}; transfer-syntax={other}", encoded
        if not (one.anything or one.multipart or one.media in {OCTETS, "application/*"}):
            return None
        if one.syntax == "*" and syntax not in UNCOMPRESSED and one.takes(OCTETS, syntax):
            return f"{OCTETS}; transfer-syntax={syntax}", await self._stored(image, numbers)
        if one.anything or one.takes(OCTETS, EXPLICIT):
            if syntax in NATIVE:
                return f"{OCTETS}; transfer-syntax={EXPLICIT}", await self._stored(image, numbers)
            return f"{OCTETS}; transfer-syntax={EXPLICIT}", await self._processes.run("decoded", path, numbers=numbers)
        return None

    async def _stored(self, image: Retrieved, numbers: list[int]) -> Sequence[Held]:
        """Frames as they are stored, from their places in the file where these are known."""
        places = await self._places.find(image, numbers)
        if places is None:
            return await self._processes.run("stored", str(image.path), numbers=numbers)
        stretches = [Stretch(image.path, ranges) for ranges in places]
        if sum(map(len, stretches)) > _LARGEST_FRAMES:
            raise TooLarge("too many bytes of frames are asked for at once")
        return stretches

    async def _transcoded(self, images: list[Retrieved], syntax: str) -> list[Part]:
        if len(images) > _MOST_TRANSCODED:
            raise TooLarge("too many images to be transcoded at once")
        parts = []
        for image in images:
            if image.transfer_syntax == syntax:
                parts.append(file_part(image, self._url(image)))
                continue
            content, made = await self._processes.run("transcoded", str(image.path), syntax=syntax)
            parts.append(Part(f"{DICOM}; transfer-syntax={made.decode()}", content, len(content), self._url(image)))
        return parts

    async def _images(self, request: Request) -> list[Retrieved]:
        caller = await self._callers.of(request)
        names = request.path_params
        if "instance" in names:
            return [await self._viewing.image(caller, names["study"], names["series"], names["instance"])]
        return await self._retrieval.images(caller, names["study"], names.get("series"))

    def _url(self, image: Retrieved) -> str:
        return f"{self._root}/studies/{image.study}/series/{image.series}/instances/{image.uid}"


def rendering(asked: Any, viewport: tuple[int, int] | None) -> dict[str, Any]:  # noqa: ANN401 - query parameters
    """The parameters of a rendering.

    Raises:
        InvalidRequest: One is malformed.
    """
    found: dict[str, Any] = {"viewport": viewport}
    if "window" in asked:
        found["window"] = _window(asked["window"])
    if "viewport" in asked:
        found["viewport"], found["region"] = _viewport(asked["viewport"])
    if "quality" in asked:
        if _NUMBER.fullmatch(asked["quality"]) is None or int(asked["quality"]) > 100:
            raise InvalidRequest("a quality is 1 to 100", code="value", expression=["quality"])
        found["quality"] = int(asked["quality"])
    if asked.get("annotation"):
        kinds = asked["annotation"].split(",")
        if not set(kinds) <= _ANNOTATIONS:
            raise InvalidRequest("annotation is patient, technique", code="value", expression=["annotation"])
        found["annotation"] = kinds
    return {name: value for name, value in found.items() if value is not None}


def _outward(images: Sequence[Retrieved]) -> list[Retrieved]:
    """From the middle to both ends."""
    middle = len(images) // 2
    return [images[at] for at in sorted(range(len(images)), key=lambda at: abs(at - middle))]


def _window(text: str) -> list[float | str]:
    """PS3.18 8.3.5.1.4; how narrow it may be is its function's (PS3.3 C.11.2.1.2.1, C.11.2.1.3)."""
    center, width, function = (*text.split(","), "LINEAR", "", "")[:3]
    function = function.upper().replace("-", "_")
    if not (_DECIMAL.fullmatch(center) and _DECIMAL.fullmatch(width)) or function not in _FUNCTIONS:
        raise InvalidRequest("a window is center,width,function", code="value", expression=["window"])
    if float(width) <= 0 or (function == "LINEAR" and float(width) < 1):
        line = "a linear window is at least 1 wide, any other more than 0"
        raise InvalidRequest(line, code="value", expression=["window"])
    return [float(center), float(width), function]


def _viewport(text: str) -> tuple[list[int], list[float | None] | None]:
    """Width and height, and the region of the source that is to be seen there (PS3.18 8.3.5.1.3)."""
    sides, region = text.split(",")[:2], text.split(",")[2:]
    whole = len(sides) == 2 and all(_NUMBER.fullmatch(side) and int(side) <= _LARGEST_VIEWPORT for side in sides)
    if not whole or len(region) > 4 or not all(side == "" or _DECIMAL.fullmatch(side) for side in region):
        raise InvalidRequest("a viewport is width,height,x,y,width,height", code="value", expression=["viewport"])
    left, top, width, height = (*(float(side) if side else None for side in region), *[None] * 4)[:4]
    return [int(side) for side in sides], [left or 0.0, top or 0.0, width, height] if region else None


def _accepted(request: Request) -> str:
    return media_types.accepted(request.query_params, request.headers)


def frame_numbers(text: str) -> list[int]:
    """The numbers of frames in a path.

    Raises:
        InvalidRequest: They are none, or too many.
    """
    numbers = text.replace("%2C", ",").split(",")
    if len(numbers) > _MOST_FRAMES or not all(_NUMBER.fullmatch(number) for number in numbers):
        raise InvalidRequest("frames are numbers from 1, separated by commas", code="value")
    return [int(number) for number in numbers]
