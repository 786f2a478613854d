"""Datagrams of strangers to the ports of a call, and TURN servers asked for more than a call."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from typing import Any

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from websockets.asyncio.client import connect as open_socket

from tests.realtime.conftest import Served, until
from tests.realtime.headless import Picture, Received, Tone, connection


def _client_hello(version: bytes, ciphers: bytes) -> bytes:
    """A DTLS ClientHello (RFC 6347, section 4.2) that offers these cipher suites."""
    body = version + os.urandom(32) + b"\x00\x00" + struct.pack(">H", len(ciphers)) + ciphers + b"\x01\x00"
    length = len(body).to_bytes(3, "big")
    handshake = b"\x01" + length + b"\x00\x00" + b"\x00\x00\x00" + length + body
    return b"\x16" + version + b"\x00" * 8 + struct.pack(">H", len(handshake)) + handshake


_DATAGRAMS = {
    "client-hello": [_client_hello(b"\xfe\xfd", b"\xc0\x2b\xc0\x2f")],
    "null-cipher": [_client_hello(b"\xfe\xff", b"\x00\x00\x00\x01\x00\x02")],
    "dtls": [b"\x15\xfe\xfd" + b"\x00" * 8 + b"\x00\x02\x02\x28", b"\x17\xfe\xfd" + b"\x00" * 40, b"\x16" * 900],
    "srtp": [b"\x80\x60" + os.urandom(size) for size in (1, 10, 200, 1200)],
    "srtcp": [b"\x80" + bytes([kind]) + os.urandom(size) for kind in (200, 201, 205, 206) for size in (2, 26, 600)],
    "stun": [b"\x00\x01\x00\x00\x21\x12\xa4\x42" + os.urandom(12), b"\x00\x01" + os.urandom(18), b"", b"\x00"],
}


class _Flood:
    """Sends datagrams from a port of its own, about 2,000 a second, until told to stop."""

    def __init__(self, datagrams: list[bytes], targets: list[tuple[str, int]]) -> None:
        self._datagrams = datagrams
        self._targets = targets
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while True:
                for _ in range(20):
                    for target in self._targets:
                        for datagram in self._datagrams:
                            sender.sendto(datagram, target)
                await asyncio.sleep(0.02 * len(self._datagrams) * len(self._targets))

    async def stop(self) -> None:
        """Stop."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def _targets(sdp: str) -> list[tuple[str, int]]:
    """The IPv4 host candidates of a description."""
    found = [line.split() for line in sdp.splitlines() if line.startswith("a=candidate") and " udp " in line.lower()]
    return sorted({(words[4], int(words[5])) for words in found if ":" not in words[4]})


@pytest.mark.parametrize("kind", ["rtp", "rtcp", "sctp"])
async def test_what_the_other_side_sends_may_be_anything(served: Served, kind: str) -> None:
    """Under the keys of the call: the check goes on to its verdict; only RTP of one's own spoils one's own sound."""
    person = await served.person("patient")
    made = connection(Tone(), Picture())
    made.createDataChannel("garbage")
    heard = Received(made)
    sending: asyncio.Task[None] | None = None
    verdict: dict[str, Any] = {}
    where = f"{served.url.replace('http', 'ws', 1)}/realtime/device-check"
    async with open_socket(where, proxy=None) as told:
        await told.send(json.dumps({"token": person.token}))
        await made.setLocalDescription(await made.createOffer())
        await told.send(json.dumps({"type": "offer", "sdp": made.localDescription.sdp}))
        async with asyncio.timeout(60):
            while verdict.get("type") != "verdict":
                verdict = json.loads(await told.recv())
                if verdict["type"] == "answer":
                    await made.setRemoteDescription(RTCSessionDescription(verdict["sdp"], "answer"))
                    sending = asyncio.create_task(_garbage(made, kind))
    assert sending is not None
    assert not sending.done()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await heard.stop()
    await made.close()
    assert kind == "rtp" or (verdict == {"type": "verdict", "microphone": "good", "camera": "good"} and heard.both)


async def _garbage(made: RTCPeerConnection, kind: str) -> None:
    """Packets that are encrypted as they should be, and make no sense; about 1,000 a second."""
    await until(lambda: made.connectionState == "connected")
    senders = made.getSenders()
    while True:
        for sender in senders:
            transport: Any = sender.transport
            for size in (8, 60, 900):
                match kind:
                    case "rtp":
                        for payload_type in (96, 97, 0, 127):
                            await transport._send_rtp(bytes([0x80, payload_type]) + os.urandom(10 + size))
                    case "rtcp":
                        for packet_type in (200, 201, 202, 205, 206):
                            header = struct.pack(">BBHI", 0x81, packet_type, size // 4, 1)
                            await transport._send_rtp(header + os.urandom(size))
                    case _:
                        await transport._send_data(os.urandom(size))
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", _DATAGRAMS)
async def test_strangers_datagrams_do_not_disturb_a_connection(served: Served, kind: str) -> None:
    """From before the handshake until after the verdict: what does not come from the other side is not looked at."""
    person = await served.person("patient")
    made = connection(Tone(), Picture())
    heard = Received(made)
    flood: _Flood | None = None
    verdict: dict[str, Any] = {}
    where = f"{served.url.replace('http', 'ws', 1)}/realtime/device-check"
    async with open_socket(where, proxy=None) as told:
        await told.send(json.dumps({"token": person.token}))
        await made.setLocalDescription(await made.createOffer())
        await told.send(json.dumps({"type": "offer", "sdp": made.localDescription.sdp}))
        async with asyncio.timeout(60):
            while verdict.get("type") != "verdict":
                verdict = json.loads(await told.recv())
                if verdict["type"] == "answer":
                    targets = _targets(verdict["sdp"])
                    assert targets
                    flood = _Flood(_DATAGRAMS[kind], targets)
                    await asyncio.sleep(0.3)
                    await made.setRemoteDescription(RTCSessionDescription(verdict["sdp"], "answer"))
    assert flood is not None
    await flood.stop()
    await heard.stop()
    await made.close()
    assert verdict == {"type": "verdict", "microphone": "good", "camera": "good"}
    assert heard.both
