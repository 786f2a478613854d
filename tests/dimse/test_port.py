"""What the open port withstands: strangers, floods, and peers that do not keep to the upper layer."""

from __future__ import annotations

import os
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid
from pynetdicom import AE

from hayat_fhir.dimse.acceptor import Limits
from hayat_fhir.dimse.door import DoorOptions

from . import raw
from .conftest import RunningDoor, opened, send
from .echo import echo

Maker = Callable[..., FileDataset]
REJECTED_CALLING = b"\0\x01\x01\x03"


@pytest.mark.parametrize("title", [b"../../PACS", b"PA\0CS", b"PA\x1bCS", b"P\\ACS", b" " * 16, b"\xff" * 16])
def test_ae_titles_that_are_none_are_rejected(door: RunningDoor, title: bytes) -> None:
    """An AE title with control characters, backslashes or nothing but spaces gets no association."""
    with raw.connected(door.port) as peer:
        peer.send(raw.associate_rq(calling=title))
        assert peer.receive()[0] in {raw.RJ, raw.ABORT, 0}
    assert echo(door.port) == "0x0000"


def test_a_known_title_from_another_address_is_rejected(door: RunningDoor) -> None:
    """A forged calling AE title does not help from elsewhere (result, source and reason as PS3.8 9.3.4)."""
    with raw.connected(door.port, source="127.0.0.2") as peer:
        peer.send(raw.associate_rq())
        assert peer.receive() == (raw.RJ, REJECTED_CALLING)
    assert door.refused == [("PACS", "127.0.0.2")]


def test_a_long_pdu_header_before_the_association_costs_nothing(door: RunningDoor) -> None:
    """A PDU that claims 4 GiB ends the connection at once, whatever follows."""
    before = psutil.Process().memory_info().rss
    with raw.connected(door.port) as peer:
        peer.send(struct.pack(">BBL", 1, 0, 0xFFFFFFF0) + b"x" * 1_000_000)
        assert peer.receive()[0] in {raw.ABORT, 0}
    assert psutil.Process().memory_info().rss - before < 20e6


def test_a_pdu_header_cut_short_costs_nothing(door: RunningDoor) -> None:
    """A connection that ends within a header reserves nothing for the length that the header would have had."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with raw.associated(door.port) as peer:
        peer.send(struct.pack(">BBL", raw.DATA, 0, 0xFFFFFF00)[:5])
        peer.connection.shutdown(socket.SHUT_WR)
        assert peer.receive()[0] in {raw.ABORT, 0}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200e3
    assert echo(door.port) == "0x0000"


def test_nothing_a_stranger_sends_is_logged(door: RunningDoor, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the titles nor the UIDs of a proposal that breaks the rules, which pynetdicom would warn of."""
    contexts = [(1, "1.2.840.SECRET", (raw.EXPLICIT,))]
    with caplog.at_level("DEBUG"), raw.connected(door.port) as peer:
        peer.send(raw.associate_rq(calling=b"SEC\xb5RET", contexts=contexts))
        assert peer.receive()[0] in {raw.RJ, raw.ABORT, 0}
    assert "SECRET" not in caplog.text
    assert not caplog.records


def test_p_data_beyond_the_negotiated_length_aborts(door: RunningDoor) -> None:
    """The largest P-DATA-TF is what was offered, and no byte more."""
    with raw.associated(door.port) as peer:
        peer.send(struct.pack(">BBL", raw.DATA, 0, 262_145))
        assert peer.receive()[0] == raw.ABORT


@pytest.mark.parametrize(
    "fragments",
    [
        pytest.param([raw.value(1, 1, b"x" * 16_000)] * 3, id="command set that never ends"),
        pytest.param([raw.value(1, 1, b"")] * 100, id="empty fragments"),
        pytest.param([raw.value(1, 2, b"x")], id="data set without a command"),
        pytest.param([raw.value(99, 3, b"x")], id="context that was not accepted"),
        pytest.param([raw.value(1, 1, b"x"), raw.value(3, 3, b"x")], id="two contexts in one message"),
        pytest.param([struct.pack(">LBB", 0xFFFFFFFF, 1, 3)], id="fragment longer than its PDU"),
        pytest.param([struct.pack(">LBB", 1, 1, 3)], id="fragment shorter than its header"),
        pytest.param([b"\0\0"], id="cut short"),
        pytest.param([raw.value(1, 3, b"\x08\0\0\0\xff\xff\xff\xff")], id="command set that is none"),
        pytest.param([raw.value(1, 3, raw.element(0, 0x100, b"\1\0"))], id="C-STORE without anything"),
        pytest.param([raw.value(3, 3, raw.command(0x7777, raw.VERIFICATION))], id="unknown command"),
        pytest.param([raw.value(3, 3, raw.command(1, raw.CT, "1.2"))], id="C-STORE without a data set"),
    ],
)
def test_fragments_that_make_no_message_abort(door: RunningDoor, fragments: list[bytes]) -> None:
    """They end their association, quickly, and no other."""
    begun = time.monotonic()
    with raw.associated(door.port) as peer:
        for fragment in fragments:
            peer.send(raw.pdu(raw.DATA, fragment))
        assert peer.receive()[0] in {raw.ABORT, 0}
    assert time.monotonic() - begun < 5
    assert echo(door.port) == "0x0000"
    assert door.files() == []


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 600,
        b"\0" * 6,
        b"",
    ],
    ids=["HTTP", "TLS", "zeros", "nothing"],
)
def test_other_protocols_are_closed(door: RunningDoor, sent: bytes) -> None:
    """Who speaks something else is closed quietly, and so is who only looks whether the port is open."""
    with raw.connected(door.port) as peer:
        if sent:
            peer.send(sent)
            assert peer.receive()[0] in {raw.ABORT, 0}
    assert echo(door.port) == "0x0000"


def test_slow_peers_lose_their_place(mongodb_url: str, database_name: str, tmp_path: Path) -> None:
    """Of those that hold back the rest of their first PDU, the oldest go when more come; who speaks is served."""
    options = DoorOptions("HAYAT", limits=Limits(waiting=16, per_address=400))
    with opened(mongodb_url, database_name, tmp_path, options=options) as door, ExitStack() as stack:
        peers = [stack.enter_context(raw.connected(door.port)) for _ in range(200)]
        for peer in peers:
            peer.send(b"\x01")
        assert echo(door.port) == "0x0000"
        assert peers[0].receive() == (0, b"")
        door.rows.database.client.drop_database(database_name)


def test_one_address_has_its_share(mongodb_url: str, database_name: str, tmp_path: Path) -> None:
    """An address that holds all the connections it may gets no more; another one does."""
    options = DoorOptions("HAYAT", limits=Limits(per_address=4))
    with opened(mongodb_url, database_name, tmp_path, options=options) as door, ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(raw.associated(door.port))
        assert echo(door.port) == "aborted"
        with raw.connected(door.port, source="127.0.0.2") as peer:
            peer.send(raw.associate_rq())
            assert peer.receive() == (raw.RJ, REJECTED_CALLING)
        door.rows.database.client.drop_database(database_name)


def test_too_many_associations_are_told_so(mongodb_url: str, database_name: str, tmp_path: Path) -> None:
    """One more than there may be is rejected for the time being (PS3.8 9.3.4), and taken when there is room again."""
    options = DoorOptions("HAYAT", limits=Limits(associations=2))
    with opened(mongodb_url, database_name, tmp_path, options=options) as door:
        with raw.associated(door.port), raw.associated(door.port), raw.connected(door.port) as third:
            third.send(raw.associate_rq())
            assert third.receive() == (raw.RJ, b"\0\x02\x03\x02")
        deadline = time.monotonic() + 90
        while echo(door.port) != "0x0000":
            assert time.monotonic() < deadline
        door.rows.database.client.drop_database(database_name)


def test_more_than_1024_descriptors(door: RunningDoor) -> None:
    """A door with many open files serves on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with ExitStack() as stack:
        for _ in range(1100):
            stack.callback(os.close, os.dup(0))
        peer = stack.enter_context(raw.associated(door.port))
        peer.send(raw.pdu(raw.DATA, raw.value(3, 3, raw.command(0x30, raw.VERIFICATION))))
        assert peer.status() == 0x0000
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_proposal_as_large_as_can_be(door: RunningDoor) -> None:
    """128 presentation contexts of 40 transfer syntaxes each are negotiated soon."""
    syntaxes = [f"1.2.3.4.{number}" for number in range(39)] + [raw.EXPLICIT]
    contexts = [(number, raw.CT, syntaxes) for number in range(1, 256, 2)]
    begun = time.monotonic()
    with raw.connected(door.port) as peer:
        peer.send(raw.associate_rq(contexts=contexts))
        assert peer.receive()[0] in {raw.AC, raw.ABORT}
    assert time.monotonic() - begun < 10


def test_deflated_data_sets_are_not_agreed_on(door: RunningDoor) -> None:
    """What could burst when it is inflated is not taken from the network."""
    ae = AE(ae_title="PACS")
    ae.add_requested_context(raw.CT, "1.2.840.10008.1.2.1.99")
    association = ae.associate("127.0.0.1", door.port, ae_title="HAYAT")
    assert not association.accepted_contexts
    association.abort()


def test_a_vendors_own_sop_class_is_stored(door: RunningDoor, image: Maker) -> None:
    """Objects of a private SOP class are kept like any other."""
    pushed = image(SOPClassUID="1.3.12.2.1107.5.9.1")
    pushed.file_meta.MediaStorageSOPClassUID = pushed.SOPClassUID
    assert send(door.port, pushed) == [0x0000]
    assert door.rows.find_one({"_id": pushed.SOPInstanceUID})["sop_class"] == "1.3.12.2.1107.5.9.1"


def test_our_preference_decides_the_transfer_syntax(door: RunningDoor) -> None:
    """Of what a peer proposes the door takes what it prefers, not what comes first."""
    with raw.connected(door.port) as peer:
        peer.send(raw.associate_rq(contexts=[(1, raw.CT, (raw.IMPLICIT, "1.2.840.10008.1.2.4.70", raw.EXPLICIT))]))
        kind, body = peer.receive()
    assert kind == raw.AC
    assert raw.item(0x40, raw.EXPLICIT.encode()) in body


def test_the_end_lets_messages_finish(mongodb_url: str, database_name: str, tmp_path: Path, image: Maker) -> None:
    """While the door closes, what is answered is stored, and nobody is left hanging."""
    images = [image() for _ in range(40)]
    answered: list[str] = []

    def push(port: int) -> None:
        ae = AE(ae_title="PACS")
        ae.add_requested_context(images[0].SOPClassUID, images[0].file_meta.TransferSyntaxUID)
        association = ae.associate("127.0.0.1", port, ae_title="HAYAT")
        for one in images:
            if not association.is_established or association.send_c_store(one).get("Status") != 0x0000:
                return
            answered.append(one.SOPInstanceUID)

    with opened(mongodb_url, database_name, tmp_path) as door:
        pushing = threading.Thread(target=push, args=(door.port,))
        pushing.start()
        while len(answered) < 3:
            time.sleep(0.005)
        assert door.door is not None
        begun = time.monotonic()
        door.door.stop()
        assert time.monotonic() - begun < 8
        pushing.join(45)  # a pynetdicom requestor may miss an abort, and then waits its own 30 s
        assert not pushing.is_alive()
        stored = {row["_id"] for row in door.rows.find()}
        assert stored >= set(answered)
        assert len(door.files()) == len(stored)
        door.rows.database.client.drop_database(database_name)


def test_a_socket_that_never_reads_is_let_go(door: RunningDoor) -> None:
    """Connections that are reset while they wait leave nothing behind."""
    for _ in range(50):
        connection = socket.create_connection(("127.0.0.1", door.port))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(raw.associate_rq())
        connection.close()
    assert echo(door.port) == "0x0000"
    assert door.door is not None
    deadline = time.monotonic() + 90
    while door.door.associations:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _explicit(group: int, number: int, vr: bytes, text: bytes) -> bytes:
    return struct.pack("<HH2sH", group, number, vr, len(text)) + text


def _identified(instance: str, rest: bytes = b"") -> bytes:
    """A small data set in explicit VR little endian, with ``rest`` after its identification."""
    return b"".join(
        (
            _explicit(0x0008, 0x0016, b"UI", raw.uid(raw.CT)),
            _explicit(0x0008, 0x0018, b"UI", raw.uid(instance)),
            _explicit(0x0010, 0x0020, b"LO", b"P1"),
            _explicit(0x0020, 0x000D, b"UI", raw.uid("1.2.3")),
            _explicit(0x0020, 0x000E, b"UI", raw.uid("1.2.3.4")),
            rest,
        )
    )


_ITEM = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
_NESTED = struct.pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + _ITEM


@pytest.mark.parametrize(
    "data_set",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0" * 1000, id="zeros"),
        pytest.param(os.urandom(5000), id="noise"),
        pytest.param(_NESTED * 10_000, id="10,000 sequences in one another"),
        pytest.param(_identified("1.2", _NESTED * 10_000), id="and after the identification"),
        pytest.param(_explicit(8, 0x16, b"UI", b"1.2 ")[:-2] + b"\xff\xff", id="length beyond the end"),
        pytest.param(struct.pack("<HH2sHL", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF) + _ITEM * 5000, id="items without end"),
        pytest.param(struct.pack("<HH2sHL", 8, 0x16, b"UN", 0, 0xFFFFFFFF), id="undefined length of no sequence"),
        pytest.param(_identified("9.9"), id="another instance"),
        pytest.param(_identified("../../../tmp/evil"), id="path for a UID"),
        pytest.param(raw.element(8, 0x16, raw.uid(raw.CT)) + raw.element(8, 0x18, raw.uid("1.2")), id="implicit VR"),
    ],
)
def test_hostile_data_sets_are_refused(door: RunningDoor, data_set: bytes) -> None:
    """A data set that cannot be read, or says something else, is refused; nothing of it stays; the next is taken."""
    begun = time.monotonic()
    with raw.associated(door.port) as peer:
        peer.send(raw.store(raw.CT, "1.2", data_set))
        assert peer.status() in {0xC000, 0xA900}
        assert time.monotonic() - begun < 10
        assert door.files() == []
        peer.send(raw.store(raw.CT, "1.2", _identified("1.2")))
        assert peer.status() == 0x0000
    assert door.rows.count_documents({}) == 1


@pytest.mark.parametrize("instance", ["../../x", "/etc/passwd", "1.2\0.3", "1" * 65, "", "1.2.\xff"])
def test_a_request_with_a_uid_that_is_none_is_refused(door: RunningDoor, instance: str) -> None:
    """Before a byte of the data set is written."""
    with raw.associated(door.port) as peer:
        peer.send(raw.store(raw.CT, instance, _identified("1.2")))
        assert peer.status() in {0xC000, 0xA900}
    assert door.files() == []


def test_very_long_values_are_kept_out_of_the_row(door: RunningDoor) -> None:
    """A value of a million characters is stored with its object, and not copied into the database."""
    instance = generate_uid()
    long = struct.pack("<HH2sHL", 0x0008, 0x1030, b"UT", 0, 1_000_000) + b"x" * 1_000_000
    before = _identified(instance)
    at = before.index(struct.pack("<HH2s", 0x0010, 0x0020, b"LO"))
    with raw.associated(door.port) as peer:
        peer.send(raw.store(raw.CT, instance, before[:at] + long + before[at:]))
        assert peer.status() == 0x0000
    assert len(str(door.rows.find_one({"_id": instance}))) < 10_000


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99, None], ids=["1 %", "50 %", "99 %", "the last byte"])
def test_an_image_that_is_cut_short_leaves_nothing(door: RunningDoor, share: float | None) -> None:
    """Wherever the connection ends, there is no row and no file; sent again, it is taken."""
    data_set = _identified("1.2", _explicit(0x0028, 0x0010, b"US", b"\x01\0"))
    whole = raw.store(raw.CT, "1.2", data_set + _explicit(0x0040, 0x0280, b"ST", b"x" * 30_000), size=500)
    cut = len(whole) - 1 if share is None else int(len(whole) * share)
    with raw.associated(door.port) as peer:
        peer.send(whole[:cut])
        peer.connection.shutdown(socket.SHUT_WR)
        while peer.receive()[0]:
            pass
    deadline = time.monotonic() + 20
    while door.files():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert door.rows.count_documents({}) == 0
    with raw.associated(door.port) as peer:
        peer.send(whole)
        assert peer.status() == 0x0000


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(struct.pack(">BBL", 0x99, 0, 0), id="unknown type"),
        pytest.param(struct.pack(">BBL", 0x99, 0, 0xFFFFFFFF), id="unknown type without end"),
        pytest.param(struct.pack(">BBL", raw.DATA, 0, 0), id="P-DATA of nothing"),
        pytest.param(struct.pack(">BBL", raw.RQ, 0, 0), id="a second proposal"),
        pytest.param(raw.pdu(raw.DATA, struct.pack(">LBB", 0, 3, 3)), id="value of no length"),
        pytest.param(raw.pdu(raw.DATA, struct.pack(">LBB", 0xFFFFFFFF, 3, 3)), id="value beyond its PDU"),
    ],
)
def test_pdus_that_are_none_abort(door: RunningDoor, sent: bytes) -> None:
    """The association is over, and nothing else."""
    with raw.associated(door.port) as peer:
        peer.send(sent)
        while (received := peer.receive())[0]:
            assert received[0] in {raw.ABORT, raw.RJ}
    assert echo(door.port) == "0x0000"


def test_proposals_whose_items_overlap(door: RunningDoor) -> None:
    """Items that say they are longer than what holds them: the proposal is refused, in no time and no memory."""
    proposal = bytearray(raw.associate_rq())
    for at in range(74, len(proposal) - 4):
        if proposal[at] in {0x10, 0x20, 0x50, 0x51} and proposal[at + 1] == 0:
            changed = proposal.copy()
            changed[at + 2 : at + 4] = b"\xff\xff"
            with raw.connected(door.port) as peer:
                peer.send(bytes(changed))
                peer.connection.shutdown(socket.SHUT_WR)
                while peer.receive()[0]:
                    pass
    assert echo(door.port) == "0x0000"


def test_an_address_that_comes_too_often_waits(mongodb_url: str, database_name: str, tmp_path: Path) -> None:
    """More connections within a minute than an address may have are closed; another address is served."""
    options = DoorOptions("HAYAT", limits=Limits(per_minute=20))
    with opened(mongodb_url, database_name, tmp_path, options=options) as door:
        begun = int(time.monotonic() // 60)
        answers = [echo(door.port) for _ in range(40)]
        if int(time.monotonic() // 60) == begun:
            assert answers.count("0x0000") == 20
        assert "aborted" in answers
        with raw.connected(door.port, source="127.0.0.2") as peer:
            peer.send(raw.associate_rq())
            assert peer.receive() == (raw.RJ, REJECTED_CALLING)
        door.rows.database.client.drop_database(database_name)
