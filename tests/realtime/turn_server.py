"""coturn as docker-compose.yml runs it, on this machine's loopback."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from aioice import turn

from hayat_fhir.realtime.ice import IceServers

_COMPOSE = Path(__file__).parents[2] / "docker-compose.yml"
SECRET = "kestrel-71-umbra-quarry"
_OWN = ("-c", "--external-ip", "--listening-port", "--pidfile", "--realm")


@dataclass(frozen=True, slots=True)
class Turn:
    """A running server."""

    port: int

    def credentials(self, account: str, *, ago: float = 0) -> tuple[str, str]:
        """What an account gets for half an hour, or got some time ago."""
        ice = IceServers((f"turn:127.0.0.1:{self.port}",), SECRET.encode(), seconds=1800)
        (server,) = ice.configuration(account, time.time() - ago)["iceServers"]
        return server["username"], server["credential"]

    async def allocate(self, username: str, credential: str) -> turn.TurnTransport:
        """A relay's port."""
        where = ("127.0.0.1", self.port)
        transport, _ = await turn.create_turn_endpoint(asyncio.DatagramProtocol, where, username, credential)
        return transport


def arguments() -> list[str]:
    """The server's, without those that belong to the machine."""
    (script,) = yaml.safe_load(_COMPOSE.read_text())["services"]["coturn"]["command"]
    command = shlex.split(script.replace("$$", "$").partition("exec turnserver")[2])
    return [one for one in command[2:] if not one.startswith(_OWN)]


@contextmanager
def turn_server(folder: Path, arguments: Sequence[str]) -> Iterator[Turn]:
    """A server with these arguments, while the block runs."""
    program = shutil.which("turnserver")
    if program is None:
        pytest.skip("coturn is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = folder / "turnserver.conf"
    configuration.write_text(f"static-auth-secret={SECRET}\n")
    own = [
        f"--listening-port={port}",
        "--listening-ip=127.0.0.1",
        "--realm=hayat",
        f"--pidfile={folder / 'turnserver.pid'}",
        f"--userdb={folder / 'turndb'}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-c", str(configuration), *arguments, *own], stdout=log, stderr=log, cwd=folder
        )
    try:
        for _ in range(200):
            if _listens(port):
                break
            time.sleep(0.1)
        yield Turn(port)
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
