"""Files are durable or gone."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hayat_fhir.errors import Unavailable
from hayat_fhir.store.blobs import Blobs


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


def test_put_is_read_again(tmp_path: Path) -> None:
    """What is put stands under its key, and nowhere else."""
    blobs = Blobs(tmp_path)
    key = blobs.put([b"one", memoryview(b"two")])
    assert blobs.path(key).read_bytes() == b"onetwo"
    assert _files(tmp_path) == {key}
    assert list(blobs.keys()) == [key]


def test_discard_leaves_nothing(tmp_path: Path) -> None:
    """At whatever stage."""
    blobs = Blobs(tmp_path)
    for linked in (False, True):
        blob = blobs.receive()
        blob.write(b"bytes")
        if linked:
            blob.link()
        blob.discard()
    assert _files(tmp_path) == set()


def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    """Below the reserve nothing is begun; with room again it is, without a restart."""
    found = os.statvfs(tmp_path)
    free = found.f_bavail * found.f_frsize
    blobs = Blobs(tmp_path, reserve=free - 2 * 2**30)
    ballast = tmp_path / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 4 * 2**30)
    try:
        with pytest.raises(Unavailable):
            blobs.put([b"bytes"])
    finally:
        ballast.unlink()
    assert blobs.path(blobs.put([b"bytes"])).read_bytes() == b"bytes"
    assert len(_files(tmp_path)) == 1


def test_many_at_once(tmp_path: Path) -> None:
    """Files of many threads are all there, each its own."""
    blobs = Blobs(tmp_path)
    with ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(lambda number: blobs.put([str(number).encode()]), range(200)))
    assert [blobs.path(key).read_bytes() for key in keys] == [str(number).encode() for number in range(200)]
