"""An API process that dies without a word, with a doctor online and a call running."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from hayat_fhir.demonstration_site import Site
from tests.test_crash import kill


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A running site with a doctor and a patient."""
    site = Site("Hospital", "HAYAT", tmp_path / "site")
    try:
        site.start()
        site.wait_until_ready()
        for role in ("doctor", "patient"):
            site.add_account(role)
        yield site
    finally:
        site.stop()


@contextmanager
def _switched_on(site: Site) -> Iterator[None]:
    """The doctor is connected, and online."""
    where = f"{site.url.replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket"
    with connect(where, proxy=None) as socket:
        socket.recv()
        socket.send(f"40{json.dumps({'token': site.token('doctor')})}")
        socket.recv()
        socket.send('421["online-user"]')
        while not str(socket.recv(10)).startswith("431"):
            pass
        yield


def _until(http: httpx.Client, *, shown: bool) -> None:
    """Wait, 45 s at most, until somebody has been shown online for three seconds, or nobody."""
    begun = since = time.monotonic()
    while time.monotonic() - begun < 45:
        try:
            answer = http.get("/realtime/presence")
            if answer.status_code != 200 or bool(answer.json()["online"]) is not shown:
                since = time.monotonic()
            elif time.monotonic() - since > 3:
                return
        except httpx.TransportError:
            since = time.monotonic()
        time.sleep(0.2)
    pytest.fail("nobody was online" if shown else "a ghost stayed online")


def test_nobody_stays_online_whose_process_was_killed(site: Site) -> None:
    """The doctor's socket ends; no ghost is left 45 s later; and a consultation that was rung still is the doctor's."""
    headers = {"Authorization": f"Bearer {site.token('patient')}"}
    with httpx.Client(base_url=site.url, headers=headers, timeout=120, trust_env=False) as http:
        with _switched_on(site):
            _until(http, shown=True)
            (practitioner,) = http.get("/realtime/presence").json()["online"]
            rung = http.post("/realtime/consultations", json={"doctor": practitioner}).json()["id"]
            kill(site, "api")
            _until(http, shown=False)
        with _switched_on(site):
            _until(http, shown=True)
            assert http.get(f"/realtime/consultations/{rung}").json()["state"] in {"ringing", "missed"}
