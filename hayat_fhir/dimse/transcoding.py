"""Another transfer syntax for an image of which a peer takes none that is stored: in a process of its own.

Whatever an image does to a decoder, it does it there: its time and memory are limited, and the door goes on. The
process is this module; a line of JSON on its standard input names the file and the syntax that is wanted, its answer
is the file with the data set.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

from hayat_fhir.child_process import leave_no_core
from hayat_fhir.errors import Unprocessable

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
TARGETS = (EXPLICIT, IMPLICIT)
"""What an image can be transcoded to, the better first."""
_PATIENCE = 60.0
_MEMORY = 2 << 30
"""Bytes of memory that the process may have."""
_LARGEST = 1 << 29
"""Bytes of the largest file that is transcoded."""


class Transcoder:
    """Transcodes images one after the other; nothing runs before the first, and nothing after ``close``."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def transcode(self, path: Path, syntax: str) -> Path:
        """A file that holds the image's data set, and nothing else, in this transfer syntax; valid until the next.

        Raises:
            Unprocessable: It cannot be transcoded.
        """
        try:
            if path.stat().st_size > _LARGEST:
                raise Unprocessable("the image is too large to be transcoded")
            process, folder = self._running()
            made = Path(folder) / "data-set"
            process.stdin.write(json.dumps([str(path), syntax, str(made)]) + "\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            timer = threading.Timer(_PATIENCE, process.kill)
            timer.start()
            try:
                answer = process.stdout.readline()  # type: ignore[union-attr]
            finally:
                timer.cancel()
        except OSError as error:
            self.close()
            raise Unprocessable("the image cannot be transcoded") from error
        if answer != "done\n":
            self.close()
            raise Unprocessable("the image cannot be transcoded")
        return made

    def _running(self) -> tuple[subprocess.Popen[str], str]:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="hayat-")
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hayat_fhir.dimse.transcoding"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        return self._process, self._folder.name

    def close(self) -> None:
        """End the process and remove what it has made."""
        if self._process is not None:
            self._process.kill()
            with suppress(OSError):
                self._process.communicate()
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def main() -> None:
    """Answer each line until the input ends, or an image fails: then the process is not to be trusted any more."""
    leave_no_core()
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    memory = _MEMORY if hard == resource.RLIM_INFINITY else min(_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    for line in sys.stdin:
        source, syntax, target = json.loads(line)
        _transcode(Path(source), syntax, Path(target))
        sys.stdout.write("done\n")
        sys.stdout.flush()


def _transcode(source: Path, syntax: str, target: Path) -> None:
    """``native`` and what it imports are for this process alone."""
    from pydicom.filebase import DicomFileLike
    from pydicom.filewriter import write_dataset

    from hayat_fhir.dicom.transcoding import native

    dataset = native(str(source))
    with target.open("wb") as file:
        out = DicomFileLike(file)
        out.is_little_endian, out.is_implicit_VR = True, syntax == IMPLICIT
        write_dataset(out, dataset)


if __name__ == "__main__":
    main()
