"""The blob store: image bytes in files that are never rewritten.

A file's name is made here, never from anything a peer sent. It is written below ``incoming/``, in a folder of the
process that writes it, and linked to its final name, ``yyyy/mm/dd/HHMM/<32 hex digits>.dcm``; the first name is removed
only once whoever stores the row of it says that both are durable. So what a crash leaves unfinished is found below
``incoming/`` alone, however many files there are; ``blob_reconciliation`` finishes or undoes it.
"""

from __future__ import annotations

import mmap
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from hayat_fhir.errors import Unavailable
from hayat_fhir.store.blob_folders import Folder, Lease, sync_folder

_SUFFIX = ".dcm"
_MINUTE = 12
"""Characters of a name that say when the file was begun: ``yyyymmddHHMM``."""
_SPACE_EVERY = 32 * 2**20
"""Bytes of one file between two looks at the free space."""
_NOTE_SECONDS = 10.0
_FOLDERS = 8
"""Folders that are kept open: those of the last minutes."""
_PAGE = 4096
_HELD = 64 * 1024
"""Bytes that are held back until there are more, or the file is complete."""
Bytes = bytes | bytearray | memoryview


class Blobs:
    """Files below one directory. ``reserve`` is how many bytes of its file system are left to others."""

    def __init__(self, root: Path, reserve: int = 0) -> None:
        self._root = root
        self._reserve = reserve
        self._folders: dict[str, Folder] = {}
        self._lease: Lease | None = None
        self._noted = 0.0
        self._begun: dict[str, None] = {}
        self._doubtful: dict[str, float] = {}
        self._lock = threading.Lock()
        (root / "incoming").mkdir(parents=True, exist_ok=True, mode=0o700)

    def receive(self) -> IncomingBlob:
        """Begin a file; it is written as it arrives.

        Raises:
            Unavailable: The disk is full or fails.
        """
        self._check_space()
        with _disk():
            name = f"{time.strftime('%Y%m%d%H%M', time.gmtime())}-{os.urandom(16).hex()}"
            try:
                return IncomingBlob(self, name, self._incoming(name))
            except OSError:
                self._begun.pop(name, None)
                raise

    def put(self, parts: Iterable[Bytes]) -> str:
        """Store these bytes, one part after the other; returns the key once they are durable.

        Raises:
            Unavailable: The disk is full or fails; nothing is left behind.
        """
        blob = self.receive()
        try:
            for part in parts:
                blob.write(part)
            blob.link()
            blob.sync()
        except (Unavailable, OSError) as error:
            blob.discard()
            raise Unavailable("the image store cannot be written") from error
        blob.settle()
        return blob.key

    @property
    def unfinished(self) -> Path:
        """Where the folders of unfinished files are, one of each process."""
        return self._root / "incoming"

    def path(self, key: str) -> Path:
        """The file of a key."""
        return self._root / key

    def remove(self, key: str) -> None:
        """Remove a file that no row names."""
        self.path(key).unlink(missing_ok=True)

    def set_aside(self, key: str) -> None:
        """Keep a file whose bytes are not what they should be in ``damaged/``, for people to look at."""
        damaged = self._root / "damaged"
        damaged.mkdir(exist_ok=True, mode=0o700)
        self.path(key).replace(damaged / self.path(key).name)

    def make_durable(self, key: str) -> None:
        """Return once a file that somebody else may still be writing to disk is durable.

        Raises:
            Unavailable: It is not there, or the disk fails.
        """
        with _disk():
            descriptor = os.open(self.path(key), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            sync_folder(self.path(key).parent)

    def doubtful(self, settling: float) -> list[Path]:
        """Unfinished files of this process of which nobody knows, for that many seconds, whether a row names them."""
        latest = time.monotonic() - settling
        with self._lock:
            found = [name for name, since in self._doubtful.items() if since <= latest]
            folder = None if self._lease is None else self._lease.folder
        return [] if folder is None else [folder / name for name in found]

    def settled(self, unfinished: Path) -> None:
        """It is clear what becomes of an unfinished file, and has been done: its first name goes."""
        unfinished.unlink(missing_ok=True)
        self._forget(unfinished.name)

    def keys(self) -> Iterator[str]:
        """The keys of all files that are stored; to check them all, which takes its time."""
        for path in self._root.glob(f"[0-9]*/*/*/*/*{_SUFFIX}"):
            yield str(path.relative_to(self._root))

    def disk(self) -> tuple[int, int]:
        """Bytes of the disk that the files are on, and those of it that are free for us.

        Raises:
            Unavailable: The disk fails.
        """
        with _disk():
            found = os.statvfs(self._root)
        return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize

    def free_bytes(self) -> int:
        """What the file system still has for us, the reserve included.

        Raises:
            Unavailable: The disk fails.
        """
        return self.disk()[1]

    def _check_space(self) -> None:
        if self.free_bytes() < self._reserve:
            raise Unavailable("the image store has too little space left")

    def _incoming(self, name: str) -> str:
        """This process's own folder of unfinished files, in which one of this name is begun now."""
        with self._lock:
            self._begun[name] = None
            oldest = next(iter(self._begun))[:_MINUTE]
            if self._lease is None:
                self._lease = Lease(self.unfinished, oldest)
            elif time.monotonic() - self._noted > _NOTE_SECONDS:
                self._lease.note(oldest)
                self._noted = time.monotonic()
            return str(self._lease.folder)

    def _doubt(self, name: str) -> None:
        with self._lock:
            self._doubtful[name] = time.monotonic()

    def _forget(self, name: str) -> None:
        with self._lock:
            self._begun.pop(name, None)
            self._doubtful.pop(name, None)

    def _folder(self, named: str) -> Folder:
        """A folder, made durably where it is not there yet: it is only once the one above it has been fsynced."""
        with self._lock:
            found = self._folders.get(named)
            if found is None:
                folder = Path(named)
                missing = [folder, *folder.parents][: len(folder.relative_to(self._root).parts)]
                for made in reversed(missing):
                    if not made.is_dir():
                        made.mkdir(exist_ok=True, mode=0o700)
                    sync_folder(made.parent)
                if len(self._folders) >= _FOLDERS:
                    del self._folders[next(iter(self._folders))]
                found = self._folders[named] = Folder(named)
            return found


class IncomingBlob:
    """One file on its way in: ``write``, ``link``, ``sync``, then ``settle``; or ``discard`` at any time, or ``leave``.

    Paths are text here: as objects they would cost more than what is done with them.
    """

    def __init__(self, blobs: Blobs, name: str, folder: str) -> None:
        self.key = final_key(name)
        self.size = 0
        self._blobs = blobs
        self._name = name
        self._incoming = f"{folder}/{name}"
        self._final = f"{blobs._root}/{self.key}"
        self._folder: Folder | None = None
        self._checked = 0
        self._held = bytearray()
        self._descriptor = os.open(self._incoming, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def write(self, data: Bytes) -> None:
        """Append. Whole pages go to the kernel, which is slow where it gets one in two pieces; the rest is held back.

        Raises:
            Unavailable: The disk is full or fails.
        """
        if self.size - self._checked >= _SPACE_EVERY:
            self._blobs._check_space()
            self._checked = self.size
        self.size += len(data)
        if len(self._held) + len(data) < _HELD:
            self._held += data
            return
        pages = memoryview(data)[: max(len(data) - self.size % _PAGE, 0)]
        self._write_all([self._held, pages])
        self._held = bytearray(memoryview(data)[len(pages) :])

    def mapped(self) -> mmap.mmap:
        """What has been written, to be read; close it after use. Not of an empty file.

        Raises:
            Unavailable: The disk is full or fails.
        """
        self._write_held()
        return mmap.mmap(self._descriptor, self.size, prot=mmap.PROT_READ)

    def link(self) -> None:
        """The file is complete: give it its final name.

        Raises:
            Unavailable: The disk is full or fails.
        """
        self._write_held()
        with _disk():
            self._folder = self._blobs._folder(self._final.rpartition("/")[0])
            os.link(self._incoming, self._final)

    def sync(self) -> None:
        """Return once the linked file and its final name are durable.

        Raises:
            Unavailable: The disk fails.
        """
        with _disk():
            os.fsync(self._descriptor)
            if self._folder is not None:
                self._folder.sync()

    def settle(self) -> None:
        """File and row are durable: it is no longer unfinished."""
        self._close()
        self._unlink(self._incoming)
        self._blobs._forget(self._name)

    def discard(self) -> None:
        """Leave nothing behind; harmless once it is settled or left."""
        if self._descriptor < 0:
            return
        self._close()
        self._unlink(self._final)
        self._unlink(self._incoming)
        self._blobs._forget(self._name)

    def leave(self) -> None:
        """Nobody knows whether there is a row: leave it to the reconciliation."""
        self._close()
        self._blobs._doubt(self._name)

    def _write_held(self) -> None:
        self._write_all([self._held])
        self._held = bytearray()

    def _write_all(self, parts: list[Bytes]) -> None:
        with _disk():
            left = sum(map(len, parts)) - os.writev(self._descriptor, parts)
            if left:
                rest = memoryview(b"".join(parts))
                while left:
                    left -= os.write(self._descriptor, rest[-left:])

    def _unlink(self, path: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - as above

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def final_key(name: str) -> str:
    """The key of a file by its name below ``incoming/``: ``yyyymmddHHMM-<32 hex digits>``."""
    return f"{minute_key(name)}/{name[13:]}{_SUFFIX}"


def minute_key(minute: str) -> str:
    """What the keys of all files begin with that were begun in this minute, ``yyyymmddHHMM``."""
    return f"{minute[:4]}/{minute[4:6]}/{minute[6:8]}/{minute[8:12]}"


class _disk:  # noqa: N801 - reads as a statement: ``with _disk(): os.write(..)``
    """Translates what the disk raises inside."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, OSError):
            raise Unavailable("the image store cannot be written") from error
