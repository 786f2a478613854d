"""The blob store: image bytes in files that are never rewritten.

A file's name is made here, never from anything a peer sent. It is written below ``incoming/``, in a folder of the
process that writes it, and linked to its final name, ``yyyy/mm/dd/HHMM/<uuid>.dcm``; the first name is removed only
once whoever stores the row of it says that the row is durable. So what a crash leaves unfinished is found below
``incoming/`` alone, however many files there are.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from hayat_fhir.errors import Unavailable

_SUFFIX = ".dcm"
_LOCK = "lock"
_SYNCING = 8
"""Files that are fsynced at a time: the file system commits them together."""
_SPACE_EVERY = 32 * 2**20
"""Bytes of one file between two looks at the free space."""
_SETTLING = 3.0
"""Seconds that a dead process's last statement to the database may still take to arrive."""
Bytes = bytes | bytearray | memoryview


class Blobs:
    """Files below one directory. ``reserve`` is how many bytes of its file system are left to others."""

    def __init__(self, root: Path, reserve: int = 0) -> None:
        self._root = root
        self._reserve = reserve
        self._folder: Path | None = None
        self._own: Path | None = None
        self._lock = threading.Lock()
        self._syncing = ThreadPoolExecutor(_SYNCING, "fsync")
        (root / "incoming").mkdir(parents=True, exist_ok=True, mode=0o700)

    def receive(self) -> IncomingBlob:
        """Begin a file; it is written as it arrives.

        Raises:
            Unavailable: The disk is full or fails.
        """
        self._check_space()
        with _disk():
            return IncomingBlob(self, f"{datetime.now(UTC):%Y%m%d%H%M}-{uuid4().hex}", self._incoming())

    def put(self, parts: Iterable[Bytes]) -> str:
        """Store these bytes, one part after the other; returns the key once they are durable.

        Raises:
            Unavailable: The disk is full or fails; nothing is left behind.
        """
        blob = self.receive()
        try:
            for part in parts:
                blob.write(part)
            blob.link().result()
        except (Unavailable, OSError) as error:
            blob.discard()
            raise Unavailable("the image store cannot be written") from error
        blob.settle()
        return blob.key

    def path(self, key: str) -> Path:
        """The file of a key."""
        return self._root / key

    def remove(self, key: str) -> None:
        """Remove a file that no row names."""
        self.path(key).unlink(missing_ok=True)

    def sweep(self, is_known: Callable[[str], bool], settling: float = _SETTLING) -> int:
        """Finish or undo what processes that have died left unfinished; how many files were removed.

        ``is_known`` tells whether a row names a key. A file younger than ``settling`` seconds is waited for. What
        processes that live are writing is left alone.

        Raises:
            Unavailable: The database cannot tell what is known.
        """
        swept = 0
        for folder in sorted((self._root / "incoming").iterdir()):
            with _of_the_dead(folder) as dead:
                if dead:
                    swept += sum(self._undo(path, is_known, settling) for path in sorted(folder.iterdir()))
                    (folder / _LOCK).unlink(missing_ok=True)
                    with suppress(OSError):
                        folder.rmdir()
        return swept

    def keys(self) -> Iterator[str]:
        """The keys of all files that are stored; to check them all, which takes its time."""
        for path in self._root.glob(f"[0-9]*/*/*/*/*{_SUFFIX}"):
            yield str(path.relative_to(self._root))

    def _undo(self, path: Path, is_known: Callable[[str], bool], settling: float) -> bool:
        if path.name == _LOCK:
            return False
        time.sleep(min(max(path.stat().st_ctime + settling - time.time(), 0), settling))
        key = _key(path.name)
        removed = not is_known(key)
        if removed:
            self.remove(key)
        path.unlink()
        return removed

    def _check_space(self) -> None:
        with _disk():
            found = os.statvfs(self._root)
        if found.f_bavail * found.f_frsize < self._reserve:
            raise Unavailable("the image store has too little space left")

    def _incoming(self) -> Path:
        """This process's own folder of unfinished files, locked for as long as it lives."""
        with self._lock:
            if self._own is None:
                folder = self._root / "incoming" / uuid4().hex
                folder.mkdir(mode=0o700)
                descriptor = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._own = folder
            return self._own

    def _make_folder(self, folder: Path) -> None:
        """Make a folder durably: it is there only once the one above it has been fsynced."""
        with self._lock:
            if folder == self._folder:
                return
            missing = [folder, *folder.parents][: len(folder.relative_to(self._root).parts)]
            for made in reversed(missing):
                if not made.is_dir():
                    made.mkdir(exist_ok=True, mode=0o700)
                _sync_folder(made.parent)
            self._folder = folder


class IncomingBlob:
    """One file on its way in: ``write``, ``link``, then ``settle``; or ``discard`` at any time."""

    def __init__(self, blobs: Blobs, name: str, folder: Path) -> None:
        self.key = _key(name)
        self.size = 0
        self._blobs = blobs
        self._incoming = folder / name
        self._final = blobs.path(self.key)
        self._checked = 0
        self._durable: Future[None] | None = None
        self._descriptor = os.open(self._incoming, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def write(self, data: Bytes) -> None:
        """Append.

        Raises:
            Unavailable: The disk is full or fails.
        """
        if self.size - self._checked >= _SPACE_EVERY:
            self._blobs._check_space()
            self._checked = self.size
        with _disk():
            written = os.write(self._descriptor, data)
            while written < len(data):
                written += os.write(self._descriptor, memoryview(data)[written:])
        self.size += written

    def mapped(self) -> mmap.mmap:
        """What has been written, to be read; close it after use. Not of an empty file."""
        return mmap.mmap(self._descriptor, self.size, prot=mmap.PROT_READ)

    def link(self) -> Future[None]:
        """Give the file its final name; the future is done when file and name are durable.

        Raises:
            Unavailable: The disk is full or fails.
        """
        with _disk():
            self._blobs._make_folder(self._final.parent)
            os.link(self._incoming, self._final)
        self._durable = self._blobs._syncing.submit(self._sync)
        return self._durable

    def settle(self) -> None:
        """The row that names the file is durable: it is no longer unfinished."""
        self._close()
        self._incoming.unlink(missing_ok=True)

    def discard(self) -> None:
        """Leave nothing behind."""
        self._close()
        self._final.unlink(missing_ok=True)
        self._incoming.unlink(missing_ok=True)

    def _sync(self) -> None:
        with _disk():
            os.fsync(self._descriptor)
            _sync_folder(self._final.parent)

    def _close(self) -> None:
        if self._durable is not None:
            self._durable.exception()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _key(name: str) -> str:
    """The key of a file by its name below ``incoming/``: ``yyyymmddHHMM-<uuid>``."""
    return f"{name[:4]}/{name[4:6]}/{name[6:8]}/{name[8:12]}/{name[13:]}{_SUFFIX}"


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable("the image store cannot be written") from error


@contextmanager
def _of_the_dead(folder: Path) -> Iterator[bool]:
    """Whether no process that lives writes into this folder; none begins to while the block runs."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
