"""An image is answered 0x0000 when it is in custody, only then; what is refused for want of means may come again."""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

from pydicom.dataset import FileDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import generate_uid

from hayat_fhir.store.blob_reconciliation import reconcile
from hayat_fhir.store.database import connect_sync
from hayat_fhir.store.incoming_instances import IncomingInstances
from tests.database_relay import Relay, through

from . import raw
from .conftest import opened, send

Maker = Callable[..., FileDataset]
_OUT_OF_RESOURCES = 0xA700


def test_a_database_that_does_not_answer(mongodb_url: str, database_name: str, tmp_path: Path, image: Maker) -> None:
    """The image is refused as out of resources, taken when it comes again, and there is no file too many."""
    parts = urlsplit(mongodb_url)
    assert parts.hostname
    assert parts.port
    relay = Relay(parts.hostname, parts.port)
    with opened(through(mongodb_url, relay.port), database_name, tmp_path, timeout=2) as door:
        first, second = image(), image()
        assert send(door.port, first) == [0x0000]
        relay.cut()
        assert send(door.port, second) == [_OUT_OF_RESOURCES]
        relay.mend()
        assert send(door.port, second, first) == [0x0000, 0x0000]
        database = connect_sync(mongodb_url, database_name)
        with database.client:
            reconcile(door.blobs, IncomingInstances(database), doubt=0)
            known = {row["blob"] for row in database["instances"].find()}
            database.client.drop_database(database_name)
        assert len(known) == 2
        assert {str(path.relative_to(tmp_path)) for path in door.files()} == known
    relay.close()


def test_a_disk_below_its_reserve(mongodb_url: str, database_name: str, tmp_path: Path, image: Maker) -> None:
    """Images are refused as out of resources while it lasts, over the same association too, and nothing is left."""
    found = os.statvfs(tmp_path)
    reserve = found.f_bavail * found.f_frsize - 2 * 2**30
    ballast = tmp_path / "ballast"
    with opened(mongodb_url, database_name, tmp_path / "blobs", reserve=reserve) as door:
        data_set = _data_set(one := image())
        with raw.associated(door.port) as peer:
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, 4 * 2**30)
            try:
                peer.send(raw.store(raw.CT, str(one.SOPInstanceUID), data_set))
                assert peer.status() == _OUT_OF_RESOURCES
                assert door.files() == []
            finally:
                ballast.unlink()
            peer.send(raw.store(raw.CT, str(one.SOPInstanceUID), data_set))
            assert peer.status() == 0x0000
        assert door.rows.count_documents({}) == 1
        door.rows.database.client.drop_database(database_name)


def test_a_disk_that_fills_up_under_an_image(
    mongodb_url: str, database_name: str, tmp_path: Path, image: Maker
) -> None:
    """A large image that is under way when the reserve is reached is refused, and what has come of it goes."""
    found = os.statvfs(tmp_path)
    reserve = found.f_bavail * found.f_frsize - 2 * 2**30
    ballast = tmp_path / "ballast"
    with opened(mongodb_url, database_name, tmp_path / "blobs", reserve=reserve) as door:
        one = image()
        with raw.associated(door.port) as peer:
            pdus = raw.store(raw.CT, str(one.SOPInstanceUID), _data_set(one) + b"\0" * 80_000_000, size=250_000)
            peer.send(pdus[:10_000_000])
            deadline = time.monotonic() + 90
            while not door.files():
                assert time.monotonic() < deadline
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, 4 * 2**30)
            try:
                peer.send(pdus[10_000_000:])
                assert peer.status() == _OUT_OF_RESOURCES
            finally:
                ballast.unlink()
        assert door.files() == []
        door.rows.database.client.drop_database(database_name)


def test_eight_associations_push_the_same_study_twice(
    mongodb_url: str, database_name: str, tmp_path: Path, image: Maker
) -> None:
    """Each image is there once, with its bytes, however many push it at the same time and again."""
    study = generate_uid()
    images = {str(one.SOPInstanceUID): _data_set(one) for one in (image(StudyInstanceUID=study) for _ in range(40))}
    statuses: list[int | None] = []

    def push(port: int) -> None:
        for _ in range(2):
            with raw.associated(port) as peer:
                for uid, data_set in images.items():
                    peer.send(raw.store(raw.CT, uid, data_set))
                    statuses.append(peer.status())

    with opened(mongodb_url, database_name, tmp_path) as door:
        threads = [threading.Thread(target=push, args=(door.port,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [0x0000] * (8 * 2 * 40)
        rows = {row["_id"]: row for row in door.rows.find({"study": study})}
        assert rows.keys() == images.keys()
        assert door.quarantine.count_documents({}) == 0
        assert {str(path.relative_to(tmp_path)) for path in door.files()} == {row["blob"] for row in rows.values()}
        for uid, data_set in images.items():
            assert rows[uid]["sha256"] == sha256(data_set).hexdigest()
        deadline = time.monotonic() + 90
        while sum(images for _, images in door.transferred) != len(statuses):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        door.rows.database.client.drop_database(database_name)


def test_an_odd_number_harms_no_image(mongodb_url: str, database_name: str, tmp_path: Path, image: Maker) -> None:
    """One whose Instance Number no database holds is taken, and so are those that become durable together with it."""
    odd = struct.pack("<HH2sH", 0x0020, 0x0013, b"IS", 20) + b"9" * 20
    statuses: list[int | None] = []
    begin = threading.Barrier(8)

    def push(port: int, *, is_odd: bool) -> None:
        images = [image() for _ in range(10)]
        with raw.associated(port) as peer:
            begin.wait(30)
            for one in images:
                plain = _data_set(one)
                at = plain.index(b"\x20\x00\x13\x00IS")
                end = at + 8 + int.from_bytes(plain[at + 6 : at + 8], "little")
                data_set = plain[:at] + odd + plain[end:] if is_odd else plain
                peer.send(raw.store(raw.CT, str(one.SOPInstanceUID), data_set))
                statuses.append(peer.status())

    with opened(mongodb_url, database_name, tmp_path) as door:
        threads = [threading.Thread(target=push, args=(door.port,), kwargs={"is_odd": n % 2 == 0}) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [0x0000] * 80
        assert door.rows.count_documents({"attributes.00200013": {"$exists": False}}) == 40
        assert len(door.files()) == 80
        door.rows.database.client.drop_database(database_name)


def _data_set(one: FileDataset) -> bytes:
    buffer = BytesIO()
    dcmwrite(buffer, one, enforce_file_format=True)
    written = buffer.getvalue()
    return written[144 + int.from_bytes(written[140:144], "little") :]
