"""Files are durable or gone, and what a crash leaves unfinished is finished or undone."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hayat_fhir.errors import Unavailable
from hayat_fhir.store.blobs import Blobs

_DIES = """
import os, sys
from pathlib import Path
from hayat_fhir.store.blobs import Blobs
blobs = Blobs(Path(sys.argv[1]))
begun, linked, settled = blobs.receive(), blobs.receive(), blobs.receive()
for blob in (begun, linked, settled):
    blob.write(b"bytes")
linked.link().result()
settled.link().result()
settled.settle()
print(begun.key, linked.key, settled.key, flush=True)
os.kill(os.getpid(), 9)
"""


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


def _crashed(folder: Path) -> list[str]:
    """The keys of a file that was begun, one that had its name, and one whose row was durable, when a process died."""
    done = subprocess.run([sys.executable, "-c", _DIES, str(folder)], capture_output=True, text=True, check=False)
    return done.stdout.split()


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


def test_a_crash_is_undone(tmp_path: Path) -> None:
    """Without a row the file goes, wherever it had come to; one that was settled stays."""
    begun, linked, settled = _crashed(tmp_path)
    assert Blobs(tmp_path).sweep({settled}.__contains__, 0) == 2
    assert _files(tmp_path) == {settled}
    assert not Blobs(tmp_path).path(begun).exists()
    assert not Blobs(tmp_path).path(linked).exists()


def test_a_crash_is_finished(tmp_path: Path) -> None:
    """A file whose row is there stays, also where the process died between the row and the end."""
    _, linked, settled = _crashed(tmp_path)
    assert Blobs(tmp_path).sweep({linked, settled}.__contains__, 0) == 1
    assert _files(tmp_path) == {linked, settled}
    assert list((tmp_path / "incoming").iterdir()) == []


def test_what_lives_is_left_alone(tmp_path: Path) -> None:
    """A sweep of one process does not touch what another one is receiving."""
    living = Blobs(tmp_path)
    blob = living.receive()
    blob.write(b"bytes")
    blob.link().result()
    assert Blobs(tmp_path).sweep(lambda _: False, 0) == 0
    blob.settle()
    assert living.path(blob.key).read_bytes() == b"bytes"


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
