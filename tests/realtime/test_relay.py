"""The last resort: two sides that reach the site alone see and hear each other through it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.realtime.conftest import Browser, Connect, Served, until
from tests.realtime.headless import Picture, Received, Tone, call, connection
from tests.realtime.peerjs import Peers
from tests.realtime.test_consultations import active


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    """Connections that are closed after the test."""
    peers = Peers()
    yield peers
    await peers.close()


async def _relay(browser: Browser) -> str:
    (told,) = await browser.told("consultation", lambda told: told["relay"] is not None)
    return str(told["relay"])


async def test_the_site_passes_media_on_between_the_two_sides(served: Served, connect: Connect, peers: Peers) -> None:
    """Each calls the relay alone, and gets the other's pictures and sound; a new call takes the place of the older."""
    doctor, patient, practice, home, consultation = await active(served, connect)
    id = consultation["id"]
    one = await peers.of(patient, served.urls[0], id)
    two = await peers.of(doctor, served.urls[1], id)
    async with patient.at(served.urls[0]) as http:
        relay = (await http.post(f"/realtime/consultations/{id}/relay")).json()["relay"]
    async with doctor.at(served.urls[1]) as http:
        assert (await http.post(f"/realtime/consultations/{id}/relay")).json()["relay"] == relay
    assert await _relay(home) == await _relay(practice) == relay
    made = [connection(Tone(), Picture()), connection(Tone(), Picture()), connection(Tone(), Picture())]
    heard = [Received(each) for each in made]
    await call(one, made[0], relay, "mc_patient")
    await call(two, made[1], relay, "mc_doctor")
    await until(lambda: heard[0].both and heard[1].both)
    await call(one, made[2], relay, "mc_again")
    before = dict(heard[1].frames)
    await until(lambda: heard[2].both and heard[1].frames["video"] > before["video"] + 20)
    await until(lambda: made[0].connectionState == "closed")
    async with doctor.at(served.url) as http:
        await http.post(f"/realtime/consultations/{id}/end")
    await until(lambda: all(each.connectionState == "closed" for each in made))
    for side, each in zip(heard, made, strict=True):
        await side.stop()
        await each.close()
    (over,) = await home.told("consultation", lambda told: told["state"] == "ended")
    assert over["relay"] is None


async def test_only_the_two_sides_ask_for_a_relay(served: Served, connect: Connect, peers: Peers) -> None:
    """Nobody else, and nobody after the end; and the relay answers nobody else."""
    doctor, _, _, _, consultation = await active(served, connect)
    path = f"/realtime/consultations/{consultation['id']}"
    stranger, consultant = await served.person("patient"), await served.person("doctor")
    async with stranger.at(served.url) as http:
        assert (await http.post(f"{path}/relay")).status_code == 404
    browser = await connect(consultant)
    await browser.call("online-user")
    async with doctor.at(served.url) as http, consultant.at(served.url) as invited:

        async def asked() -> bool:
            return (await http.post(f"{path}/invite", json={"doctor": consultant.id})).status_code == 200

        await until(asked)
        assert (await invited.post(f"{path}/relay")).status_code == 403
        relay = (await http.post(f"{path}/relay")).json()["relay"]
        third = await peers.of(consultant, served.url, consultation["id"])
        offer = {"sdp": {"type": "offer", "sdp": "v=0"}, "type": "media", "connectionId": "mc_third"}
        await third.send("OFFER", relay, offer)
        assert await third.silent()
        await http.post(f"{path}/end")
        assert (await http.post(f"{path}/relay")).status_code == 409
