"""What a call's media takes where the two do not reach each other, or must not know each other's addresses."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from pydantic import SecretStr

from tests.realtime.conftest import Served, serving
from tests.realtime.turn_server import SECRET, arguments, turn_server

from .conftest import Hospital, Person, Visits
from .test_calls import hung_up, met, sees_and_hears, until

_ADDRESS = re.compile(r"candidate:\S+ \d+ \S+ \d+ (\S+) \d+ typ|raddr (\S+)|IN IP[46] ([^\s\\]+)")
"""In candidates and session descriptions: https://www.rfc-editor.org/rfc/rfc8839#section-5.1."""
_UNTOLD = "0.0.0.0"  # noqa: S104 - what browsers write in the place of an address
_NOWHERE = """(() => {
    const real = RTCPeerConnection.prototype.addIceCandidate;
    RTCPeerConnection.prototype.addIceCandidate = function (candidate) {
        const words = candidate?.candidate?.split(" ") ?? [];
        if (words.length < 6) return real.call(this, candidate);
        [words[4], words[5]] = ["192.0.2.1", "9"];
        return real.call(this, { ...candidate.toJSON?.() ?? candidate, candidate: words.join(" ") });
    };
})()"""
"""Candidates of the other browser lead nowhere; those of the site are in its answer."""
_WATCHED = """(() => {
    const Real = RTCPeerConnection;
    window.made = [];
    window.RTCPeerConnection = class extends Real {
        constructor(...given) {
            super(...given);
            made.push(this);
        }
    };
})()"""
_OVER_TURN = """async () => {
    const kinds = await Promise.all(made.map(async (connection) => {
        const stats = await connection.getStats();
        const kind = (id) => stats.get(id)?.candidateType;
        return [...stats.values()]
            .filter((one) => one.type === "candidate-pair" && one.state === "succeeded" && one.nominated)
            .map((pair) => `${kind(pair.localCandidateId)} ${kind(pair.remoteCandidateId)}`);
    }));
    return kinds.flat().includes("relay relay");
}"""
"""Whether a connection of the page goes from one TURN relay to another."""


def test_the_site_is_the_last_resort(visits: Visits, hospital: Hospital) -> None:
    """Where no candidate of the other side leads anywhere, both see and hear each other through the site's relay."""

    def open_page(path: str, person: Person, **options: Any) -> Page:
        page = visits.open(path, person, **options)
        page.evaluate(_NOWHERE)
        return page

    practice, home = met(open_page, hospital)
    for page in (practice, home):
        sees_and_hears(page)
    id = practice.url.rpartition("/")[2]
    with hospital.http(hospital.patient) as http:
        assert http.get(f"/realtime/consultations/{id}").json()["relay"]
    hung_up(practice, home)


@contextmanager
def _peopled(mongodb_url: str, folder: Path, **more: Any) -> Iterator[Hospital]:
    """A site with further settings, and a doctor and a patient."""
    with serving(mongodb_url, folder, **more) as served:
        doctor, patient = (_person(served, role) for role in ("doctor", "patient"))
        yield Hospital(served.url, patient, patient, doctor, doctor, {}, 0, "", "")


def _person(served: Served, role: str) -> Person:
    made = asyncio.run_coroutine_threadsafe(served.made(role), served.loop).result(60)
    return Person(role, made.email, f"Test {role}", made.id, made.token)


def _frames(page: Page) -> list[str]:
    """What the page tells the signalling server, from now on."""
    frames: list[str] = []
    page.on(
        "websocket",
        lambda socket: (
            socket.on("framesent", lambda frame: frames.append(str(frame))) if "/peerjs/" in socket.url else None
        ),
    )
    return frames


@pytest.mark.parametrize("works", [True, False], ids=["turn", "no-turn"])
def test_neither_learns_the_others_address(chromium: Browser, mongodb_url: str, tmp_path: Path, *, works: bool) -> None:
    """With HAYAT_ICE_RELAY_ONLY: media goes over the TURN server, or else over the site; no address is signalled."""
    inner = ("--denied-peer-ip=127.", "--denied-peer-ip=0.")
    open_to_loopback = [one for one in arguments() if not one.startswith(inner)] + ["--allow-loopback-peers"]
    with turn_server(tmp_path, open_to_loopback) as turn:
        ice = {"ice_urls": (f"turn:127.0.0.1:{turn.port if works else 9}",), "ice_secret": SecretStr(SECRET)}
        with _peopled(mongodb_url, tmp_path / "site", ice_relay_only=True, **ice) as hospital:
            visits = Visits(chromium, hospital)
            frames: list[list[str]] = []

            def open_page(path: str, person: Person, **options: Any) -> Page:
                page = visits.open(path, person, **options)
                page.evaluate(_WATCHED)
                frames.append(_frames(page))
                return page

            practice, home = met(open_page, hospital)
            for page in (practice, home):
                sees_and_hears(page)
                if works:
                    until(page, lambda page=page: page.evaluate(_OVER_TURN), "media does not go over the TURN server")
            id = practice.url.rpartition("/")[2]
            with hospital.http(hospital.patient) as http:
                relay = http.get(f"/realtime/consultations/{id}").json()["relay"]
            hung_up(practice, home)
            for context in visits.contexts:
                context.close()
    assert works or relay
    said = [json.loads(frame) for sent in frames for frame in sent]
    to_each_other = [frame for frame in said if frame.get("payload") and frame["dst"] != relay]
    assert to_each_other
    for frame in to_each_other:
        told = {address for found in _ADDRESS.findall(json.dumps(frame["payload"])) for address in found if address}
        assert told <= {"127.0.0.1", _UNTOLD}
    assert not visits.problems
