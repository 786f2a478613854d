"""The DICOM process is killed at random moments under eight associations; what it had acknowledged is there.

Ten times here; ``KILLS=100`` for longer.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.dataset import FileDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import generate_uid

from hayat_fhir.store.blob_reconciliation import reconcile
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.database import connect_sync
from hayat_fhir.store.incoming_instances import IncomingInstances

from . import raw

KILLS = int(os.environ.get("KILLS", "10"))
_ASSOCIATIONS = 8
_IMAGES = 40
Maker = Callable[..., FileDataset]


class KillableDoor:
    """A DICOM door in a process of its own, started again after each kill."""

    def __init__(self, url: str, database_name: str, folder: Path) -> None:
        self._command = [sys.executable, "-m", "tests.dimse.door_process", url, database_name, str(folder)]
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def start(self) -> None:
        """Start it; returns when it listens."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        """Kill -9."""
        assert self._process is not None
        assert self._process.poll() is None
        self._process.kill()
        self._process.communicate()


def push(port: int, images: Mapping[str, bytes], acknowledged: set[str]) -> None:
    """Push images over one association until it breaks; note each that was answered 0x0000."""
    with suppress(OSError), raw.connected(port) as peer:
        peer.send(raw.associate_rq())
        if peer.receive()[0] != raw.AC:
            return
        for uid, data_set in images.items():
            peer.send(raw.store(raw.CT, uid, data_set))
            status = peer.status()
            if status is None:
                return
            assert status == 0x0000
            acknowledged.add(uid)


def _study(image: Maker) -> dict[str, bytes]:
    """The images of one study, as they travel."""
    study, images = generate_uid(), {}
    for _ in range(_IMAGES):
        one = image(StudyInstanceUID=study, PatientID=study[-8:])
        buffer = BytesIO()
        dcmwrite(buffer, one, enforce_file_format=True)
        written = buffer.getvalue()
        images[str(one.SOPInstanceUID)] = written[144 + int.from_bytes(written[140:144], "little") :]
    return images


def _push_all(port: int, studies: Sequence[Mapping[str, bytes]], acknowledged: set[str]) -> list[threading.Thread]:
    threads = [threading.Thread(target=push, args=(port, images, acknowledged)) for images in studies]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.timeout(90 + 10 * KILLS)
def test_kill_nine(mongodb_url: str, database_name: str, tmp_path: Path, image: Maker) -> None:
    """Each object answered 0x0000 is there with its SHA-256; no orphan, no row without its file, no half study."""
    door = KillableDoor(mongodb_url, database_name, tmp_path)
    chance = random.Random(1)
    studies, acknowledged = [_study(image) for _ in range(_ASSOCIATIONS)], set[str]()
    door.start()
    for _ in range(KILLS):
        threads = _push_all(door.port, studies, acknowledged)
        time.sleep(chance.uniform(0.05, 0.8))
        door.kill()
        for thread in threads:
            thread.join()
        door.start()
    for thread in _push_all(door.port, studies, acknowledged):
        thread.join()
    door.kill()

    database = connect_sync(mongodb_url, database_name)
    with database.client:
        blobs = Blobs(tmp_path)
        reconcile(blobs, IncomingInstances(database))
        rows = {row["_id"]: row for row in database["instances"].find()}
        database.client.drop_database(database_name)
    expected = {uid: data_set for images in studies for uid, data_set in images.items()}
    assert rows.keys() == expected.keys() == acknowledged
    assert set(blobs.keys()) == {row["blob"] for row in rows.values()}
    for uid, row in rows.items():
        stored = sha256(blobs.path(row["blob"]).read_bytes()[row["offset"] :]).hexdigest()
        assert stored == row["sha256"] == sha256(expected[uid]).hexdigest()
    assert not list((tmp_path / "incoming").iterdir())
