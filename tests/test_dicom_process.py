"""The DICOM door of a whole site: what it audits, counts and bears, and how it ends."""

from __future__ import annotations

import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import httpx
import psutil
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from hayat_fhir.demonstration_site import Site, free_port
from hayat_fhir.store.database import connect_sync
from hayat_fhir.store.mongod import attach
from tests.dimse import raw
from tests.dimse.echo import echo

_GREETING = raw.associate_rq()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A running site that knows a PACS."""
    site = Site("Hospital", "HAYAT", tmp_path / "site")
    try:
        site.start()
        site.wait_until_ready()
        site.hayat(
            *("partner", "add", "--name", "PACS", "--ae-title", "PACS"),
            *("--host", "127.0.0.1", "--port", str(free_port())),
        )
        yield site
    finally:
        site.stop()


def dicom_processes(site: Site) -> list[psutil.Process]:
    """Those that serve the DICOM port."""
    assert site.process is not None
    found = []
    for one in psutil.Process(site.process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # one that is being started again may end meanwhile
            if "dimse" in one.cmdline():
                found.append(one)
    return found


def images(count: int) -> dict[str, bytes]:
    """Data sets of a study, by UID."""
    file = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
    data_set = file[144 + int.from_bytes(file[140:144], "little") :]
    old = b"1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322\0"
    assert old in data_set
    made = (generate_uid()[:47].rstrip(".").ljust(47, "7") for _ in range(count))
    return {uid: data_set.replace(old, uid.encode() + b"\0") for uid in made}


def push(port: int, data_sets: dict[str, bytes], acknowledged: dict[str, bytes]) -> None:
    """Push over one association until it ends; note what was answered 0x0000."""
    with suppress(OSError), raw.connected(port) as peer:
        peer.send(_GREETING)
        if peer.receive()[0] != raw.AC:
            return
        for uid, data_set in data_sets.items():
            peer.send(raw.store(raw.CT, uid, data_set))
            if peer.status() != 0x0000:
                return
            acknowledged[uid] = data_set


def test_strangers_are_audited_and_all_is_counted(site: Site) -> None:
    """A peer that is rejected leaves an AuditEvent with its address; /metrics tells of all; memory has a limit."""
    assert echo(site.dicom_port, calling="STRANGER") == "rejected"
    acknowledged: dict[str, bytes] = {}
    push(site.dicom_port, images(3), acknowledged)
    assert len(acknowledged) == 3

    url = attach(Path(site.settings["HAYAT_DATA_DIR"]))
    assert url is not None
    database = connect_sync(url)
    with database.client:
        events = [row["resource"] for row in database["AuditEvent"].find() if "110126" in str(row["resource"])]
    assert len(events) == 1
    assert events[0]["outcome"] == "4"
    assert "127.0.0.1" in str(events[0]["agent"])
    assert "STRANGER" not in str(events[0])

    expected = {
        'hayat_dicom_association_requests_total{result="rejected"} 1.0',
        'hayat_dicom_association_requests_total{result="accepted"} 1.0',
        'hayat_dicom_instances_total{result="stored"} 3.0',
        f"hayat_dicom_received_bytes_total {float(sum(map(len, acknowledged.values())))}",
        "hayat_imaging_instances 3.0",
        "hayat_dicom_associations 0.0",
        "hayat_dicom_processes 1.0",
    }
    deadline = time.monotonic() + 90
    while missing := expected - set(httpx.get(f"{site.url}/metrics").text.splitlines()):
        assert time.monotonic() < deadline, missing
        time.sleep(0.2)
    for process in dicom_processes(site):
        assert process.rlimit(psutil.RLIMIT_DATA)[0] == 2048 << 20 != resource.RLIM_INFINITY


def test_sigterm_under_load(site: Site) -> None:
    """Four associations are under way: all ends within ten seconds, and what was answered 0x0000 is there."""
    assert site.process is not None
    acknowledged: dict[str, bytes] = {}
    threads = [threading.Thread(target=push, args=(site.dicom_port, images(3000), acknowledged)) for _ in range(4)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 90
    while len(acknowledged) < 50:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    site.process.send_signal(signal.SIGTERM)
    assert site.process.wait(10) == 0
    for thread in threads:
        thread.join()
    site.start()
    site.wait_until_ready()
    url = attach(Path(site.settings["HAYAT_DATA_DIR"]))
    assert url is not None
    database = connect_sync(url)
    with database.client:
        rows = {row["_id"]: row for row in database["instances"].find()}
    blobs = Path(site.settings["HAYAT_DATA_DIR"]) / "blobs"
    assert set(acknowledged) <= set(rows)
    for uid, data_set in acknowledged.items():
        stored = (blobs / rows[uid]["blob"]).read_bytes()[rows[uid]["offset"] :]
        assert sha256(stored).hexdigest() == rows[uid]["sha256"] == sha256(data_set).hexdigest()
    assert {str(path.relative_to(blobs)) for path in blobs.glob("[0-9]*/*/*/*/*")} == {
        row["blob"] for row in rows.values()
    }
