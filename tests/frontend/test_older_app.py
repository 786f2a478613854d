"""The existing frontend on an origin of its own, with Socket.IO's client and PeerJS 1.3 and 1.5, all unmodified."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from .conftest import Hospital, Person
from .test_calls import plays, sees_and_hears, until

_MODULES = Path(__file__).parents[2] / "hayat_fhir" / "frontend" / "node_modules"
_OLD, _NEW = "peerjs-1.3", "peerjs"
_PAGE = """<!doctype html><title>Older app</title><video autoplay playsinline></video>
<script src="/socket.io.js"></script><script src="/peerjs.js"></script><script src="/app.js"></script>"""


@contextmanager
def _served(port: int, peerjs: str) -> Iterator[None]:
    """The frontend's own server, with this version of PeerJS."""
    files = {
        "/socket.io.js": (_MODULES / "socket.io-client" / "dist" / "socket.io.min.js").read_bytes(),
        "/peerjs.js": (_MODULES / peerjs / "dist" / "peerjs.min.js").read_bytes(),
        "/app.js": (Path(__file__).parent / "older_app.js").read_bytes(),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files.get(self.path, _PAGE.encode())
            self.send_response(200)
            self.send_header("content-type", "text/javascript" if self.path in files else "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


class _Apps:
    """Opens the frontend, and ends with what it has opened."""

    def __init__(self, chromium: Browser, hospital: Hospital) -> None:
        self._chromium = chromium
        self._hospital = hospital
        self._contexts: list[BrowserContext] = []
        self.hosts: set[str] = set()
        self.problems: list[str] = []

    def open(self, peerjs: str) -> Page:
        """The frontend with this version of PeerJS."""
        context = self._chromium.new_context(permissions=["camera", "microphone"])
        self._contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        page.on("websocket", lambda socket: self.hosts.add(socket.url.split("/")[2]))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        with _served(int(self._hospital.other_origin.rpartition(":")[2]), peerjs):
            page.goto(self._hospital.other_origin, wait_until="load")
        return page

    def close(self) -> None:
        """Close all, and end the consultations."""
        for context in self._contexts:
            context.close()
        with self._hospital.http(self._hospital.doctor) as http:
            for one in http.get("/realtime/consultations", params={"state": "active"}).json()["consultations"]:
                http.post(f"/realtime/consultations/{one['id']}/end")


@pytest.fixture
def apps(chromium: Browser, hospital: Hospital) -> Iterator[_Apps]:
    """Opens the frontend; no other host may have been asked for anything."""
    if not (_MODULES / _OLD).is_dir():
        pytest.skip("the packages of the frontend are not installed")
    apps = _Apps(chromium, hospital)
    yield apps
    apps.close()
    own = {hospital.url.removeprefix("http://"), hospital.other_origin.removeprefix("http://")}
    assert not apps.problems
    assert apps.hosts <= own


def _state(page: Page, name: str) -> Any:
    return page.evaluate(f"app.{name}")


def _rung(practice: Page, home: Page, hospital: Hospital) -> None:
    """The doctor is online, is found and is called."""
    site = {"site": hospital.url}
    socket = practice.evaluate("connect", site | {"token": hospital.doctor.token})
    practice.evaluate("([socket, id]) => app.socket.emit('online-user', socket, id)", [socket, hospital.doctor.id])
    socket = home.evaluate("connect", site | {"token": hospital.patient.token})
    home.evaluate("socket => app.socket.emit('get-online-doctor', socket)", socket)
    until(home, lambda: hospital.doctor.id in _state(home, "doctors"), "the doctor is not shown")
    assert home.evaluate("doctors", site | {"token": hospital.patient.token}) == [hospital.doctor.name]
    (called,) = _state(home, "doctors")[hospital.doctor.id]
    message = {"from": socket, "url": hospital.doctor.id, "patient": hospital.patient.id}
    home.evaluate("([called, message]) => app.socket.emit('call', called, message)", [called, message])
    until(practice, lambda: _state(practice, "rung") == message, "the doctor is not rung")
    until(home, lambda: _state(home, "available") is True, "the doctor was not free")


def _answered(practice: Page, home: Page, *, yes: bool) -> None:
    practice.evaluate("yes => app.socket.emit('answerCall', app.rung.from, yes)", yes)
    until(home, lambda: _state(home, "answered") is yes, "the answer did not come")


def _entering(hospital: Hospital, person: Person, **more: bool) -> dict[str, Any]:
    return {"site": hospital.url, "token": person.token, "room": hospital.doctor.id, **more}


@pytest.mark.parametrize(
    ("practices", "homes", "named"),
    [(_OLD, _OLD, False), (_NEW, _NEW, False), (_OLD, _NEW, True), (_NEW, _OLD, True)],
)
def test_the_older_app_meets_over_video(
    apps: _Apps, hospital: Hospital, practices: str, homes: str, *, named: bool
) -> None:
    """Both see and hear each other, talk in writing, come back after a cut, and are told who has left."""
    practice, home = apps.open(practices), apps.open(homes)
    _rung(practice, home, hospital)
    _answered(practice, home, yes=True)
    practice.evaluate("enter", _entering(hospital, hospital.doctor, named=named))
    until(home, lambda: hospital.doctor.id not in _state(home, "doctors"), "a doctor in a consultation is shown online")
    home.evaluate("enter", _entering(hospital, hospital.patient, named=named))
    for page in (practice, home):
        until(page, lambda page=page: page.evaluate("document.querySelector('video').videoWidth > 0"), "no picture")
        sees_and_hears(page)
    home.evaluate("app.socket.emit('message', 'Good morning')")
    until(practice, lambda: _state(practice, "messages") == [["Good morning", hospital.patient.id]], "nothing was said")
    peer = _state(home, "peer.id")
    home.evaluate("comeBack", _entering(hospital, hospital.patient, named=named))
    assert _state(home, "peer.id") == peer
    home.evaluate("callAgain")
    for page in (practice, home):
        plays(page)
    home.context.close()
    until(practice, lambda: peer in _state(practice, "left"), "who has left is not told")
    if practices != homes:  # 1.3 knows nothing of the data channel that 1.5 opens beside media, and says so
        apps.problems[:] = [one for one in apps.problems if "initialize is not a function" not in one]


def test_the_older_app_declines(apps: _Apps, hospital: Hospital) -> None:
    """And may be called again."""
    practice, home = apps.open(_NEW), apps.open(_OLD)
    _rung(practice, home, hospital)
    _answered(practice, home, yes=False)
    assert hospital.doctor.id in _state(home, "doctors")
