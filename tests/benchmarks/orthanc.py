"""Debian's Orthanc as the other archive: DICOM only, its defaults otherwise (SQLite, files synchronised to disk)."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hayat_fhir.demonstration_site import free_port
from tests.benchmarks.figures import Skipped
from tests.benchmarks.processes import end, wait_for

AE_TITLE = "ORTHANC"


def find() -> str:
    """The program.

    Raises:
        Skipped: It is not installed.
    """
    found = shutil.which("Orthanc", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if found is None:
        raise Skipped("Orthanc is not installed (Debian: apt-get install orthanc)")
    return found


@contextmanager
def running(folder: Path, http_port: int | None = None) -> Iterator[int]:
    """An Orthanc with its storage in this folder; gives its DICOM port. It speaks HTTP where it is given a port.

    Without TCP_NODELAY each of its answers, two small segments, waits 40 ms for the delayed acknowledgement.
    """
    port = free_port()
    configuration = folder / "orthanc.json"
    configuration.write_text(
        json.dumps(
            {
                "Name": "Benchmark",
                "StorageDirectory": str(folder / "storage"),
                "IndexDirectory": str(folder / "index"),
                "HttpServerEnabled": http_port is not None,
                "HttpPort": http_port or 0,
                "AuthenticationEnabled": False,
                "RemoteAccessAllowed": False,
                "DicomServerEnabled": True,
                "DicomAet": AE_TITLE,
                "DicomPort": port,
                "DicomAlwaysAllowStore": True,
                "Plugins": [],
            }
        )
    )
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(
            [find(), str(configuration)], stdout=log, stderr=log, env={"TCP_NODELAY": "1", "PATH": "/usr/bin:/bin"}
        )
    try:
        wait_for(lambda: all(map(_listens, filter(None, (port, http_port)))), "Orthanc's start")
        yield port
    finally:
        end(process)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
