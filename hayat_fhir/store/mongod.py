"""The embedded MongoDB: a real mongod as a one-node replica set, on a loopback port, with authentication.

Everything lives in ``<data>/mongod/``: the database files (``db/``), the key file and the password (0600), the
log, the lock and ``connection.json`` with the URL for whoever else works on the same data.

Whoever starts it holds the lock (flock) for as long as it runs, and mongod ends with that process: by
``stop()``, or by the kernel's SIGTERM where the process was killed (see ``mongod_child``). A mongod that is
nevertheless still there when the next one starts is ended first; the journal keeps what was acknowledged.
"""

from __future__ import annotations

import base64
import fcntl
import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from hayat_fhir.errors import ConfigurationError
from hayat_fhir.store import mongod_child
from hayat_fhir.store.replica_set import PATIENCE, open_for_use

_ADDRESS_IN_USE = 48
"""The exit status of a mongod that cannot listen on its port."""
_PAGES = "leaf_page_max=8KB"
"""A search reads some tens of documents from as many places: of a collection that does not fit into the cache, small
pages are read and unpacked faster."""
_EVICTION = "eviction_dirty_target=60,eviction_dirty_trigger=75,eviction_updates_target=40,eviction_updates_trigger=60"
"""Most of the cache may be dirty: else a transaction of some thousand resources does not fit, and loading crawls."""

_STOP_PATIENCE = 3.0


class EmbeddedMongod:
    """One mongod on the data of one site.

    Call ``start`` from a thread that lives as long as the process (the main thread): Linux takes the end of
    the starting thread for the end of the parent.
    """

    def __init__(self, data_dir: Path, *, cache_gb: float = 1.0) -> None:
        self._folder = data_dir.absolute() / "mongod"
        self._cache_gb = cache_gb
        self._lock: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the mongod started here; None where there is none, or another process started it."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def alive(self) -> bool:
        """Whether the mongod is running, whoever started it."""
        if self._lock is None:
            return attach(self._folder.parent) is not None
        return self.pid is not None

    def start(self) -> str:
        """Start mongod, or find the one that another process runs on the same data; returns its URL.

        Call it again after mongod has died: it comes back on the same port with the same data.

        Raises:
            ConfigurationError: There is no mongod program, or it does not start; the message says why.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        deadline = time.monotonic() + PATIENCE
        while self._lock is None and not self._take_lock():
            url = attach(self._folder.parent)
            if url is not None:
                return url
            if time.monotonic() > deadline:
                raise ConfigurationError(f"another process is starting mongod in {self._folder}, but none answers")
            time.sleep(0.05)
        try:
            if self.pid is None:
                return self._start_own()
            return _url(self._folder)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the mongod that was started here, within three seconds; one of another process goes on."""
        if self._process is not None:
            _end(self._process)
            self._process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> bool:
        lock = (self._folder / "lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        return True

    def _start_own(self) -> str:
        binary = find_mongod()
        database = self._folder / "db"
        database.mkdir(exist_ok=True, mode=0o700)
        _end_leftover(database)
        _secret(self._folder / "key", base64.b64encode(secrets.token_bytes(576)).decode())
        password = _secret(self._folder / "password", secrets.token_urlsafe(32))
        for wanted in (_last_port(self._folder), None, None):
            port = _free_port(wanted)
            self._process = self._launch(binary, database, port)
            if open_for_use(port, password, lambda: self._process is not None and self._process.poll() is None):
                url = f"mongodb://hayat:{password}@127.0.0.1:{port}/?replicaSet=hayat&authSource=admin"
                _replace(self._folder / "connection.json", json.dumps({"url": url, "port": port}))
                return url
            if self._process.poll() != _ADDRESS_IN_USE:
                break
        raise ConfigurationError(
            f"mongod does not start (status {self._process.poll() if self._process else None}); see {self._folder}/log"
        )

    def _launch(self, binary: Path, database: Path, port: int) -> subprocess.Popen[bytes]:
        options = {
            "dbpath": str(database),
            "port": str(port),
            "bind_ip": "127.0.0.1",
            "replSet": "hayat",
            "keyFile": str(self._folder / "key"),
            "logpath": str(self._folder / "log"),
            "wiredTigerCacheSizeGB": f"{self._cache_gb:g}",
            "wiredTigerEngineConfigString": _EVICTION,
            "wiredTigerCollectionConfigString": _PAGES,
            "oplogSize": "990",
            "networkMessageCompressors": "disabled",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        arguments += ["--quiet", "--nounixsocket", "--noscripting", "--logappend"]
        for parameter in ("diagnosticDataCollectionEnabled=false", "shutdownTimeoutMillisForSignaledShutdown=0"):
            arguments += ["--setParameter", parameter]
        _forget_old_log(self._folder / "log")
        child = [sys.executable, "-I", "-S", mongod_child.__file__, str(os.getpid()), str(binary), *arguments]
        return subprocess.Popen(  # noqa: S603 - no shell, and every argument is made here
            child, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )


def attach(data_dir: Path) -> str | None:
    """The URL of the mongod that another process runs on this data; None where none listens."""
    folder = data_dir.absolute() / "mongod"
    port = _last_port(folder)
    if port is None:
        return None
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return None
    return _url(folder)


def running_url(data_dir: Path, external: str | None) -> str:
    """The URL of the site's MongoDB: the external one, else the embedded one that runs.

    Raises:
        ConfigurationError: Neither.
    """
    url = external or attach(data_dir)
    if url is None:
        raise ConfigurationError("no MongoDB runs: start the site with `hayat serve`, or set HAYAT_MONGODB_URL")
    return url


def find_mongod() -> Path:
    """The mongod program: of the ``embedded`` extra, else on the PATH.

    Raises:
        ConfigurationError: There is none.
    """
    spec = importlib.util.find_spec("fiftyone")
    for location in (spec.submodule_search_locations if spec else None) or ():
        program = Path(location) / "db" / "bin" / "mongod"
        if program.is_file():
            return program
    found = shutil.which("mongod")
    if found is None:
        raise ConfigurationError(
            "no mongod found: install hayat-fhir[embedded] (Linux x86-64), put mongod on the PATH, "
            "or set HAYAT_MONGODB_URL to a replica set"
        )
    return Path(found)


def _url(folder: Path) -> str:
    return str(json.loads((folder / "connection.json").read_text())["url"])


def _last_port(folder: Path) -> int | None:
    try:
        return int(json.loads((folder / "connection.json").read_text())["port"])
    except FileNotFoundError:
        return None


def _free_port(wanted: int | None) -> int:
    """The port ``wanted`` if it is or becomes free soon (its last holder may be just ending), else any that is.

    Any: below the range from which Linux takes the ports of outgoing connections, so that it stays free.
    """
    deadline = time.monotonic() + 1
    while wanted is not None and time.monotonic() < deadline:
        if _is_free(wanted):
            return wanted
        time.sleep(0.05)
    while time.monotonic() < deadline + PATIENCE:
        port = 20000 + secrets.randbelow(12000)
        if _is_free(port):
            return port
    raise ConfigurationError("no free port on 127.0.0.1")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _secret(path: Path, fresh: str) -> str:
    """The secret in this file, written once with ``fresh`` and readable by its owner only."""
    if not path.exists():
        _replace(path, fresh)
    return path.read_text()


def _replace(path: Path, text: str) -> None:
    """Write a file that is whole or not there, and readable by its owner only."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _forget_old_log(path: Path) -> None:
    """Keep one earlier log beside the present one once that has grown over 16 MB."""
    if path.exists() and path.stat().st_size > 2**24:
        path.replace(path.with_name("log.1"))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_leftover(database: Path) -> None:
    """End a mongod that outlived its starter: only one that runs on exactly this folder."""
    try:
        pid = int((database / "mongod.lock").read_text() or "0")
    except FileNotFoundError:
        return
    for number, patience in ((signal.SIGTERM, _STOP_PATIENCE), (signal.SIGKILL, PATIENCE)):
        deadline = time.monotonic() + patience
        if not _runs_on(pid, database):
            return
        os.kill(pid, number)
        while _runs_on(pid, database) and time.monotonic() < deadline:
            time.sleep(0.02)


def _runs_on(pid: int, database: Path) -> bool:
    """Whether this process is a mongod on this folder (a process id may have been given to another program)."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") if pid else []
    except (FileNotFoundError, ProcessLookupError):
        return False
    return os.fsencode(database) in arguments
