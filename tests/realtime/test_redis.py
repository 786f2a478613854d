"""Several API processes with a Redis between them: the Socket.IO library's own way from one to the other."""

from __future__ import annotations

import gc
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from secrets import token_urlsafe

import pytest
from pydantic import SecretStr

from tests.realtime.conftest import Connect, Served, serving, until
from tests.realtime.test_consultations import active


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The URL of a Redis with a password, and its process."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    password = token_urlsafe(24)
    configuration = tmp_path / "redis.conf"
    configuration.write_text(
        f'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\nappendonly no\ndir {tmp_path}\n'
    )
    process = subprocess.Popen([program, str(configuration)], stdout=subprocess.DEVNULL)
    yield f"redis://:{password}@127.0.0.1:{port}/0", process
    process.terminate()
    process.wait(10)


@pytest.fixture
def shared(
    mongodb_url: str, tmp_path: Path, redis: tuple[str, subprocess.Popen[bytes]]
) -> Iterator[tuple[Served, subprocess.Popen[bytes]]]:
    """A site whose two processes have this Redis; a connection that it left open is a warning here."""
    url, process = redis
    with serving(mongodb_url, tmp_path / "site", redis_url=SecretStr(url)) as served:
        yield served, process
    gc.collect()


async def test_processes_talk_over_redis(shared: tuple[Served, subprocess.Popen[bytes]], connect: Connect) -> None:
    """What is said in a room is heard once on each process, and nothing of it is stored; without Redis, calls go on."""
    served, process = shared
    doctor, patient, practice, home, consultation = await active(served, connect)
    assert (await practice.call("join-room", consultation["id"], None))["ok"]
    assert (await home.call("join-room", consultation["id"], None))["ok"]
    await practice.told("user-connected")

    async def heard() -> bool:
        await home.emit("message", "Good morning")
        return any(name == "createMessage" for name, _ in practice.events)

    await until(heard)
    practice.forget()
    home.forget()
    await practice.emit("message", "How are you")
    for browser in (home, practice):
        assert await browser.told("createMessage", lambda text, _: text == "How are you") == ["How are you", doctor.id]
    for browser in (home, practice):
        assert sum(payload[0] == "How are you" for name, payload in browser.events if name == "createMessage") == 1
    assert await served.run(served.site.database.collection("signals").count_documents({})) == 0
    process.terminate()
    process.wait(10)
    async with patient.at(served.url) as http:
        assert (await http.post(f"/realtime/consultations/{consultation['id']}/end")).status_code == 200
    await practice.told("consultation", lambda told: told["state"] == "ended")
