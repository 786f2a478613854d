"""DCMTK's ``storescp`` as the bound: it writes files, neither synchronised nor indexed, a process for each peer."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hayat_fhir.demonstration_site import free_port
from tests.benchmarks.figures import Skipped
from tests.benchmarks.processes import end, wait_for

AE_TITLE = "STORESCP"
_PATH = "/usr/bin:/usr/local/bin"


def find(program: str) -> str:
    """A program of DCMTK.

    Raises:
        Skipped: It is not installed.
    """
    found = shutil.which(program, path=_PATH)
    if found is None:
        raise Skipped(f"{program} is not installed (Debian: apt-get install dcmtk)")
    return found


@contextmanager
def running(folder: Path) -> Iterator[int]:
    """A ``storescp`` that writes into this folder; gives its port."""
    port = free_port()
    process = subprocess.Popen(
        [find("storescp"), "--fork", "--aetitle", AE_TITLE, "--output-directory", str(folder), str(port)],
        env={"TCP_NODELAY": "1", "PATH": _PATH},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: _listens(port), "storescp's start")
        yield port
    finally:
        end(process)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
