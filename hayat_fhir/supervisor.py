"""``hayat serve``: one site as a family of processes, each restarted when it dies.

mongod first, then the API, the DICOM door and the worker; they end in the opposite order. A lock on the data
directory keeps a second family away; children end by themselves when the supervisor is killed.
"""

from __future__ import annotations

import fcntl
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import IO, TYPE_CHECKING

from hayat_fhir.errors import ConfigurationError
from hayat_fhir.store.mongod import EmbeddedMongod

if TYPE_CHECKING:
    from hayat_fhir.settings import Settings

_TICK = 0.1
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0
_STEADY = 30.0
"""Seconds after which a process that dies is restarted at once again."""
_PATIENCE = 8.0
Announce = Callable[[str], None]


@dataclass(slots=True)
class _Child:
    """One process of the family."""

    name: str
    arguments: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = _FIRST_PAUSE
    due: float = field(default=0.0)

    def start(self, environment: dict[str, str]) -> None:
        self.started = time.monotonic()
        self.process = subprocess.Popen([sys.executable, "-m", "hayat_fhir", *self.arguments], env=environment)  # noqa: S603

    def needs_start(self) -> bool:
        """Whether it is dead and its pause is over; the pause grows while it keeps dying soon."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            steady = now - self.started > _STEADY
            self.pause = _FIRST_PAUSE if steady else min(self.pause * 2, _LONGEST_PAUSE)
            self.due = now + self.pause
            self.process = None
        return self.process is None and now >= self.due


class Supervisor:
    """Runs one site until it is told to stop. ``announce`` gets a line for people now and then."""

    def __init__(self, settings: Settings, announce: Announce) -> None:
        self._settings = settings
        self._announce = announce
        self._stopping = threading.Event()
        self._mongod = None if settings.mongodb_url else EmbeddedMongod(settings.data_dir)
        names = [*(["api"] * settings.workers), "dimse", "worker"]
        self._children = [_Child(name, [name, "--supervised"]) for name in names]
        self._environment = settings.environment()

    def run(self) -> None:
        """Start everything, watch over it, and end it on SIGTERM or SIGINT.

        Raises:
            ConfigurationError: Another family runs on this data directory, or mongod does not start.
        """
        lock = self._lock()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        try:
            self._start_mongod()
            threading.Thread(target=self._announce_ready, daemon=True).start()
            while not self._stopping.is_set():
                self._watch()
                self._stopping.wait(_TICK)
        finally:
            self._end()
            lock.close()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stopping.set()

    def _lock(self) -> IO[bytes]:
        self._settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (self._settings.data_dir / "serve.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise ConfigurationError(f"another hayat serve runs on {self._settings.data_dir}") from error
        return lock

    def _start_mongod(self) -> None:
        if self._mongod is not None:
            self._mongod.start()
            self._announce("mongod is up")

    def _watch(self) -> None:
        if self._mongod is not None and not self._mongod.alive:
            self._announce("mongod died; starting it again")
            self._mongod.start()
        for child in self._children:
            if child.needs_start():
                if child.started:
                    self._announce(f"{child.name} died; starting it again")
                child.start(self._environment)

    def _announce_ready(self) -> None:
        begun = time.monotonic()
        while not self._stopping.is_set() and not self._is_ready():
            self._stopping.wait(_TICK)
        if not self._stopping.is_set():
            settings = self._settings
            self._announce(
                f"ready after {time.monotonic() - begun:.1f} s: FHIR {settings.fhir_url}, "
                f"DICOM {settings.ae_title}@{settings.dicom_host}:{settings.dicom_port}"
            )

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(self._settings.http_host, self._settings.http_port, timeout=1)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _end(self) -> None:
        """End the children, then mongod; whoever does not end in time is killed."""
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + _PATIENCE
        for process in running:
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._mongod is not None:
            self._mongod.stop()


def end_with_parent() -> None:
    """End this process (SIGTERM) when the one that started it is gone."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
