"""The embedded mongod, started, stopped, killed and found again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path

import psutil
import pytest

from hayat_fhir.errors import ConfigurationError
from hayat_fhir.store.database import connect, connect_sync
from hayat_fhir.store.mongod import EmbeddedMongod, attach, find_mongod


@pytest.fixture
def mongod(tmp_path: Path) -> Iterator[EmbeddedMongod]:
    """An embedded mongod of the test's own, not yet started."""
    mongod = EmbeddedMongod(tmp_path)
    yield mongod
    mongod.stop()


def _count(url: str) -> int:
    database = connect_sync(url)
    with database.client:
        database["things"].insert_one({})
        return database["things"].count_documents({})


def _kill(mongod: EmbeddedMongod) -> None:
    assert mongod.pid is not None
    os.kill(mongod.pid, signal.SIGKILL)
    deadline = time.monotonic() + 90
    while mongod.alive:
        assert time.monotonic() < deadline, "still running"
        time.sleep(0.02)


def _wait_until_gone(pid: int, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    with suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "still running"
            time.sleep(0.02)


def test_data_and_url_survive_stop_and_kill(mongod: EmbeddedMongod) -> None:
    """A clean stop takes less than five seconds; after it, and after kill -9, the data is there at the same URL."""
    url = mongod.start()
    assert _count(url) == 1
    begin = time.monotonic()
    mongod.stop()
    assert time.monotonic() - begin < 5
    assert not mongod.alive
    assert mongod.start() == url
    _kill(mongod)
    assert mongod.start() == url
    assert _count(url) == 2


def test_a_taken_port_is_given_up(mongod: EmbeddedMongod, tmp_path: Path) -> None:
    """Where another program has the port of the last start, mongod comes back on another one with its data."""
    url = mongod.start()
    assert _count(url) == 1
    mongod.stop()
    port = json.loads((tmp_path / "mongod" / "connection.json").read_text())["port"]
    taker = "import socket,sys; s=socket.socket(); s.setsockopt(1,2,1); s.bind(('127.0.0.1',int(sys.argv[1])));"
    taker += "s.listen(); print('taken',flush=True)\nwhile True: s.accept()[0].close()"
    with subprocess.Popen([sys.executable, "-c", taker, str(port)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        other_url = mongod.start()
        other.kill()
    assert other_url != url
    assert _count(other_url) == 2


def test_a_second_starter_attaches(mongod: EmbeddedMongod, tmp_path: Path) -> None:
    """Who starts it a second time gets the running one, and does not end it."""
    url = mongod.start()
    second = EmbeddedMongod(tmp_path)
    assert second.start() == url
    assert second.pid is None
    second.stop()
    assert mongod.alive
    assert attach(tmp_path) == url
    mongod.stop()
    assert attach(tmp_path) is None


def test_secrets_are_readable_by_the_owner_only(mongod: EmbeddedMongod, tmp_path: Path) -> None:
    """Key, password and URL have mode 0600, the folder 0700, and nobody gets in without the password."""
    url = mongod.start()
    folder = tmp_path / "mongod"
    assert {(folder / name).stat().st_mode & 0o777 for name in ("key", "password", "connection.json")} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    without = "mongodb://" + url.split("@")[1].replace("&authSource=admin", "")
    with pytest.raises(Exception, match="requires authentication"):
        _count(without)


_STARTER = """
import sys, time
from pathlib import Path
from hayat_fhir.store.mongod import EmbeddedMongod
mongod = EmbeddedMongod(Path(sys.argv[1]))
print(mongod.start(), flush=True)
print(mongod.pid, flush=True)
time.sleep(600)
"""


def test_mongod_ends_with_a_killed_starter(mongod: EmbeddedMongod, tmp_path: Path) -> None:
    """A kill -9 of the starter ends its mongod; the next start finds the data, even at once."""
    with subprocess.Popen([sys.executable, "-c", _STARTER, str(tmp_path)], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        url, pid = starter.stdout.readline().decode().strip(), int(starter.stdout.readline())
        assert _count(url) == 1
        starter.kill()
        starter.wait()
    assert mongod.start() == url
    assert _count(url) == 2
    _wait_until_gone(pid)


def test_a_leftover_mongod_is_ended(mongod: EmbeddedMongod, tmp_path: Path) -> None:
    """A mongod that runs on the folder without a starter is ended by the next start, and its data is kept."""
    url = mongod.start()
    assert _count(url) == 1
    arguments = psutil.Process(mongod.pid).cmdline()
    mongod.stop()
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as leftover:
        deadline = time.monotonic() + 90
        while attach(tmp_path) is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert _count(mongod.start()) == 2
        leftover.wait(10)


async def test_a_client_carries_on_after_a_crash(mongod: EmbeddedMongod) -> None:
    """A client made before kill -9 works again after the next start."""
    database = connect(mongod.start())
    await database.collection("things").insert_one({"_id": 1})
    _kill(mongod)
    mongod.start()
    assert await database.collection("things").find_one({"_id": 1}) == {"_id": 1}
    await database.close()


def test_no_program_is_a_clear_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without mongod the message names the three ways to get one."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(sys, "meta_path", [PathFinder])
    monkeypatch.delitem(sys.modules, "fiftyone", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"embedded.*PATH.*HAYAT_MONGODB_URL"):
        find_mongod()
