"""Ten thousand cases of broken PDUs and data sets: the door neither falls, hangs nor grows. ``FUZZ=n`` for more."""

from __future__ import annotations

import gc
import os
import random
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from pydicom.data import get_testdata_file

from hayat_fhir.dimse.acceptor import Limits
from hayat_fhir.dimse.door import DoorOptions

from . import raw
from .conftest import RunningDoor, opened
from .echo import echo

CASES = int(os.environ.get("FUZZ", "10000"))
_CONNECTIONS, _PER_ASSOCIATION = 8, 25
_LONGEST_CASE = 10.0
_GROWTH = 64e6
_VALUES = (0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF)


@pytest.fixture
def door(mongodb_url: str, database_name: str, tmp_path: Path) -> Iterator[RunningDoor]:
    """A door with room for all."""
    options = DoorOptions("HAYAT", limits=Limits(per_address=200))
    with opened(mongodb_url, database_name, tmp_path, options=options) as running:
        yield running
        running.rows.database.client.drop_database(database_name)


def _data_set(name: str) -> bytes:
    """The data set of a real file."""
    file = Path(str(get_testdata_file(name))).read_bytes()
    return file[144 + int.from_bytes(file[140:144], "little") :]


_CT, _MR, _REPORT = _data_set("CT_small.dcm")[:6000], _data_set("MR_small.dcm")[:3000], _data_set("reportsi.dcm")


def mutated(chance: random.Random, data: bytes, most: int = 6) -> bytes:
    """The bytes with a few faults in them: values, lengths, cuts, repetitions, noise."""
    buffer = bytearray(data)
    for _ in range(chance.randint(1, most)):
        at = chance.randrange(len(buffer) + 1)
        match chance.randrange(7):
            case 0:
                buffer[at : at + 1] = bytes([chance.choice(_VALUES)])
            case 1:
                buffer[at : at + 1] = bytes([chance.randrange(256)])
            case 2:
                buffer[at : at + 4] = struct.pack("<L", chance.choice((0, 1, 0xFFFF, 0xFFFFFFFF, len(buffer))))
            case 3:
                del buffer[at : at + chance.randint(1, 40)]
            case 4:
                buffer[at:at] = chance.randbytes(chance.randint(1, 40))
            case 5:
                buffer[at:at] = buffer[at : at + chance.randint(1, 400)]
            case _:
                del buffer[chance.randrange(1, len(buffer) + 1) if chance.random() < 0.2 else at + 200 :]
        if not buffer:
            return b"\0"
    return bytes(buffer)


def _connection(port: int, seed: int) -> float:
    """One connection whose stream of PDUs is broken somewhere; the seconds until the door has closed it."""
    chance = random.Random(seed)
    parts = [raw.associate_rq(), raw.store(raw.CT, "1.2.3", _MR[:2000], size=500)]
    parts += [raw.pdu(raw.DATA, raw.value(3, 3, raw.command(0x30, raw.VERIFICATION))), raw.pdu(5, b"\0" * 4)]
    broken = chance.randrange(len(parts))
    parts[broken] = mutated(chance, parts[broken])
    begun = time.monotonic()
    with raw.connected(port) as peer:
        peer.send(b"".join(parts))
        try:
            peer.connection.shutdown(socket.SHUT_WR)
        except OSError:
            return time.monotonic() - begun
        while peer.receive()[0]:
            pass
    return time.monotonic() - begun


def _association(port: int, seed: int) -> float:
    """One association with many broken data sets; the seconds of the slowest, the association must last."""
    chance = random.Random(seed)
    slowest = 0.0
    with raw.associated(port) as peer:
        for number in range(_PER_ASSOCIATION):
            begun = time.monotonic()
            peer.send(
                raw.store(raw.CT, f"1.2.{seed}.{number}", mutated(chance, chance.choice((_CT, _MR, _REPORT)), 12))
            )
            assert peer.status() in {0x0000, 0xA700, 0xA900, 0xC000}
            slowest = max(slowest, time.monotonic() - begun)
    return slowest


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.timeout(120 + CASES // 50)
def test_fuzz(door: RunningDoor) -> None:
    """After all of them the door is as it was, and has stored nothing that it does not know."""
    own = psutil.Process()
    connections, associations = CASES * 4 // 10, CASES * 6 // 10 // _PER_ASSOCIATION
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        slowest = max(pool.map(lambda seed: _connection(door.port, seed), range(200)))
        gc.collect()
        before = own.memory_info().rss
        slowest = max(slowest, *pool.map(lambda seed: _connection(door.port, seed), range(200, connections)))
        slowest = max(slowest, *pool.map(lambda seed: _association(door.port, seed), range(associations)))
    assert slowest < _LONGEST_CASE
    assert echo(door.port) == "0x0000"
    assert door.door is not None
    deadline = time.monotonic() + 90
    while door.door.associations:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    gc.collect()
    assert own.memory_info().rss - before < _GROWTH
    known = {row["blob"] for kept in (door.rows, door.quarantine) for row in kept.find({}, {"blob": True})}
    assert {str(path.relative_to(door.folder)) for path in door.files()} == known
