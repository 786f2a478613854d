"""What a crash has left: files without a row go, rows without their bytes go, and what was complete is finished.

The row of an image and its file become durable side by side, and the image is acknowledged once both are. So a crash
can leave either without the other, and only of images that nobody was told are here:

* the process died: its unfinished files tell which; what they hold is whole, for the kernel has it;
* the machine died as well: rows, too, are compared with their files, from the minute on that the process had noted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Protocol

from hayat_fhir.store.blob_folders import LOCK, boot, of_the_dead, remove, sync_folder
from hayat_fhir.store.blobs import Blobs, final_key, minute_key

_SETTLING = 3.0
"""Seconds that a dead process's last statement to the database may still take to arrive."""
_DOUBT = 30.0
"""Seconds that a statement of this process may, whose answer did not come."""


@dataclass(frozen=True, slots=True)
class Named:
    """A row that names a file: the SHA-256 is that of its ``size`` bytes from ``offset`` on."""

    uid: str
    blob: str
    sha256: str
    offset: int
    size: int


class Rows(Protocol):
    """The rows that name files."""

    def naming(self, blob: str) -> list[Named]:
        """Those that name this file."""

    def begun_since(self, key: str) -> Iterable[Named]:
        """Those whose file's key is this one or a later one."""

    def withdraw(self, row: Named) -> None:
        """Take a row back of which nobody was told."""


@dataclass(slots=True)
class Reconciled:
    """What was done: files removed, rows taken back, and files kept in ``damaged/`` whose bytes are not the row's."""

    removed: int = 0
    withdrawn: int = 0
    damaged: int = 0

    def __bool__(self) -> bool:
        return bool(self.removed or self.withdrawn or self.damaged)


def reconcile(blobs: Blobs, rows: Rows, settling: float = _SETTLING, doubt: float = _DOUBT) -> Reconciled:
    """Finish or undo what processes that have died left unfinished, and what this one is in doubt about.

    A file younger than ``settling`` seconds is waited for. What processes that live are writing is left alone.

    Raises:
        Unavailable: The database cannot tell which rows there are.
        OSError: The disk fails.
    """
    done = Reconciled()
    for path in blobs.doubtful(doubt):
        _finish(blobs, rows, path, done)
    for folder in sorted(blobs.unfinished.iterdir()):
        with of_the_dead(folder) as record:
            if record is None:
                continue
            for path in _unfinished(folder):
                time.sleep(min(max(path.stat().st_ctime + settling - time.time(), 0), settling))
                _finish(blobs, rows, path, done)
            if record.boot != boot():
                for row in list(rows.begun_since(minute_key(record.since))):
                    _check(blobs, rows, row, done)
            remove(folder)
    return done


def _unfinished(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.name != LOCK)


def _finish(blobs: Blobs, rows: Rows, path: Path, done: Reconciled) -> None:
    key = final_key(path.name)
    checked = [_check(blobs, rows, row, done) for row in rows.naming(key)]
    if not any(checked):
        blobs.remove(key)
        done.removed += 1
    blobs.settled(path)


def _check(blobs: Blobs, rows: Rows, row: Named, done: Reconciled) -> bool:
    """Whether the file is what the row says, durably; if not, the row is taken back, and what there is kept aside."""
    path = blobs.path(row.blob)
    try:
        with path.open("rb") as file:
            file.seek(row.offset)
            same = file_digest(file, "sha256").hexdigest() == row.sha256 and file.tell() == row.offset + row.size
            if same:
                os.fsync(file.fileno())
                sync_folder(path.parent)
                return True
    except FileNotFoundError:
        pass
    else:
        blobs.set_aside(row.blob)
        done.damaged += 1
    rows.withdraw(row)
    done.withdrawn += 1
    return False
