"""The blob store: image bytes in files that are never rewritten.

A file's name is made here, never from anything a peer sent. It is durable when ``put`` returns: written to a
temporary name in the same file system, fsynced, renamed, and the folder fsynced.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from uuid import uuid4

from hayat_fhir.errors import Unavailable

_SUFFIX = ".dcm"


class Blobs:
    """Files below one directory: ``ab/cd/<uuid>.dcm``, and ``incoming/`` for what is being written."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, parts: Iterable[bytes | memoryview]) -> str:
        """Store these bytes, one part after the other; returns the key once they are durable.

        Raises:
            Unavailable: The disk is full or fails; nothing is left behind.
        """
        name = uuid4().hex
        temporary = self._incoming / name
        key = f"{name[:2]}/{name[2:4]}/{name}{_SUFFIX}"
        path = self._root / key
        try:
            with temporary.open("xb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            self._make_folder(path.parent)
            temporary.rename(path)
            _sync_folder(path.parent)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise Unavailable("the image store cannot be written") from error
        return key

    def _make_folder(self, folder: Path) -> None:
        """Make ``ab/cd``, durably: a new folder is there only once its parent has been fsynced."""
        for made in (folder.parent, folder):
            if not made.is_dir():
                made.mkdir(exist_ok=True, mode=0o700)
                _sync_folder(made.parent)

    def path(self, key: str) -> Path:
        """The file of a key."""
        return self._root / key

    def remove(self, key: str) -> None:
        """Remove a file that no row names."""
        (self._root / key).unlink(missing_ok=True)

    def sweep(self, is_known: Callable[[str], bool]) -> int:
        """Remove what a crash left behind: temporary files, and files whose key nobody knows; how many.

        Call it while nothing is being written.
        """
        swept = 0
        for temporary in self._incoming.iterdir():
            temporary.unlink()
            swept += 1
        for path in self._root.glob(f"??/??/*{_SUFFIX}"):
            if not is_known(str(path.relative_to(self._root))):
                path.unlink()
                swept += 1
        return swept


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
