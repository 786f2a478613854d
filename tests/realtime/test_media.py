"""Two peers that see and hear each other, and the check of camera and microphone before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiortc import RTCSessionDescription
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed

from tests.realtime.conftest import Connect, Person, Served, until
from tests.realtime.headless import Picture, Received, Tone, answer, call, connection
from tests.realtime.peerjs import Peers
from tests.realtime.test_consultations import active


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    """Connections that are closed after the test."""
    peers = Peers()
    yield peers
    await peers.close()


async def test_two_peers_see_and_hear_each_other(served: Served, connect: Connect, peers: Peers) -> None:
    """Media flows both ways once the signalling server has passed offer and answer on."""
    doctor, patient, _, _, consultation = await active(served, connect)
    one = await peers.of(patient, served.urls[0], consultation["id"])
    two = await peers.of(doctor, served.urls[1], consultation["id"])
    calling, called = connection(Tone(), Picture()), connection(Tone(), Picture())
    heard = [Received(calling), Received(called)]
    await asyncio.gather(call(one, calling, two.id), answer(two, called))
    await until(lambda: all(side.both for side in heard))
    for side in heard:
        await side.stop()
    await calling.close()
    await called.close()


async def test_media_of_another_key_than_the_signalled_one_is_dropped(
    served: Served, connect: Connect, peers: Peers
) -> None:
    """DTLS fails where the fingerprint in the SDP is not the certificate's."""
    doctor, patient, _, _, consultation = await active(served, connect)
    one = await peers.of(patient, served.url, consultation["id"])
    two = await peers.of(doctor, served.url, consultation["id"])
    calling, called = connection(Tone(), Picture()), connection(Tone(), Picture())
    heard = Received(called)

    async def forged() -> None:
        await calling.setLocalDescription(await calling.createOffer())
        lines = calling.localDescription.sdp.split("\r\n")
        sdp = "\r\n".join(
            line[:-2] + ("00" if line[-2:] != "00" else "11") if line.startswith("a=fingerprint") else line
            for line in lines
        )
        payload = {"sdp": {"sdp": sdp, "type": "offer"}, "type": "media", "connectionId": "mc_forged"}
        await one.send("OFFER", two.id, payload)
        description = (await one.next())["payload"]["sdp"]
        await calling.setRemoteDescription(RTCSessionDescription(description["sdp"], description["type"]))

    await asyncio.gather(forged(), answer(two, called))
    await until(lambda: called.connectionState in {"failed", "closed"})
    assert heard.frames == {"audio": 0, "video": 0}
    await heard.stop()
    await calling.close()
    await called.close()


async def _check(person: Person, url: str, *tracks: Any) -> tuple[list[dict[str, Any]], Received]:
    """What a device check with these devices tells, up to the verdict."""
    made = connection(*tracks)
    heard = Received(made)
    told: list[dict[str, Any]] = []
    where = f"{url.replace('http', 'ws', 1)}/realtime/device-check"
    async with open_socket(where, proxy=None) as socket:
        await socket.send(json.dumps({"token": person.token}))
        await made.setLocalDescription(await made.createOffer())
        await socket.send(json.dumps({"type": "offer", "sdp": made.localDescription.sdp}))
        async with asyncio.timeout(60):
            while not told or told[-1]["type"] not in {"verdict", "refused"}:
                told.append(json.loads(await socket.recv()))
                if told[-1]["type"] == "answer":
                    await made.setRemoteDescription(RTCSessionDescription(told[-1]["sdp"], "answer"))
    await heard.stop()
    await made.close()
    return told, heard


async def test_good_devices_are_echoed_and_found_good(served: Served) -> None:
    """With a level that moves, frames that come, and everything sent back."""
    told, heard = await _check(await served.person("patient"), served.url, Tone(), Picture())
    assert told[-1] == {"type": "verdict", "microphone": "good", "camera": "good"}
    levels = [one for one in told if one["type"] == "level"]
    assert max(one["audio"] for one in levels) > 0.3
    assert max(one["video"] for one in levels) > 5
    assert heard.both


async def test_dead_devices_are_found(served: Served) -> None:
    """A silent microphone and a frozen camera; and a camera that is not there."""
    patient = await served.person("patient")
    dead, deaf = await asyncio.gather(
        _check(patient, served.url, Tone(silent=True), Picture(frozen=True)), _check(patient, served.url, Tone())
    )
    assert dead[0][-1] == {"type": "verdict", "microphone": "silent", "camera": "frozen"}
    assert deaf[0][-1] == {"type": "verdict", "microphone": "good", "camera": "missing"}


@pytest.mark.parametrize("first", ["", "[]", "{}", '{"token": "nonsense"}', '{"token": 1}'])
async def test_a_device_check_needs_a_token(served: Served, first: str) -> None:
    """In the first message."""
    where = f"{served.url.replace('http', 'ws', 1)}/realtime/device-check"
    async with open_socket(where, proxy=None) as socket:
        await socket.send(first)
        assert json.loads(await socket.recv())["type"] == "refused"
        with pytest.raises(ConnectionClosed):
            await socket.recv()


async def test_an_offer_that_is_none_is_refused(served: Served) -> None:
    """The media process tells the type of its fault, and the next check works."""
    patient = await served.person("patient")
    where = f"{served.url.replace('http', 'ws', 1)}/realtime/device-check"
    for offer in ({"type": "answer", "sdp": "v=0"}, {"type": "offer", "sdp": "nonsense\r\nm=x"}):
        async with open_socket(where, proxy=None) as socket:
            await socket.send(json.dumps({"token": patient.token}))
            await socket.send(json.dumps(offer))
            async with asyncio.timeout(60):
                assert json.loads(await socket.recv())["type"] == "refused"
