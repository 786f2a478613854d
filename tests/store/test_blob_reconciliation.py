"""What a crash leaves between any two steps of taking an image is finished or undone; what was acknowledged stays."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from hayat_fhir.store.blob_reconciliation import reconcile
from hayat_fhir.store.blobs import Blobs, IncomingBlob
from hayat_fhir.store.database import connect_sync
from hayat_fhir.store.incoming_instances import IncomingInstances
from hayat_fhir.store.instances import Instance

_STEPS = ("begun", "written", "linked", "synchronised", "row", "row and synchronised", "settled")
_DATA = b"prefix" + b"bytes" * 1000
_DIES = """
import os, sys
from pathlib import Path
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.database import connect_sync
from hayat_fhir.store.incoming_instances import IncomingInstances
from tests.store.test_blob_reconciliation import steps
folder, url, name, last = sys.argv[1:]
for step in steps(Blobs(Path(folder)), IncomingInstances(connect_sync(url, name))):
    if step == last:
        os.kill(os.getpid(), 9)
"""


def row_of(blob: IncomingBlob, uid: str = "1.2.3") -> Instance:
    """The row of a file."""
    return Instance(
        uid=uid,
        study="1.2",
        series="1.2.1",
        sop_class="1.2.840.10008.5.1.4.1.1.2",
        transfer_syntax="1.2.840.10008.1.2",
        sha256=sha256(_DATA[6:]).hexdigest(),
        size=len(_DATA) - 6,
        blob=blob.key,
        offset=6,
        peer="pacs",
        system="urn:oid:1.2",
        patient_id="7",
        received=datetime.now(UTC),
    )


def steps(blobs: Blobs, rows: IncomingInstances) -> Iterator[str]:
    """Take an image, step by step, in either order of what goes side by side."""
    before, after = blobs.receive(), blobs.receive()
    yield "begun"
    before.write(_DATA)
    after.write(_DATA)
    yield "written"
    before.link()
    after.link()
    yield "linked"
    before.sync()
    yield "synchronised"
    rows.add(row_of(after, "1.2.4")).result()
    yield "row"
    after.sync()
    rows.add(row_of(before)).result()
    yield "row and synchronised"
    before.settle()
    after.settle()
    yield "settled"


@pytest.fixture
def rows(mongodb_url: str, database_name: str) -> Iterator[IncomingInstances]:
    """The rows of an empty database."""
    database = connect_sync(mongodb_url, database_name)
    with database.client:
        made = IncomingInstances(database)
        made.prepare()
        yield made
        database.client.drop_database(database_name)


def crashed(folder: Path, url: str, name: str, step: str) -> None:
    """A process takes two images and is killed after this step."""
    done = subprocess.run([sys.executable, "-c", _DIES, str(folder), url, name, step], check=False)
    assert done.returncode == -9


def files(folder: Path) -> set[str]:
    """All files of the image store."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def named(rows: IncomingInstances) -> set[str]:
    """The files that rows name."""
    return {row.blob for row in rows.begun_since("")}


def after_power_failure(folder: Path) -> None:
    """Let the process that has died have run in another boot of the machine."""
    for lock in folder.glob("incoming/*/lock"):
        lock.write_text("another-boot " + lock.read_text().partition(" ")[2])


@pytest.mark.parametrize("powerless", [False, True], ids=["killed", "power failure"])
@pytest.mark.parametrize("step", _STEPS)
def test_a_crash_after_any_step(
    mongodb_url: str, database_name: str, rows: IncomingInstances, tmp_path: Path, step: str, powerless: bool
) -> None:
    """Rows and files are the same afterwards: both of an image that had its row, neither of one that had not."""
    crashed(tmp_path, mongodb_url, database_name, step)
    if powerless:
        after_power_failure(tmp_path)
    reconcile(Blobs(tmp_path), rows, settling=0)
    assert files(tmp_path) == named(rows)
    assert len(named(rows)) == {"row": 1, "row and synchronised": 2, "settled": 2}.get(step, 0)
    assert list((tmp_path / "incoming").iterdir()) == []
    assert not reconcile(Blobs(tmp_path), rows, settling=0)


@pytest.mark.parametrize("left", [None, b"", _DATA[:-1], _DATA + b"x", b"prefix" + b"BYTES" * 1000])
def test_a_power_failure_takes_bytes(
    mongodb_url: str, database_name: str, rows: IncomingInstances, tmp_path: Path, left: bytes | None
) -> None:
    """A row whose file did not reach the disk, or not whole, goes: its image was not acknowledged and comes again."""
    crashed(tmp_path, mongodb_url, database_name, "row and synchronised")
    row = next(row for row in rows.begun_since("") if row.uid == "1.2.3")
    (first,) = tmp_path.glob(f"incoming/*/*{Path(row.blob).stem}")
    first.unlink()
    path = tmp_path / row.blob
    if left is None:
        path.unlink()
    else:
        path.write_bytes(left)
    after_power_failure(tmp_path)
    done = reconcile(Blobs(tmp_path), rows, settling=0)
    assert (done.removed, done.withdrawn, done.damaged) == (0, 1, int(left is not None))
    assert [row.uid for row in rows.begun_since("")] == ["1.2.4"]
    aside = {f"damaged/{path.name}"} if left is not None else set()
    assert files(tmp_path) == named(rows) | aside


def test_doubt_is_resolved(rows: IncomingInstances, tmp_path: Path) -> None:
    """Where the database's answer did not come, it is looked up later whether there is a row, without a restart."""
    blobs = Blobs(tmp_path)
    with_row, without = blobs.receive(), blobs.receive()
    for blob in (with_row, without):
        blob.write(_DATA)
        blob.link()
    rows.add(row_of(with_row)).result()
    with_row.leave()
    without.leave()
    without.discard()
    assert not reconcile(blobs, rows)
    assert reconcile(blobs, rows, doubt=0).removed == 1
    assert {path for path in files(tmp_path) if not path.endswith("lock")} == {with_row.key}
    assert not reconcile(blobs, rows, doubt=0)


def test_what_lives_is_left_alone(rows: IncomingInstances, tmp_path: Path) -> None:
    """One process does not touch what another one is receiving."""
    living = Blobs(tmp_path)
    blob = living.receive()
    blob.write(_DATA)
    blob.link()
    blob.sync()
    assert not reconcile(Blobs(tmp_path), rows, settling=0)
    blob.settle()
    assert living.path(blob.key).read_bytes() == _DATA
