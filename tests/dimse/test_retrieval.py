"""C-MOVE and C-GET as peers ask them: DCMTK's movescu, getscu and storescp, and pynetdicom where it must be exact."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import JPEGLSLossless, generate_uid
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (
    CTImageStorage,
    MRImageStorage,
    PatientRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from hayat_fhir.dimse.demonstration import data_set_digest

from .gateway import Gateway, keys, opened_gateway, tool

Maker = Callable[..., FileDataset]
GET, MOVE = StudyRootQueryRetrieveInformationModelGet, StudyRootQueryRetrieveInformationModelMove
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


@pytest.fixture
async def gateway(mongodb_url: str, database_name: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A site that a peer PACS has sent nothing to yet."""
    async with opened_gateway(mongodb_url, database_name, tmp_path / "site") as running:
        yield running


@contextmanager
def receiving(
    contexts: list[PresentationContext], answer: Callable[[int], int] = lambda _: 0x0000
) -> Iterator[tuple[int, list[tuple[str, str, str]]]]:
    """A storage SCP on a free port: the port, and what it has received (UID, syntax, digest of the data set).

    ``answer`` gives the status of the n-th image.
    """
    got: list[tuple[str, str, str]] = []

    def store(event: Any) -> int:
        got.append(_received(event))
        return answer(len(got) - 1)

    ae = AE(ae_title="DEST")
    ae.supported_contexts = contexts
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        yield server.server_address[1], got
    finally:
        server.shutdown()


def _received(event: Any) -> tuple[str, str, str]:
    data = event.request.DataSet.getvalue()
    return (
        str(event.request.AffectedSOPInstanceUID),
        str(event.context.transfer_syntax),
        sha256(data).hexdigest(),
    )


def _retrieve(
    port: int,
    identifier: Dataset,
    destination: str | None = None,
    *,
    model: str = GET,
    storage: tuple[tuple[str, str], ...] = ((CTImageStorage, EXPLICIT),),
    answer: Callable[[int], int] = lambda _: 0x0000,
    cancel_after: int | None = None,
    calling: str = "PACS",
) -> tuple[list[Dataset], list[Dataset | None], list[tuple[str, str, str]]]:
    """The statuses, their identifiers, and by C-GET what was received."""
    got: list[tuple[str, str, str]] = []

    def store(event: Any) -> int:
        got.append(_received(event))
        return answer(len(got) - 1)

    ae = AE(ae_title=calling)
    ae.add_requested_context(MOVE if destination else model)
    roles = []
    for uid, syntax in () if destination else storage:
        ae.add_requested_context(uid, syntax)
        roles.append(build_role(uid, scp_role=True))
    association = ae.associate(
        "127.0.0.1", port, ae_title="HAYAT", ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    assert association.is_established
    if destination:
        answers = association.send_c_move(identifier, destination, MOVE, msg_id=9)
    else:
        answers = association.send_c_get(identifier, model, msg_id=9)
    statuses, identifiers = [], []
    for status, found in answers:
        statuses.append(status)
        identifiers.append(found)
        if cancel_after == len(statuses):
            association.send_c_cancel(9, query_model=MOVE if destination else model)
    association.release()
    return statuses, identifiers, got


async def retrieve(gateway: Gateway, *arguments: Any, **options: Any) -> Any:
    """Ask for images."""
    return await asyncio.to_thread(_retrieve, gateway.port, *arguments, **options)


def counts(status: Dataset) -> tuple[int, int, int]:
    """Completed, failed and warned sub-operations."""
    return (
        status.NumberOfCompletedSuboperations,
        status.NumberOfFailedSuboperations,
        status.NumberOfWarningSuboperations,
    )


def digests(gateway: Gateway) -> dict[str, str]:
    """The digest of each instance's bytes as they came in."""
    return {row["_id"]: row["sha256"] for row in gateway.door.rows.find({})}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def storescp(port: int, folder: Path) -> Iterator[None]:
    """DCMTK's storage SCP, which writes what it receives bit by bit."""
    found = shutil.which("storescp")
    if found is None:
        pytest.skip("storescp (DCMTK) is not installed")
    process = subprocess.Popen([found, "+B", "-od", str(folder), str(port)])
    try:
        deadline = time.monotonic() + 90
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


async def test_getscu_gets_the_original_bytes(gateway: Gateway, image: Maker, tmp_path: Path) -> None:
    """DCMTK retrieves a study and one image by C-GET; the bytes are those that came in."""
    study = generate_uid()
    images = [image(PatientID="P", StudyInstanceUID=study, InstanceNumber=str(number)) for number in range(3)]
    await gateway.push(*images, image(PatientID="Q"))
    one = images[1]
    for number, (level, asked, expected) in enumerate(
        (
            ("STUDY", (), images),
            ("IMAGE", (f"SeriesInstanceUID={one.SeriesInstanceUID}", f"SOPInstanceUID={one.SOPInstanceUID}"), [one]),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        wanted = (f"QueryRetrieveLevel={level}", f"StudyInstanceUID={study}", *asked)
        done = await tool(
            "getscu", "-v", "-S", "+B", "-aet", "PACS", "-aec", "HAYAT", "-od", folder,
            *(part for key in wanted for part in ("-k", key)), "127.0.0.1", str(gateway.port),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        got = {str(dcmread(path).SOPInstanceUID): data_set_digest(path.read_bytes()) for path in folder.iterdir()}
        assert got == {uid: digests(gateway)[uid] for uid in (str(made.SOPInstanceUID) for made in expected)}


async def test_movescu_moves_to_storescp(gateway: Gateway, image: Maker, tmp_path: Path) -> None:
    """DCMTK has a study moved to a storage SCP; the bytes are those that came in."""
    port, folder = free_port(), tmp_path / "moved"
    folder.mkdir()
    gateway.peers.clear()
    await gateway.peer("MOVER", port=port)
    images = [image(PatientID="P", StudyInstanceUID="1.2.3.4", InstanceNumber=str(number)) for number in range(3)]
    await gateway.push(*images, calling="MOVER")
    with storescp(port, folder):
        done = await tool(
            "movescu", "-v", "-S", "-aet", "MOVER", "-aec", "HAYAT", "-aem", "MOVER",
            "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3.4", "127.0.0.1", str(gateway.port),
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Received Final Move Response (Success)" in done.stdout + done.stderr
    got = {str(dcmread(path).SOPInstanceUID): data_set_digest(path.read_bytes()) for path in folder.iterdir()}
    assert got == digests(gateway)


async def test_move_counts_warnings_and_failures(gateway: Gateway, image: Maker) -> None:
    """Each sub-operation is counted as the destination answered it, and what failed is listed."""
    images = [image(PatientID="P", StudyInstanceUID="1.2.3.4", InstanceNumber=str(number)) for number in range(4)]
    await gateway.push(*images)
    statuses = {0: 0x0000, 1: 0xB000, 2: 0xA700, 3: 0x0000}
    with receiving([build_context(CTImageStorage)], statuses.__getitem__) as (port, got):
        await gateway.peer("DEST", port=port)
        await gateway.share(await patient(gateway), "DEST")
        answers, identifiers, _ = await retrieve(gateway, keys(StudyInstanceUID="1.2.3.4"), "DEST")
        assert answers[-1].Status == 0xB000
        assert counts(answers[-1]) == (2, 1, 1)
        assert [one.NumberOfRemainingSuboperations for one in answers[:-1]] == [3, 2, 1]
        assert identifiers[-1].FailedSOPInstanceUIDList == got[2][0]
        assert {uid: digest for uid, _, digest in got} == digests(gateway)
        statuses.update(dict.fromkeys(range(4, 8), 0xA900))
        answers, _, _ = await retrieve(gateway, keys(StudyInstanceUID="1.2.3.4"), "DEST")
        assert (answers[-1].Status, counts(answers[-1])) == (0xA702, (0, 4, 0))


async def patient(gateway: Gateway) -> str:
    """The id of the one patient."""
    stored = await gateway.site.database.collection("ImagingStudy").find_one({})
    assert stored is not None
    return str(stored["resource"]["subject"]["reference"]).removeprefix("Patient/")


async def test_move_to_whom_it_may_not_go(gateway: Gateway, image: Maker) -> None:
    """An unknown destination is refused; one that may not see the images gets none of them, and that is told."""
    await gateway.push(image(PatientID="P", StudyInstanceUID="1.2.3.4"))
    wanted = keys(StudyInstanceUID="1.2.3.4")
    answers, _, _ = await retrieve(gateway, wanted, "NOBODY")
    assert [one.Status for one in answers] == [0xA801]
    with receiving([build_context(CTImageStorage)]) as (port, got):
        await gateway.peer("DEST", port=port)
        answers, _, _ = await retrieve(gateway, wanted, "DEST")
        assert (answers[-1].Status, counts(answers[-1]), got) == (0xA702, (0, 1, 0), [])
        await gateway.share(await patient(gateway), "DEST")
        answers, _, _ = await retrieve(gateway, wanted, "DEST")
        assert (answers[-1].Status, counts(answers[-1]), len(got)) == (0x0000, (1, 0, 0), 1)


async def test_move_to_a_destination_that_is_down(gateway: Gateway, image: Maker) -> None:
    """All sub-operations failed, and the peer is told which."""
    await gateway.push(image(PatientID="P", StudyInstanceUID="1.2.3.4"))
    await gateway.peer("DEST", port=free_port())
    await gateway.share(await patient(gateway), "DEST")
    answers, identifiers, _ = await retrieve(gateway, keys(StudyInstanceUID="1.2.3.4"), "DEST")
    assert (answers[-1].Status, counts(answers[-1])) == (0xA702, (0, 1, 0))
    assert identifiers[-1].FailedSOPInstanceUIDList in digests(gateway)


async def test_what_a_peer_may_not_see_is_not_retrieved(gateway: Gateway, image: Maker) -> None:
    """For another peer the study is not there: nothing is sent, nothing is counted; refusals are on record."""
    await gateway.push(image(PatientID="P", StudyInstanceUID="1.2.3.4"))
    await gateway.peer("OTHER")
    await gateway.peer("NARROW", scopes=("system/Patient.rs",))
    wanted = keys(StudyInstanceUID="1.2.3.4")
    answers, _, got = await retrieve(gateway, wanted, calling="OTHER")
    assert (answers[-1].Status, counts(answers[-1]), got) == (0x0000, (0, 0, 0), [])
    answers, _, got = await retrieve(gateway, wanted, calling="NARROW")
    assert ([one.Status for one in answers], got) == ([0x0124], [])
    assert [event["outcome"] for event in await gateway.events("110102")] == ["0", "4"]


async def test_retrievals_are_on_record(gateway: Gateway, image: Maker) -> None:
    """Before the first byte leaves, and once all is over: who asked, which studies, whose they are."""
    await gateway.push(image(PatientID="P", StudyInstanceUID="1.2.3.4"))
    await retrieve(gateway, keys(StudyInstanceUID="1.2.3.4"))
    for code in ("110102", "110104"):
        (event,) = await gateway.events(code)
        assert event["agent"][0]["who"]["reference"] == f"Organization/{gateway.titles['PACS'].id}"
        named = [entity["what"]["reference"] for entity in event["entity"] if "what" in entity]
        assert f"Patient/{await patient(gateway)}" in named
        assert any(reference.startswith("ImagingStudy/") for reference in named)


@pytest.mark.parametrize("destination", [None, "DEST"])
async def test_cancel(gateway: Gateway, image: Maker, destination: str | None) -> None:
    """A cancelled retrieval ends with 0xFE00, and the counts of what was done and what was not."""
    images = [image(PatientID="P", StudyInstanceUID="1.2.3.4", InstanceNumber=str(number)) for number in range(12)]
    await gateway.push(*images)

    def slow(_: int) -> int:
        time.sleep(0.05)
        return 0x0000

    with receiving([build_context(CTImageStorage)], slow) as (port, _):
        await gateway.peer("DEST", port=port)
        await gateway.share(await patient(gateway), "DEST")
        answers, _, _ = await retrieve(
            gateway, keys(StudyInstanceUID="1.2.3.4"), destination, cancel_after=2, answer=slow
        )
    last = answers[-1]
    assert last.Status == 0xFE00
    assert 2 <= last.NumberOfCompletedSuboperations < 12
    assert last.NumberOfCompletedSuboperations + last.NumberOfRemainingSuboperations == 12


@pytest.mark.parametrize("ended", ["share", "partner"])
@pytest.mark.parametrize("destination", [None, "DEST"])
async def test_what_is_not_allowed_any_more_ends_a_retrieval(
    gateway: Gateway, image: Maker, destination: str | None, ended: str
) -> None:
    """Within seconds, between two images: not authorised, and on record as incomplete."""
    images = [image(PatientID="P", StudyInstanceUID="1.2.3.4", InstanceNumber=str(number)) for number in range(12)]
    await gateway.push(*images)
    receiver = destination or "OTHER"
    begun, number = threading.Event(), 0

    def slow(_: int) -> int:
        nonlocal number
        number += 1
        begun.set()
        time.sleep(0.5)
        return 0x0000

    with receiving([build_context(CTImageStorage)], slow) as (port, _):
        await gateway.peer(receiver, port=port)
        await gateway.share(await patient(gateway), receiver)
        asked = keys(StudyInstanceUID="1.2.3.4")
        calling = "PACS" if destination else receiver
        retrieving = asyncio.create_task(retrieve(gateway, asked, destination, answer=slow, calling=calling))
        assert await asyncio.to_thread(begun.wait, 30)
        if ended == "share":
            await gateway.site.database.collection("grants").delete_many({})
        else:
            await gateway.site.registration.disable_partner(gateway.titles[receiver].id)
        answers, _, _ = await retrieving
    assert answers[-1].Status == 0x0124
    assert number < 9
    (event,) = await gateway.events("110104")
    assert event["outcome"] == "8"


async def test_get_by_patient_and_series(gateway: Gateway, image: Maker) -> None:
    """At the patient level all studies come, at the series level these series; a level without its key is refused."""
    series = [generate_uid() for _ in range(3)]
    await gateway.push(
        *(image(PatientID="P", StudyInstanceUID="1.2.3.4", SeriesInstanceUID=one) for one in series),
        image(PatientID="P"),
        image(PatientID="Q"),
    )
    _, _, got = await retrieve(
        gateway, keys("PATIENT", PatientID="P"), model=PatientRootQueryRetrieveInformationModelGet
    )
    assert len(got) == 4
    _, _, got = await retrieve(gateway, keys("SERIES", StudyInstanceUID="1.2.3.4", SeriesInstanceUID=series[:2]))
    assert len(got) == 2
    for wanted in (
        keys("STUDY", StudyInstanceUID=""),
        keys("SERIES", StudyInstanceUID="1.2.3.4"),
        keys("IMAGE", SOPInstanceUID="1.2"),
        keys("PATIENT", PatientID="P"),
        keys(None, StudyInstanceUID="1.2.3.4"),
    ):
        answers, _, got = await retrieve(gateway, wanted)
        assert ([one.Status for one in answers], got) == ([0xA900], [])


def offered(syntax: str) -> tuple[tuple[str, str], ...]:
    """CT and MR in one transfer syntax."""
    return (CTImageStorage, syntax), (MRImageStorage, syntax)


async def test_transcoding_only_where_nothing_stored_is_taken(gateway: Gateway, image: Maker) -> None:
    """What the peer takes as it is stored comes as it is; another syntax only where it takes none; else it fails."""
    pushed = image(PatientID="P", StudyInstanceUID="1.2.3.4")
    compressed = dcmread(str(get_testdata_file("MR_small_jpeg_ls_lossless.dcm")))
    compressed.PatientID, compressed.StudyInstanceUID = "P", "1.2.3.4"
    compressed.PatientName, compressed.PatientSex = pushed.PatientName, pushed.PatientSex
    assert compressed.file_meta.TransferSyntaxUID == JPEGLSLossless
    await gateway.push(pushed, compressed)
    of = {str(one.SOPInstanceUID): one for one in (pushed, compressed)}
    storage: tuple[tuple[str, str], ...] = ((CTImageStorage, EXPLICIT), (MRImageStorage, JPEGLSLossless))
    _, _, got = await retrieve(gateway, keys(StudyInstanceUID="1.2.3.4"), storage=storage)
    assert {uid: digest for uid, _, digest in got} == digests(gateway)

    answers, _, got = await retrieve(
        gateway,
        keys(StudyInstanceUID="1.2.3.4"),
        storage=tuple((sop_class, IMPLICIT) for sop_class in (CTImageStorage, MRImageStorage)),
    )
    assert (answers[-1].Status, {syntax for _, syntax, _ in got}, len(got)) == (0x0000, {IMPLICIT}, 2)
    assert {uid for uid, _, _ in got} == set(of)

    answers, identifiers, got = await retrieve(
        gateway,
        keys(StudyInstanceUID="1.2.3.4"),
        storage=((MRImageStorage, JPEGLSLossless), (CTImageStorage, JPEGLSLossless)),
    )
    assert (answers[-1].Status, counts(answers[-1])) == (0xB000, (1, 1, 0))
    assert identifiers[-1].FailedSOPInstanceUIDList == pushed.SOPInstanceUID


async def test_a_peer_that_vanishes_ends_its_retrieval_alone(gateway: Gateway, image: Maker) -> None:
    """An abort in the middle of a C-GET ends that association; the next peer is served."""
    images = [image(PatientID="P", StudyInstanceUID="1.2.3.4", InstanceNumber=str(number)) for number in range(5)]
    await gateway.push(*images)

    def vanish() -> int:
        got: list[str] = []

        def store(event: Any) -> int:
            got.append(str(event.request.AffectedSOPInstanceUID))
            event.assoc.abort()
            return 0x0000

        ae = AE(ae_title="PACS")
        ae.add_requested_context(GET)
        ae.add_requested_context(CTImageStorage, EXPLICIT)
        association = ae.associate(
            "127.0.0.1",
            gateway.port,
            ae_title="HAYAT",
            ext_neg=[build_role(CTImageStorage, scp_role=True)],
            evt_handlers=[(evt.EVT_C_STORE, store)],
        )
        list(association.send_c_get(keys(StudyInstanceUID="1.2.3.4"), GET))
        return len(got)

    assert await asyncio.to_thread(vanish) == 1
    answers, _, got = await retrieve(gateway, keys(StudyInstanceUID="1.2.3.4"))
    assert (answers[-1].Status, len(got)) == (0x0000, 5)
