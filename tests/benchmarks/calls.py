"""A video consultation: how soon after the doctor's click both see and hear, and what a relay or a recorder costs."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
from aiortc import RTCPeerConnection
from playwright.sync_api import Browser, Page, sync_playwright
from websockets.asyncio.client import ClientConnection, connect

from hayat_fhir.demonstration_site import Site
from tests.benchmarks.figures import BenchmarkFailed, Finding, Target, spread
from tests.benchmarks.processes import cpu_seconds, wait_for
from tests.benchmarks.run import Run
from tests.benchmarks.site import processes, running
from tests.frontend.conftest import FLAGS
from tests.realtime.conftest import until
from tests.realtime.headless import Picture, Received, Tone, answer, call, connection
from tests.realtime.peerjs import PeerSocket

_PATIENCE = 20.0
_SOON = Target(2000, "ours", at_least=False)
_WIDTH, _HEIGHT = 640, 480
_NOTE = "two peers of aiortc, 640 by 480"
_ACCEPT = """() => {
  [...document.querySelectorAll("[role=dialog] button")].find((one) => one.textContent.includes("Accept")).click();
  return Date.now();
}"""
_SEEN = """async () => {
  for (;;) {
    const video = document.querySelector("video");
    if (video?.srcObject && !video.muted && video.currentTime > 0) return Date.now();
    await new Promise((done) => requestAnimationFrame(done));
  }
}"""


def measure(run: Run) -> Iterator[Finding]:
    """Whole calls, one after the other, peer to peer and through the site's relay.

    Raises:
        BenchmarkFailed: A call did not come about.
    """
    with run.step("calls: starting"), running(run.folder("calls"), roles=("doctor", "patient")) as site:
        tokens = {role: site.token(role) for role in ("doctor", "patient")}
        yield from _in_browsers(run, site, tokens)
        found = asyncio.run(_rounds(run, site, tokens))
        yield Finding("calls", "from the answer until both see and hear", "ms", found.direct, target=_SOON, note=_NOTE)
        yield Finding("calls", "the same through the relay", "ms", found.relayed, target=_SOON, note=_NOTE)
        yield Finding("calls", "relay of one consultation", "% of a core", found.relay_share, note=_NOTE)
        yield Finding("calls", "recorder of one consultation", "% of a core", found.recorder_share, note=_NOTE)


def _in_browsers(run: Run, site: Site, tokens: dict[str, str]) -> Iterator[Finding]:
    """From the doctor's click on Accept until pictures of the other side move on both pages of the app."""
    chromium = shutil.which("chromium", path="/usr/bin:/usr/local/bin")
    if chromium is None:
        return
    times: list[float] = []
    with ExitStack() as stack:
        browser = stack.enter_context(sync_playwright()).chromium.launch(executable_path=chromium, args=FLAGS)
        stack.callback(browser.close)
        https = {
            role: stack.enter_context(
                httpx.Client(base_url=site.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False)
            )
            for role, token in tokens.items()
        }
        ids = {role: str(http.get("/api/v1/auth/").raise_for_status().json()["id"]) for role, http in https.items()}
        for _ in range(run.rounds):
            with ExitStack() as visit:
                pages = {
                    role: _page(visit, browser, site.url, role, ids[role], token) for role, token in tokens.items()
                }
                pages["doctor"].goto("/app")
                pages["doctor"].get_by_role("switch").click()
                wait_for(
                    lambda: https["patient"].get("/realtime/presence").json()["online"] == [ids["doctor"]], "online"
                )
                answered = https["patient"].post("/realtime/consultations", json={"doctor": ids["doctor"]})
                id = answered.raise_for_status().json()["id"]
                pages["patient"].goto(f"/app/calls/{id}", wait_until="networkidle")
                pages["doctor"].get_by_role("button", name="Accept").wait_for()
                begun = pages["doctor"].evaluate(_ACCEPT)
                times.append(max(float(page.evaluate(_SEEN)) for page in pages.values()) - begun)
                https["doctor"].post(f"/realtime/consultations/{id}/end").raise_for_status()
    note = "two browsers with empty caches, on one machine"
    yield Finding("calls", "from Accept until both see each other", "ms", spread(times), target=_SOON, note=note)


def _page(visit: ExitStack, browser: Browser, url: str, role: str, id: str, token: str) -> Page:
    """The app in a browser of this person's own."""
    context = browser.new_context(base_url=url, locale="en-GB", permissions=["camera", "microphone"])
    visit.callback(context.close)
    session = json.dumps(json.dumps({"token": token, "role": role, "id": id, "name": role}))
    context.add_init_script(f"sessionStorage['hayat.session'] = {session}")
    return context.new_page()


@dataclass(slots=True)
class _Found:
    direct: Any
    relayed: Any
    relay_share: Any
    recorder_share: Any


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two: how it speaks to the site, and its own connection to the signalling server."""

    http: httpx.AsyncClient
    url: str

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        """The answer to a POST."""
        answered = await self.http.post(path, json=body)
        if answered.is_error:
            raise BenchmarkFailed(f"{path.rpartition('/')[2]}: {answered.status_code}")
        told: dict[str, Any] = answered.json()
        return told

    async def online(self) -> list[str]:
        """The doctors online, by Practitioner id."""
        online: list[str] = (await self.http.get("/realtime/presence")).json()["online"]
        return online

    async def peer(self, consultation: str) -> PeerSocket:
        """A peer of this side's, open."""
        ticket = await self.post("/realtime/tickets", consultation=consultation)
        socket = await PeerSocket.open(self.url, ticket["peer"], ticket["token"])
        await socket.next()
        return socket


async def _rounds(run: Run, site: Site, tokens: dict[str, str]) -> _Found:
    direct: list[float] = []
    relayed: list[float] = []
    relays: list[float] = []
    recorders: list[float] = []
    async with _sides(site.url, tokens) as (doctor, patient, practitioner):
        for _ in range(run.rounds):
            async with _consultation(doctor, patient, practitioner) as (id, begun):
                one, two = await asyncio.gather(patient.peer(id), doctor.peer(id))
                made = _connections()
                heard = [Received(each) for each in made]
                await asyncio.gather(call(one, made[0], two.id), answer(two, made[1]))
                direct.append(await _until_both(heard, begun))
                await _close(made, heard)
                begun = time.perf_counter()
                relay = (await patient.post(f"/realtime/consultations/{id}/relay"))["relay"]
                made = _connections()
                heard = [Received(each) for each in made]
                await asyncio.gather(call(one, made[0], relay, "mc_1"), call(two, made[1], relay, "mc_2"))
                relayed.append(await _until_both(heard, begun))
                relays.append(await _share(site, run.seconds))
                await _close(made, heard)
            async with _consultation(doctor, patient, practitioner) as (id, _begun):
                one, two = await asyncio.gather(patient.peer(id), doctor.peer(id))
                for side in (doctor, patient):
                    await side.post(f"/realtime/consultations/{id}/recording", agree=True)
                recorder = await _recorder(doctor, id)
                made = _connections()
                await asyncio.gather(call(one, made[0], recorder, "mc_1"), call(two, made[1], recorder, "mc_2"))
                await asyncio.sleep(1)
                recorders.append(await _share(site, run.seconds))
                await _close(made, [])
    return _Found(spread(direct), spread(relayed), spread(relays), spread(recorders))


@asynccontextmanager
async def _sides(url: str, tokens: dict[str, str]) -> AsyncIterator[tuple[_Side, _Side, str]]:
    """Doctor and patient, and the doctor's Practitioner id; the doctor is online while the block runs."""
    where = f"{url.replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket"
    headers = {role: {"Authorization": f"Bearer {token}"} for role, token in tokens.items()}
    async with (
        httpx.AsyncClient(base_url=url, headers=headers["doctor"], timeout=30, trust_env=False) as one,
        httpx.AsyncClient(base_url=url, headers=headers["patient"], timeout=30, trust_env=False) as two,
        connect(where, proxy=None, compression=None, ping_interval=None) as socket,
    ):
        await socket.recv()
        await socket.send(f"40{json.dumps({'token': tokens['doctor']})}")
        await socket.recv()
        await socket.send('42["online-user"]')
        listening = asyncio.create_task(_listen(socket))
        try:
            patient = _Side(two, url)
            (practitioner,) = await until(patient.online, _PATIENCE)
            yield _Side(one, url), patient, practitioner
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def _listen(socket: ClientConnection) -> None:
    async for packet in socket:
        if packet == "2":
            await socket.send("3")


@asynccontextmanager
async def _consultation(doctor: _Side, patient: _Side, practitioner: str) -> AsyncIterator[tuple[str, float]]:
    """A consultation that has been answered, and when the doctor did so; it ends with the block."""
    await until(patient.online, _PATIENCE)
    id = (await patient.post("/realtime/consultations", doctor=practitioner))["id"]
    begun = time.perf_counter()
    await doctor.post(f"/realtime/consultations/{id}/accept")
    yield id, begun
    await doctor.post(f"/realtime/consultations/{id}/end")
    await asyncio.sleep(1)


def _connections() -> list[RTCPeerConnection]:
    return [connection(Tone(), Picture(width=_WIDTH, height=_HEIGHT)) for _ in range(2)]


async def _until_both(heard: list[Received], begun: float) -> float:
    """Milliseconds until pictures and sound have come to both sides."""
    await until(lambda: all(side.frames["audio"] and side.frames["video"] for side in heard), _PATIENCE)
    return (time.perf_counter() - begun) * 1000


async def _recorder(side: _Side, id: str) -> str:
    """The peer id of the recorder, once it runs."""

    async def peer() -> str | None:
        told = (await side.http.get(f"/realtime/consultations/{id}")).json()["recording"]
        return str(told["peer"]) if told["state"] == "on" else None

    return str(await until(peer, _PATIENCE))


async def _share(site: Site, seconds: float) -> float:
    """Percent of a core that the site's media processes use for some seconds."""
    media = [one for one in processes(site).own if "hayat_fhir.realtime.media_process" in _command(one)]
    if not media:
        raise BenchmarkFailed("no media process runs")
    before, begun = cpu_seconds(media), time.perf_counter()
    await asyncio.sleep(seconds)
    return (cpu_seconds(media) - before) / (time.perf_counter() - begun) * 100


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


async def _close(made: list[RTCPeerConnection], heard: list[Received]) -> None:
    for side in heard:
        await side.stop()
    for each in made:
        await each.close()
