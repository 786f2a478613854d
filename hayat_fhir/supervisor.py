"""``hayat serve``: one site as a family of processes, each restarted when it dies.

mongod first, then the API, the DICOM door and the worker, which load their code while mongod starts; they end in
the opposite order. The supervisor opens the HTTP and the DICOM port and hands the listening sockets to the processes
that serve them, so that connections wait in the queue, rather than fail, while a process is started again. A lock on
the data directory keeps a second family away.
"""

from __future__ import annotations

import fcntl
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType
from typing import TYPE_CHECKING

from hayat_fhir.child_process import MORE, Backoff, ChildProcess
from hayat_fhir.errors import ConfigurationError
from hayat_fhir.listening import listening_socket
from hayat_fhir.readiness import watch_readiness
from hayat_fhir.store.mongod import EmbeddedMongod

if TYPE_CHECKING:
    from hayat_fhir.settings import Settings

_TICK = 0.1
_PORT_PATIENCE = 5.0
"""Seconds for the processes of a killed supervisor to give its ports back."""
_PATIENCE = 6.5
"""Seconds for the children to end; mongod has three more."""
_MISCONFIGURED = 2
"""The exit status of a process whose configuration is wrong."""
Announce = Callable[[str], None]


class _StoppedWhileStarting(BaseException):
    """SIGTERM or SIGINT while mongod is started: nothing below may swallow it."""


class Supervisor:
    """Runs one site until it is told to stop. ``announce`` gets a line for people now and then."""

    def __init__(self, settings: Settings, announce: Announce) -> None:
        self._settings = settings
        self._announce = announce
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._mongod = None if settings.mongodb_url else EmbeddedMongod(settings.data_dir)
        self._mongod_backoff = Backoff()
        self._starting_mongod = False
        self._children: list[ChildProcess] = []
        self._dicom: tuple[int, ...] = ()
        self._wants_more = False
        self._environment = settings.environment()

    def run(self) -> None:
        """Start everything, watch over it, and end it on SIGTERM, SIGINT or SIGHUP.

        Raises:
            ConfigurationError: Another family runs on this data directory, a port is taken, mongod does not
                start, or a process finds its configuration wrong.
        """
        begun = time.monotonic()
        with ExitStack() as stack:
            self._lock(stack)
            self._open_ports(stack)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, self._stop)
            signal.signal(MORE, self._hear_more)
            stack.callback(self._end)
            try:
                for child in self._children:
                    child.start_if_due(self._environment)
                self._start_mongod()
                self._watch_readiness(begun)
                while not self._stopping.is_set():
                    self._watch()
                    self._stopping.wait(_TICK)
            except _StoppedWhileStarting:
                return

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stopping.set()
        if self._starting_mongod:
            raise _StoppedWhileStarting

    def _hear_more(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._wants_more = True

    def _lock(self, stack: ExitStack) -> None:
        folder = self._settings.data_dir
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = stack.enter_context((folder / "serve.lock").open("ab"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(f"HAYAT_DATA_DIR: another hayat serve runs on {folder}") from error

    def _open_ports(self, stack: ExitStack) -> None:
        """Listen on the ports for the processes that serve them."""
        settings = self._settings
        http = listening_socket("HAYAT_HTTP_PORT", settings.http_host, settings.http_port, _PORT_PATIENCE)
        stack.enter_context(http)
        dicom = [stack.enter_context(listening_socket(*port, _PORT_PATIENCE)) for port in settings.dicom_ports]
        api = ["api", "--socket", str(http.fileno())]
        self._dicom = tuple(one.fileno() for one in dicom)
        self._children = [
            *(ChildProcess("api", api, (http.fileno(),)) for _ in range(settings.workers)),
            self._dimse(),
            ChildProcess("worker", ["worker"]),
        ]

    def _dimse(self) -> ChildProcess:
        sockets = [word for descriptor in self._dicom for word in ("--socket", str(descriptor))]
        return ChildProcess("dimse", ["dimse", *sockets], self._dicom)

    def _start_mongod(self) -> None:
        if self._mongod is None:
            return
        self._starting_mongod = True
        try:
            if not self._stopping.is_set():
                self._mongod.start()
                self._mongod_backoff.started(time.monotonic())
                self._announce("mongod is up")
        finally:
            self._starting_mongod = False

    def _watch(self) -> None:
        """Start whatever is not running and due."""
        self._watch_mongod()
        if self._wants_more:
            self._wants_more = False
            if sum(child.name == "dimse" for child in self._children) < self._settings.dicom_processes:
                self._children.append(self._dimse())
        for child in self._children:
            if child.has_died():
                if child.status == _MISCONFIGURED and not self._ready.is_set():
                    raise ConfigurationError(f"{child.name} cannot run with this configuration")
                self._announce(f"{child.name} died (status {child.status}); starting it again")
            child.start_if_due(self._environment)
            child.begin()

    def _watch_mongod(self) -> None:
        now = time.monotonic()
        if self._mongod is None or self._mongod.alive or now < self._mongod_backoff.due:
            return
        self._mongod_backoff.died(now)
        self._announce("mongod died; starting it again")
        try:
            self._start_mongod()
        except ConfigurationError as error:
            self._announce(str(error))

    def _watch_readiness(self, begun: float) -> None:
        settings = self._settings
        names = {
            "api": f"API answers at {settings.site_url}",
            "mongodb": "MongoDB is up, its indexes are built",
            "dicom": f"DICOM door listens as {settings.ae_title} on "
            + " and ".join(f"{host}:{port}" for _, host, port in settings.dicom_ports),
        }

        def watch() -> None:
            address = (settings.http_host, settings.http_port)
            for component in watch_readiness(*address, self._stopping):
                if component in names:
                    self._announce(names[component])
            if not self._stopping.is_set():
                self._ready.set()
                self._announce(f"ready after {time.monotonic() - begun:.1f} s: {settings.fhir_url}")

        threading.Thread(target=watch, name="readiness", daemon=True).start()

    def _end(self) -> None:
        """End the children, the last started first, then mongod; whoever does not end in time is killed."""
        self._stopping.set()
        deadline = time.monotonic() + _PATIENCE
        for child in reversed(self._children):
            child.terminate()
        for child in reversed(self._children):
            if not child.wait(max(deadline - time.monotonic(), 0.0)):
                self._announce(f"{child.name} did not end in time and was killed")
        if self._mongod is not None:
            self._mongod.stop()
        self._announce("ended")
