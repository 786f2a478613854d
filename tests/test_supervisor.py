"""``hayat serve`` as an operator sees it: it starts, restarts what dies, and ends; nothing is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hayat_fhir.child_process import FIRST_PAUSE, LONGEST_PAUSE, STEADY, Backoff
from tests.family import Family, environment, hayat, serving, wait_until

_PASSWORD = "violet-marmot-47-lantern"


def _account(family: Family) -> str:
    added = hayat(
        family.environment,
        *("account", "add", "--role", "doctor", "--email", "d@hospital.example", "--name", "D", "--password-stdin"),
        stdin=f"{_PASSWORD}\n",
    )
    assert added.returncode == 0, added.stderr
    return added.stdout.strip()


def _runs(family: Family, name: str, count: int = 1) -> bool:
    return len(family.processes()[name]) == count


def _gone(processes: list[psutil.Process]) -> bool:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                return False
    return True


def test_a_site_starts_and_ends_within_its_limits(tmp_path: Path) -> None:
    """Ready, each component announced, own processes under 500 MB, all gone within 10 s of SIGTERM."""
    with serving(tmp_path) as family:
        wait_until(lambda: "ready after" in family.log)
        for line in ("mongod is up", "API answers at", "DICOM door listens", "indexes are built"):
            assert line in family.log
        below = [process for group in family.processes().values() for process in group]
        assert {name: len(group) for name, group in family.processes().items()} == {
            "api": 1,
            "dimse": 1,
            "worker": 1,
            "mongod": 1,
        }
        assert family.process is not None
        own = [psutil.Process(family.process.pid), *(process for process in below if process.name() != "mongod")]
        assert sum(process.memory_info().rss for process in own) < 500e6
        begun = time.monotonic()
        assert family.end() == 0
        assert time.monotonic() - begun < 10
        assert _gone(below)
        assert "Traceback" not in family.log
        assert "killed" not in family.log


def test_what_dies_is_started_again_and_nothing_is_lost(tmp_path: Path) -> None:
    """After kill -9 of each process the site is ready again, and what was acknowledged is there."""
    with serving(tmp_path) as family:
        id = _account(family)
        for name in ("api", "dimse", "worker", "mongod"):
            killed = family.processes()[name]
            for process in killed:
                process.kill()
            wait_until(partial(_gone, killed))
            wait_until(partial(_runs, family, name, len(killed)))
            family.wait_until_ready()
        listed = hayat(family.environment, "account", "list")
        assert listed.stdout.split("\t")[0] == id
        assert family.log.count("starting it again") >= 4


def test_connections_wait_while_an_api_process_is_started_again(tmp_path: Path) -> None:
    """A request sent right after kill -9 of the only API process is answered, not refused."""
    with serving(tmp_path) as family:
        [api] = family.processes()["api"]
        api.kill()
        wait_until(lambda: _gone([api]))
        assert family.get("/health/live", timeout=30) == 200


def test_several_api_processes_share_the_port(tmp_path: Path) -> None:
    """With HAYAT_WORKERS=2 one answers while the other is dead."""
    with serving(tmp_path, HAYAT_WORKERS="2") as family:
        apis = family.processes()["api"]
        assert len(apis) == 2
        apis[0].send_signal(signal.SIGKILL)
        assert all(family.get("/health/live") == 200 for _ in range(20))


def test_nothing_outlives_a_killed_supervisor_and_the_next_one_works_at_once(tmp_path: Path) -> None:
    """After kill -9 of the supervisor its children end, and a new one serves the same data on the same ports."""
    with serving(tmp_path) as family:
        id = _account(family)
        before = [process for group in family.processes().values() for process in group]
        assert family.process is not None
        family.process.kill()
        family.process.wait()
        family.start()
        wait_until(lambda: _gone(before), 10)
        family.wait_until_ready()
        assert hayat(family.environment, "account", "list").stdout.startswith(id)


def test_a_second_family_is_refused(tmp_path: Path) -> None:
    """Not on the same data, and not on a port that is taken; the message names the setting."""
    with serving(tmp_path) as family:
        second = hayat(family.environment, "serve")
        assert (second.returncode, second.stderr.split(":")[1].strip()) == (2, "HAYAT_DATA_DIR")
        other = {**family.environment, "HAYAT_DATA_DIR": str(tmp_path / "other")}
        third = hayat(other, "serve")
        assert (third.returncode, third.stderr.split(":")[1].strip()) == (2, "HAYAT_HTTP_PORT")
        assert third.stderr.count("\n") == 1


def test_a_dicom_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    """The start stops with the setting's name."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = hayat(environment(tmp_path, HAYAT_DICOM_PORT=port), "serve")
    assert (done.returncode, done.stderr.split(":")[1].strip()) == (2, "HAYAT_DICOM_PORT")


def test_a_process_that_finds_its_configuration_wrong_stops_the_start(tmp_path: Path) -> None:
    """A first password that will not do ends the family with status 2, and is not in what it prints."""
    password = "too-short"
    settings = {"HAYAT_FIRST_STAFF_EMAIL": "s@hospital.example", "HAYAT_FIRST_STAFF_PASSWORD": password}
    family = Family(environment(tmp_path, **settings), tmp_path)
    family.start()
    assert family.process is not None
    assert family.process.wait(60) == 2
    assert "HAYAT_FIRST_STAFF_PASSWORD" in family.log
    assert password not in family.log
    assert "Traceback" not in family.log


@pytest.mark.parametrize("pause", [0.3, 0.8, 1.2])
def test_a_stop_during_the_start_leaves_nothing(tmp_path: Path, pause: float) -> None:
    """SIGTERM at any time of the start ends the family, mongod included."""
    family = Family(environment(tmp_path), tmp_path)
    family.start()
    time.sleep(pause)
    family.end()
    folder = os.fsencode(tmp_path)
    for process in psutil.process_iter():
        try:
            arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        except OSError:
            continue
        assert folder not in arguments


def test_a_child_without_a_supervisor_does_not_begin(tmp_path: Path) -> None:
    """A supervised process whose lifeline is cut before it began ends with status 0."""
    command = [sys.executable, "-m", "hayat_fhir", "worker", "--supervised"]
    done = subprocess.run(command, env=environment(tmp_path), stdin=subprocess.DEVNULL, timeout=30)
    assert done.returncode == 0
    assert not (tmp_path / "data").exists()


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30))
def test_the_pause_grows_while_it_keeps_dying_and_has_a_limit(lives: list[float]) -> None:
    """Never under the first pause, never over the longest, and short again after a long life."""
    backoff, now = Backoff(), 1000.0
    for life in lives:
        backoff.started(now)
        now += life
        backoff.died(now)
        pause = backoff.due - now
        assert FIRST_PAUSE * 0.999 <= pause <= LONGEST_PAUSE * 1.001
        if life > STEADY + 0.001:
            assert pause == pytest.approx(FIRST_PAUSE)
        now = backoff.due


def test_an_external_mongodb_is_used_instead(tmp_path: Path, mongodb_url: str) -> None:
    """With HAYAT_MONGODB_URL no mongod is started; the URL's password is not shown."""
    with serving(tmp_path, HAYAT_MONGODB_URL=mongodb_url) as family:
        assert family.processes()["mongod"] == []
        assert not (tmp_path / "data" / "mongod").exists()
        _account(family)
        family.end()
        assert mongodb_url.split("@")[0].split(":")[-1] not in family.log
