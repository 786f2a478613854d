"""The folders below ``incoming/``: each belongs to one process, which holds a lock in it for as long as it lives.

The lock's file says in which boot of the machine the process ran, and since when it may have had unfinished files.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

LOCK = "lock"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Record:
    """What a process has noted: the boot, and the minute (``yyyymmddHHMM``) of the oldest of its unfinished files."""

    boot: str
    since: str


class Lease:
    """This process's own folder. It is there durably, with its note, before the first file is begun in it."""

    def __init__(self, incoming: Path, since: str) -> None:
        self.folder = incoming / uuid4().hex
        self.folder.mkdir(mode=0o700)
        self._descriptor = os.open(self.folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.note(since)
        os.fsync(self._descriptor)
        sync_folder(self.folder)
        sync_folder(incoming)

    def note(self, since: str) -> None:
        """Note the minute of the oldest unfinished file; it need not be durable, an older one is only more to check."""
        os.pwrite(self._descriptor, f"{boot()} {since}".encode(), 0)


class Folder:
    """A folder that is open for as long as anybody holds on to it."""

    _descriptor = -1

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def sync(self) -> None:
        """Return once the names in it are durable.

        Raises:
            OSError: The disk fails.
        """
        os.fsync(self._descriptor)


@contextmanager
def of_the_dead(folder: Path) -> Iterator[Record | None]:
    """What the process noted whose folder this is; None where it lives. None begins to while the block runs."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield None
    else:
        noted, _, since = os.pread(descriptor, 256, 0).decode("ascii", "replace").partition(" ")
        yield Record(noted, since)
    finally:
        os.close(descriptor)


def remove(folder: Path) -> None:
    """Remove a folder in which nothing is unfinished any more."""
    (folder / LOCK).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def boot() -> str:
    """What names this boot of the machine."""
    return _BOOT.read_text().strip()


def sync_folder(folder: Path | str) -> None:
    """Return once the names in it are durable.

    Raises:
        OSError: The disk fails.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
