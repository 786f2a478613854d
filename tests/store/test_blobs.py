"""Files are durable or gone."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

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


@given(
    st.lists(st.sampled_from([0, 1, 10, 368, 4095, 4096, 4097, 65_530, 65_535, 65_536, 131_060]), max_size=6),
    st.integers(0, 6),
)
@example([100, 65_530, 10, 1], 0)
@settings(max_examples=60)
def test_bytes_in_pieces(sizes: list[int], looked_at: int) -> None:
    """However it is cut, what is written is what is read, meanwhile too, and all is there once the file is linked."""
    parts = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    with TemporaryDirectory() as folder:
        blobs = Blobs(Path(folder))
        blob = blobs.receive()
        for number, part in enumerate(parts):
            blob.write(memoryview(part))
            if number == looked_at and blob.size:
                with blob.mapped() as seen:
                    assert seen[:] == b"".join(parts[: number + 1])
        blob.link()
        assert blob.size == sum(sizes)
        assert blobs.path(blob.key).read_bytes() == b"".join(parts)
        blob.discard()


_FILLS_UP = """
import resource, signal, sys
from pathlib import Path
from hayat_fhir.errors import Unavailable
from hayat_fhir.store.blobs import Blobs
blobs = Blobs(Path(sys.argv[1]))
key = blobs.put([b"head", bytes(99_000)])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    blobs.put([b"head", bytes(99_000), bytes(70_000)])
except Unavailable:
    print(key)
"""


def test_a_file_that_is_taken_in_part(tmp_path: Path) -> None:
    """Where the file system takes only some of the bytes, the rest is tried, and the file goes where that fails."""
    done = subprocess.run([sys.executable, "-c", _FILLS_UP, str(tmp_path)], check=True, capture_output=True, text=True)
    assert _files(tmp_path) == {done.stdout.strip()}
    assert (tmp_path / done.stdout.strip()).stat().st_size == 99_004
