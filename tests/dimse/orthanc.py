"""Orthanc as a peer: its DICOM port and its REST API on free ports of this machine."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Orthanc:
    """A running Orthanc, which knows the site as ``HAYAT``."""

    client: httpx.Client
    dicom_port: int

    def get(self, path: str) -> Any:
        """The answer to a GET."""
        return self.client.get(path).raise_for_status().json()

    def post(self, path: str, body: Any) -> Any:
        """The answer to a POST."""
        content = body if isinstance(body, bytes) else json.dumps(body)
        return self.client.post(path, content=content).raise_for_status().json()


DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@contextmanager
def orthanc(folder: Path, port: int, dicom_port: int, dicomweb: tuple[str, str] | None = None) -> Iterator[Orthanc]:
    """An Orthanc that knows the site with this DICOM port; skips where it is not installed.

    ``dicomweb``: the URL of the site's DICOMweb door and a token for it; then Orthanc runs with its plugin.
    """
    found = shutil.which("Orthanc")
    if found is None:
        pytest.skip("Orthanc is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    http_port = free_port()
    settings: dict[str, Any] = {
        "Name": "Orthanc",
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "Plugins": [],
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": "ORTHANC",
        "AuthenticationEnabled": False,
        "RemoteAccessAllowed": False,
        "DicomModalities": {
            "hayat": {"AET": "HAYAT", "Host": "127.0.0.1", "Port": port, "AllowStorageCommitment": True}
        },
    }
    if dicomweb is not None:
        if not DICOMWEB.exists():
            pytest.skip("Orthanc's DICOMweb plugin is not installed")
        url, token = dicomweb
        server = {"Url": url, "HttpHeaders": {"Authorization": f"Bearer {token}"}}
        settings |= {"Plugins": [str(DICOMWEB)], "DicomWeb": {"Enable": True, "Servers": {"hayat": server}}}
    (folder / "orthanc.json").write_text(json.dumps(settings))
    log = (folder / "log").open("wb")
    process = subprocess.Popen([found, str(folder / "orthanc.json")], stdout=log, stderr=log)
    client = httpx.Client(base_url=f"http://127.0.0.1:{http_port}", timeout=30)
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                client.get("/system").raise_for_status()
                break
            except httpx.HTTPError:
                assert time.monotonic() < deadline, "Orthanc does not start"
                time.sleep(0.1)
        yield Orthanc(client, dicom_port)
    finally:
        client.close()
        process.kill()
        process.wait()
        log.close()
