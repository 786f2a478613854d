"""A real ``hayat serve`` for tests: its processes, and what it prints."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from hayat_fhir.demonstration_site import free_port

PATIENCE = 60.0


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """This environment with a site's settings: HTTP and DICOM on free ports, data in the folder."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("HAYAT_")}
    ports = {"HAYAT_HTTP_PORT": str(free_port()), "HAYAT_DICOM_PORT": str(free_port())}
    return {**own, **ports, "HAYAT_DATA_DIR": str(folder / "data"), **settings}


def hayat(environment: dict[str, str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a ``hayat`` command to its end."""
    command = [sys.executable, "-m", "hayat_fhir", *arguments]
    return subprocess.run(command, env=environment, input=stdin, capture_output=True, text=True, timeout=PATIENCE)


def wait_until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Return once the condition holds; TimeoutError after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


@dataclass(slots=True)
class Family:
    """One ``hayat serve``; its lines are in ``log``."""

    environment: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return (self.folder / "serve.log").read_text()

    @property
    def port(self) -> int:
        """The HTTP port."""
        return int(self.environment["HAYAT_HTTP_PORT"])

    def start(self) -> None:
        """Start it, and return at once."""
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hayat_fhir", "serve"], env=self.environment, stdout=log, stderr=log
            )

    def get(self, path: str, timeout: float = 10.0) -> int:
        """The status of a GET request; 0 where nobody listens, or nobody answers in time."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (ConnectionError, TimeoutError):
            return 0
        finally:
            connection.close()

    def wait_until_ready(self) -> None:
        """Return once ``/health/ready`` answers 200; it must not have ended before."""

        def ready() -> bool:
            if self.process is None or self.process.poll() is not None:
                raise AssertionError(self.log)
            return self.get("/health/ready") == http.client.OK

        wait_until(ready)

    def processes(self) -> dict[str, list[psutil.Process]]:
        """The running processes below the supervisor, by name: api, dimse, worker, mongod."""
        found: dict[str, list[psutil.Process]] = {"api": [], "dimse": [], "worker": [], "mongod": []}
        if self.process is None:
            return found
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if process.status() == psutil.STATUS_ZOMBIE:
                    continue
                arguments = process.cmdline()
                name = "mongod" if process.name() == "mongod" else arguments[3] if len(arguments) > 3 else ""
            except psutil.NoSuchProcess:  # it has ended since
                continue
            if name in found:
                found[name].append(process)
        return found

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send the signal to the supervisor and wait; its exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Family]:
    """A family that is ready; it ends with the block."""
    family = Family(environment(folder, **settings), folder)
    try:
        family.start()
        family.wait_until_ready()
        yield family
    finally:
        family.end()
