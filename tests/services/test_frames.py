"""Frames are read from where they lie, whether the system has them in memory or not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hayat_fhir.errors import NotFound
from hayat_fhir.services import frames
from hayat_fhir.services.frames import read_into


async def test_pieces_are_read_one_after_the_other(tmp_path: Path) -> None:
    """Also those that the system must fetch from the disk first."""
    path = tmp_path / "image"
    content = os.urandom(3 << 20)
    path.write_bytes(content)
    ranges = ((100, 2 << 20), (5, 7), (3 << 20 - 1, 0), (len(content) - 10, 10))
    wanted = content[100 : 100 + (2 << 20)] + content[5:12] + content[-10:]
    for _ in range(2):
        found = bytearray(len(wanted))
        await read_into(path, ranges, memoryview(found))
        assert bytes(found) == wanted
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


async def test_what_is_large_is_read_in_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large a frame is, it comes whole."""
    monkeypatch.setattr(frames, "_AT_ONCE", 1000)
    path = tmp_path / "image"
    content = os.urandom(5000)
    path.write_bytes(content)
    found = bytearray(4000)
    await read_into(path, ((1000, 4000),), memoryview(found))
    assert bytes(found) == content[1000:]


async def test_a_file_that_ends_before(tmp_path: Path) -> None:
    """Nothing is made up for what is not there."""
    path = tmp_path / "image"
    path.write_bytes(b"12345")
    with pytest.raises(NotFound):
        await read_into(path, ((0, 6),), memoryview(bytearray(6)))
