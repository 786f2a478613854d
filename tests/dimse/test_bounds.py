"""How long a peer may take, and how much it may send, before it loses its association and nobody else theirs."""

from __future__ import annotations

import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hayat_fhir.dimse.acceptor import Limits
from hayat_fhir.dimse.door import DoorOptions

from . import raw
from .conftest import RunningDoor, opened
from .echo import echo

_SECONDS = 1.0
_MEGABYTES = 440


@pytest.fixture
def door(mongodb_url: str, database_name: str, tmp_path: Path) -> Iterator[RunningDoor]:
    """A door of little patience."""
    limits = Limits(pdu_seconds=_SECONDS, idle_seconds=2 * _SECONDS)
    with opened(mongodb_url, database_name, tmp_path, options=DoorOptions("HAYAT", limits=limits)) as running:
        yield running
        running.rows.database.client.drop_database(database_name)


def _drip(peer: raw.Raw, data: bytes) -> int:
    """Send a byte every now and then until the door has enough; how many it took."""
    for sent, byte in enumerate(data):
        try:
            peer.connection.sendall(bytes([byte]))
        except OSError:
            return sent
        time.sleep(_SECONDS / 10)
    return len(data)


def test_a_proposal_that_drips(door: RunningDoor) -> None:
    """Each byte is in time, the PDU is not: its place is free again."""
    with raw.connected(door.port) as peer:
        assert _drip(peer, raw.associate_rq()) < 40
    assert echo(door.port) == "0x0000"


def test_an_image_that_drips(door: RunningDoor) -> None:
    """Nothing of it stays."""
    with raw.associated(door.port) as peer:
        whole = raw.store(raw.CT, "1.2.3", b"x" * 1000)
        peer.send(whole[:-900])
        assert _drip(peer, whole[-900:]) < 40
    assert echo(door.port) == "0x0000"
    assert door.files() == []


def test_an_image_that_stops_between_two_pdus(door: RunningDoor) -> None:
    """Who holds back the rest of an image is not waited for."""
    with raw.associated(door.port) as peer:
        peer.send(raw.store(raw.CT, "1.2.3", b"x" * 3000, size=1000)[: -1000 - 12])
        assert peer.receive()[0] in {raw.ABORT, 0}
    assert echo(door.port) == "0x0000"
    assert door.files() == []


def test_an_association_that_says_nothing(door: RunningDoor) -> None:
    """It is aborted; one that speaks now and then goes on."""
    verify = raw.pdu(raw.DATA, raw.value(3, 3, raw.command(0x30, raw.VERIFICATION)))
    with raw.associated(door.port) as silent, raw.associated(door.port) as peer:
        for _ in range(5):
            time.sleep(_SECONDS * 0.8)
            peer.send(verify)
            assert peer.status() == 0x0000
        assert silent.receive()[0] == raw.ABORT


def test_a_message_that_never_ends(door: RunningDoor) -> None:
    """The data set of anything but an image has four MB at most."""
    with raw.associated(door.port) as peer:
        peer.send(raw.pdu(raw.DATA, raw.value(3, 3, raw.command(0x30, raw.VERIFICATION, data_set=True))))
        for _ in range(17):
            peer.send(raw.pdu(raw.DATA, raw.value(3, 0, b"x" * 250_000)))
        assert peer.receive()[0] in {raw.ABORT, 0}
    assert echo(door.port) == "0x0000"


def test_memory_that_is_used_up(mongodb_url: str, database_name: str, tmp_path: Path) -> None:
    """Of many peers that fill the process's memory some lose their association; the process goes on."""
    arguments = [mongodb_url, database_name, str(tmp_path), str(_MEGABYTES)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.dimse.door_process", *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        with ExitStack() as stack:
            peers = [stack.enter_context(raw.associated(port)) for _ in range(60)]
            for peer in peers:
                peer.send(raw.pdu(raw.DATA, raw.value(3, 3, raw.command(0x30, raw.VERIFICATION, data_set=True))))
                for _ in range(16):
                    peer.send(raw.pdu(raw.DATA, raw.value(3, 0, b"x" * 250_000)))
            ended = [_is_ended(peer) for peer in peers]
        assert any(ended)
        assert not all(ended)
        deadline = time.monotonic() + 90
        while echo(port) != "0x0000":
            assert time.monotonic() < deadline
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


def _is_ended(peer: raw.Raw) -> bool:
    """Whether the door has ended the association."""
    return bool(select.select([peer.connection], [], [], 0.05)[0])
