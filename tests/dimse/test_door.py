"""What a PACS sees of the DICOM door."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE

from hayat_fhir import definitions
from hayat_fhir.dimse import sender
from hayat_fhir.dimse.requestor import Requestor
from hayat_fhir.dimse.service import transfer_syntaxes
from hayat_fhir.dimse.suboperations import Outgoing
from hayat_fhir.dimse.tls import ClientTls
from hayat_fhir.errors import Unavailable
from hayat_fhir.store.partners import Partner

from .conftest import RunningDoor, send
from .echo import echo

Maker = Callable[..., FileDataset]


def test_echo(door: RunningDoor) -> None:
    """A known peer gets its C-ECHO answered."""
    assert echo(door.port) == "0x0000"


def test_unknown_calling_ae_is_rejected(door: RunningDoor) -> None:
    """A peer that is not registered gets no association, and that is reported."""
    assert echo(door.port, calling="STRANGER") == "rejected"
    assert door.refused == [("STRANGER", "127.0.0.1")]


def test_wrong_called_ae_is_rejected(door: RunningDoor) -> None:
    """Whoever calls another application entity gets no association."""
    assert echo(door.port, called="ELSEWHERE") == "rejected"


def test_store_is_durable_and_unaltered(door: RunningDoor, image: Maker) -> None:
    """After 0x0000 there are the row, the file and the digest of the bytes that travelled."""
    pushed = image()

    assert send(door.port, pushed) == [0x0000]

    row = door.rows.find_one({"_id": pushed.SOPInstanceUID})
    file = door.blobs.path(row["blob"]).read_bytes()
    assert sha256(file[row["offset"] :]).hexdigest() == row["sha256"]
    assert dcmread(door.blobs.path(row["blob"])).PixelData == pushed.PixelData
    assert file[:132] == b"\0" * 128 + b"DICM"


def test_same_bytes_again_change_nothing(door: RunningDoor, image: Maker) -> None:
    """An image that is pushed twice is there once, and both are answered 0x0000."""
    pushed = image()

    assert send(door.port, pushed, pushed) == [0x0000, 0x0000]
    assert door.rows.count_documents({}) == 1
    assert len(door.files()) == 1


def test_other_bytes_go_into_quarantine(door: RunningDoor, image: Maker) -> None:
    """Other bytes under a known UID: the first stay, the second are kept aside and reported, once."""
    first = image()
    second = image(SOPInstanceUID=first.SOPInstanceUID, StudyInstanceUID=first.StudyInstanceUID, PatientName="Other")
    assert send(door.port, first) == [0x0000]
    before = door.rows.find_one({"_id": first.SOPInstanceUID})

    assert send(door.port, second, second) == [0xA900, 0xA900]

    assert door.rows.find_one({"_id": first.SOPInstanceUID}) == before
    kept = list(door.quarantine.find())
    assert [row["uid"] for row in kept] == [first.SOPInstanceUID]
    assert door.blobs.path(kept[0]["blob"]).exists()
    assert len(door.reports) == 1


def test_same_study_of_another_patient_goes_into_quarantine(door: RunningDoor, image: Maker) -> None:
    """A study belongs to one patient: an image that says otherwise is kept aside."""
    first = image(PatientID="1")
    assert send(door.port, first, image(StudyInstanceUID=first.StudyInstanceUID, PatientID="2")) == [0x0000, 0xA900]
    assert door.rows.count_documents({}) == 1
    assert door.quarantine.count_documents({}) == 1


@pytest.mark.parametrize("uid", ["../../../tmp/evil", "1.2.x", "1" * 65, "/etc/passwd"])
def test_malformed_uid_is_refused(door: RunningDoor, image: Maker, uid: str) -> None:
    """A UID that is none is refused, and nothing is written anywhere."""
    pushed = image()
    pushed.SeriesInstanceUID = "1.2.3"
    pushed["SeriesInstanceUID"]._value = uid

    (status,) = send(door.port, pushed)

    assert status == 0xC000
    assert door.files() == []
    assert door.rows.count_documents({}) == 0


def test_request_that_names_another_instance_is_refused(door: RunningDoor, image: Maker) -> None:
    """The data set must be the one that the request names."""
    pushed = image()
    ae = AE(ae_title="PACS")
    ae.add_requested_context(pushed.SOPClassUID, pushed.file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", door.port, ae_title="HAYAT")
    original = C_STORE.AffectedSOPInstanceUID
    try:
        C_STORE.AffectedSOPInstanceUID = property(lambda _: generate_uid(), original.fset)  # type: ignore[assignment]
        status = association.send_c_store(pushed).Status
    finally:
        C_STORE.AffectedSOPInstanceUID = original  # type: ignore[method-assign]
        association.release()

    assert status == 0xA900
    assert door.files() == []


def test_abort_half_way_leaves_nothing(door: RunningDoor, image: Maker) -> None:
    """A connection that ends in the middle of an image leaves no row and no file, and the door goes on."""
    pushed = image()
    ae = AE(ae_title="PACS")
    ae.add_requested_context(pushed.SOPClassUID, pushed.file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", door.port, ae_title="HAYAT")
    connection = association.dul.socket.socket
    original, sent = connection.send, 0

    class Cut:
        """The connection, which breaks after 20 kB."""

        def __getattr__(self, name: str) -> object:
            return getattr(connection, name)

        def send(self, data: bytes) -> int:
            nonlocal sent
            sent += len(data)
            if sent > 20_000:
                connection.shutdown(socket.SHUT_RDWR)
                raise OSError("cut")
            return original(data)

    association.dul.socket.socket = Cut()
    association.send_c_store(pushed)
    association.abort()
    time.sleep(0.3)

    assert door.rows.count_documents({}) == 0
    assert door.files() == []
    assert echo(door.port) == "0x0000"


def test_slow_peers_do_not_stop_others(door: RunningDoor) -> None:
    """Sockets that hold back the rest of a PDU do not keep a C-ECHO waiting."""
    slow = []
    for _ in range(20):
        connection = socket.create_connection(("127.0.0.1", door.port))
        connection.sendall(b"\x01\x00\x00")
        slow.append(connection)
    begun = time.monotonic()

    assert echo(door.port) == "0x0000"
    assert time.monotonic() - begun < 3
    for connection in slow:
        connection.close()


def test_probes_take_no_association(door: RunningDoor) -> None:
    """Whoever only connects, and whoever closes at once, keeps nobody out."""
    silent = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(40)]
    for _ in range(100):
        socket.create_connection(("127.0.0.1", door.port)).close()

    assert echo(door.port) == "0x0000"
    for connection in silent:
        connection.close()


def test_oversized_pdu_ends_the_connection(door: RunningDoor) -> None:
    """A PDU that claims 4 GiB is not waited for."""
    connection = socket.create_connection(("127.0.0.1", door.port), timeout=8)
    connection.sendall(struct.pack(">BBL", 1, 0, 0xFFFFFFF0) + b"x" * 1000)

    received = b"x"
    try:
        while received:
            received = connection.recv(1024)
    except ConnectionResetError:
        pass
    assert echo(door.port) == "0x0000"
    connection.close()


def test_sixteen_at_once_make_one_row_and_one_file(door: RunningDoor, image: Maker) -> None:
    """The same image over sixteen associations at the same moment is there once."""
    pushed = image()
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.extend(send(door.port, pushed))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [0x0000] * 16
    assert door.rows.count_documents({}) == 1
    assert len(door.files()) == 1


def test_dcmtk_is_a_peer(door: RunningDoor) -> None:
    """Debian's dcmsend associates, negotiates and stores."""
    if shutil.which("dcmsend") is None:
        pytest.skip("dcmsend is not installed (Debian package dcmtk)")
    files = [str(get_testdata_file(name)) for name in ("CT_small.dcm", "MR_small.dcm")]
    done = subprocess.run(
        ["dcmsend", "-aet", "PACS", "-aec", "HAYAT", "127.0.0.1", str(door.port), *files],
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert door.rows.count_documents({}) == 2


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_real_files_go_in_byte_for_byte(door: RunningDoor) -> None:
    """Every storable file of pydicom's collection is taken unaltered, or refused for a stated reason."""
    expected: dict[str, str] = {}
    statuses: list[int] = []
    refused = 0
    taken = transfer_syntaxes(definitions.load().dicom, "storage")
    hayat = Partner("hayat", "Hayat", "hayat", ae_title="HAYAT", host="127.0.0.1", port=door.port)
    for path in sorted(Path(str(get_testdata_file("CT_small.dcm"))).parent.glob("*.dcm")):
        image = _storable(path)
        if image is None or image[0].uid in expected or image[0].transfer_syntax not in taken:
            continue
        try:
            requestor = Requestor("PACS", ClientTls())
            sender.send([image[0]], hayat, requestor, lambda: None, lambda _, status: statuses.append(status))
        except Unavailable:
            refused += 1
            continue
        if sender.was_taken(statuses[-1]):
            expected[image[0].uid] = image[1]
        else:
            refused += 1

    assert {row["_id"]: row["sha256"] for row in door.rows.find()} == expected
    assert len(expected) >= 30
    assert refused <= 25


def _storable(path: Path) -> tuple[Outgoing, str] | None:
    """A complete file and the digest of its data set; None for what no peer could send."""
    raw = path.read_bytes()
    if raw[128:132] != b"DICM":
        return None
    try:
        header = dcmread(path, stop_before_pixels=True)
        length = int(header.file_meta.FileMetaInformationGroupLength)
        offset = 132 + 12 + length
        image = Outgoing(
            str(header.file_meta.MediaStorageSOPInstanceUID),
            str(header.SOPClassUID),
            str(header.file_meta.TransferSyntaxUID),
            path,
            offset,
            len(raw) - offset,
        )
    except (AttributeError, ValueError, TypeError, NotImplementedError):
        return None
    return image, sha256(raw[offset:]).hexdigest()
