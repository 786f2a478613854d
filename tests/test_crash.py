"""Whatever of a site is killed under load, nothing acknowledged is lost."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from hayat_fhir.demonstration_site import Site, free_port
from hayat_fhir.dimse.demonstration import Pushed, data_set_digest, push_examples
from hayat_fhir.errors import Unavailable

KILLED = ("api", "dimse", "worker", "mongod", "api", "dimse", "mongod")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A running site with accounts and a PACS."""
    site = Site("Hospital", "HAYAT", tmp_path / "site")
    try:
        site.start()
        site.wait_until_ready()
        site.add_account("doctor")
        site.hayat(
            *("partner", "add", "--name", "PACS", "--ae-title", "PACS"),
            *("--host", "127.0.0.1", "--port", str(free_port())),
        )
        yield site
    finally:
        site.stop()


def kill(site: Site, name: str) -> None:
    """Kill one of the site's processes as nothing can prevent."""
    assert site.process is not None
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        for child in psutil.Process(site.process.pid).children(recursive=True):
            try:
                if name in " ".join(child.cmdline()[:4]):
                    os.kill(child.pid, signal.SIGKILL)
                    return
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.1)
    pytest.fail(f"no process {name} to kill: it never started, or was not restarted")


def write(site: Site, token: str, stop: threading.Event, acknowledged: dict[str, str]) -> None:
    """Create Observations; note each that the server says it has."""
    number = 0
    with httpx.Client(base_url=f"{site.url}/fhir", timeout=120, trust_env=False) as client:
        while not stop.is_set():
            number += 1
            text = f"{threading.get_ident()}-{number}"
            body = {"resourceType": "Observation", "status": "final", "code": {"text": text}}
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
            try:
                answer = client.post("/Observation", content=json.dumps(body), headers=headers)
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            assert answer.status_code in {201, 500, 502, 503, 504}, answer.text
            if answer.status_code == 201:
                acknowledged[answer.json()["id"]] = text


def push(site: Site, stop: threading.Event, acknowledged: list[Pushed]) -> None:
    """Push images; note each that was answered 0x0000."""
    while not stop.is_set():
        try:
            acknowledged += push_examples("127.0.0.1", site.dicom_port, "HAYAT", "PACS", "P1", "Demo", "19800517")
        except (Unavailable, RuntimeError, OSError):
            time.sleep(0.05)


def wait_for_more(created: dict[str, str], pushed: list[Pushed]) -> None:
    """Return when every door has acknowledged more: a kill hits a site that is at work, however slow the machine."""
    resources, images = len(created), len(pushed)
    deadline = time.monotonic() + 90
    while len(created) < resources + 20 or len(pushed) < images + 2:
        assert time.monotonic() < deadline, (resources, len(created), images, len(pushed))
        time.sleep(0.1)


def test_kill_9_of_every_process_loses_nothing_acknowledged(site: Site) -> None:
    """API, DICOM door, worker and mongod are killed in turn under load; all that was confirmed is there, unaltered."""
    token, stop = site.token("doctor"), threading.Event()
    created: dict[str, str] = {}
    pushed: list[Pushed] = []
    threads = [threading.Thread(target=write, args=(site, token, stop, created)) for _ in range(4)]
    threads += [threading.Thread(target=push, args=(site, stop, pushed)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for name in KILLED:
        wait_for_more(created, pushed)
        kill(site, name)
    wait_for_more(created, pushed)
    stop.set()
    for thread in threads:
        thread.join()
    site.wait_until_ready()

    with site.client("doctor") as client:
        for id, text in created.items():
            assert client.get(f"/Observation/{id}").raise_for_status().json()["code"]["text"] == text
        for image in pushed[:: max(len(pushed) // 40, 1)]:
            path = f"{site.url}/dicomweb/studies/{image.study}/series/{image.series}/instances/{image.instance}"
            deadline = time.monotonic() + 90
            while (answer := client.get(path, headers={"Accept": "application/dicom"})).status_code == 404:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            assert data_set_digest(answer.raise_for_status().content) == image.sha256
