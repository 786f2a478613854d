"""What a recorder writes is what was sent, in the shape and at the pace in which it was sent."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import av
import pytest
from aiortc import MediaStreamTrack

from hayat_fhir.realtime.webm import Webm
from tests.realtime.headless import Picture, Tone


async def _recorded(seconds: float, *tracks: MediaStreamTrack) -> dict[str, list[Any]]:
    """The frames of a recording, by kind."""
    file = io.BytesIO()
    recorder = Webm(file)
    for track in tracks:
        recorder.add(track)
    recorder.start()
    await asyncio.sleep(seconds)
    await recorder.stop()
    for track in tracks:
        track.stop()
    found: dict[str, list[Any]] = {"audio": [], "video": []}
    with av.open(io.BytesIO(file.getvalue())) as played:
        for frame in played.decode():
            found["video" if isinstance(frame, av.VideoFrame) else "audio"].append(frame)
    return found


@pytest.mark.parametrize(
    ("sent", "written"), [((160, 120), (640, 480)), ((90, 160), (360, 640)), ((320, 180), (640, 360))]
)
async def test_pictures_keep_their_shape(sent: tuple[int, int], written: tuple[int, int]) -> None:
    """Wide, and upright as a telephone sends them; sound and pictures are about as long as the recording."""
    found = await _recorded(2, Tone(), Picture(width=sent[0], height=sent[1]))
    assert {(frame.width, frame.height) for frame in found["video"]} == {written}
    for frames in found.values():
        assert 0.5 < frames[-1].time - frames[0].time <= 2.5


async def test_one_kind_alone_is_recorded() -> None:
    """A call without a camera, and one without a microphone."""
    heard, seen = await asyncio.gather(_recorded(1, Tone()), _recorded(1, Picture()))
    assert (len(heard["audio"]) > 10, heard["video"]) == (True, [])
    assert (seen["audio"], len(seen["video"]) > 5) == ([], True)
