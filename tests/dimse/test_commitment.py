"""Storage commitment as peers ask for it, and as partners answer it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt

from hayat_fhir.dimse.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE
from hayat_fhir.store.commitments import CommitmentRequests

from .conftest import send
from .gateway import Gateway, opened_gateway

Maker = Callable[..., FileDataset]


@pytest.fixture
async def gateway(mongodb_url: str, database_name: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A site."""
    async with opened_gateway(mongodb_url, database_name, tmp_path) as running:
        yield running


def item(sop_class: str, uid: str) -> Dataset:
    """A referenced instance."""
    made = Dataset()
    made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = sop_class, uid
    return made


def _ask(
    port: int,
    transaction: str,
    items: Sequence[Dataset],
    *,
    stay: float = 0,
    action: int = 1,
    instance: str = PUSH_MODEL_INSTANCE,
    calling: str = "PACS",
) -> tuple[int, list[tuple[int, Dataset]]]:
    """Ask for commitment: the status, and the reports that came over the same association meanwhile."""
    reports: list[tuple[int, Dataset]] = []
    arrived = threading.Event()

    def report(event: Any) -> tuple[int, None]:
        reports.append((event.event_type, event.event_information))
        arrived.set()
        return 0x0000, None

    ae = AE(ae_title=calling)
    ae.add_requested_context(PUSH_MODEL)
    association = ae.associate("127.0.0.1", port, ae_title="HAYAT", evt_handlers=[(evt.EVT_N_EVENT_REPORT, report)])
    assert association.is_established
    information = Dataset()
    information.TransactionUID = transaction
    information.ReferencedSOPSequence = list(items)
    status, _ = association.send_n_action(information, action, PUSH_MODEL, instance)
    arrived.wait(stay)
    association.release()
    return status.Status, reports


async def ask(gateway: Gateway, transaction: str, items: Sequence[Dataset], **options: Any) -> Any:
    """Ask for commitment."""
    return await asyncio.to_thread(_ask, gateway.port, transaction, items, **options)


async def until_none_owed(gateway: Gateway, left: int = 0) -> None:
    """Wait until no more reports than these are owed."""
    for _ in range(200):
        if await gateway.site.database.collection("commitments").count_documents({}) <= left:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("reports are still owed")


async def test_a_peer_that_stays_gets_its_report_there(gateway: Gateway, image: Maker) -> None:
    """Over the association that asked: what was just stored is vouched for, before any projection."""
    pushed = image(PatientID="P")
    assert await asyncio.to_thread(send, gateway.port, pushed) == [0x0000]
    transaction = generate_uid()
    status, reports = await ask(gateway, transaction, [item(pushed.SOPClassUID, pushed.SOPInstanceUID)], stay=10)
    assert status == 0x0000
    ((kind, information),) = reports
    assert (kind, information.TransactionUID) == (1, transaction)
    assert [one.ReferencedSOPInstanceUID for one in information.ReferencedSOPSequence] == [pushed.SOPInstanceUID]
    await until_none_owed(gateway)


async def test_what_is_not_in_custody_is_told_with_its_reason(gateway: Gateway, image: Maker) -> None:
    """Unknown, of another class, another peer's, or without its bytes: each fails, and the rest does not."""
    await gateway.peer("OTHER")
    kept, lost, alien = image(PatientID="P"), image(PatientID="P"), image(PatientID="Q")
    await asyncio.to_thread(send, gateway.port, kept, lost)
    await asyncio.to_thread(send, gateway.port, alien, calling="OTHER")
    gateway.door.blobs.path(gateway.door.rows.find_one({"_id": lost.SOPInstanceUID})["blob"]).unlink()
    unknown = generate_uid()
    ct = kept.SOPClassUID
    asked = [
        item(ct, kept.SOPInstanceUID),
        item(ct, lost.SOPInstanceUID),
        item(ct, alien.SOPInstanceUID),
        item(ct, unknown),
    ]
    _, ((kind, information),) = await ask(gateway, generate_uid(), asked, stay=10)
    assert kind == 2
    assert [one.ReferencedSOPInstanceUID for one in information.ReferencedSOPSequence] == [kept.SOPInstanceUID]
    assert {one.ReferencedSOPInstanceUID: one.FailureReason for one in information.FailedSOPSequence} == {
        lost.SOPInstanceUID: 0x0112, alien.SOPInstanceUID: 0x0112, unknown: 0x0112,
    }  # fmt: skip
    other = item("1.2.840.10008.5.1.4.1.1.4", kept.SOPInstanceUID)
    _, ((_, information),) = await ask(gateway, generate_uid(), [other], stay=10)
    assert information.FailedSOPSequence[0].FailureReason == 0x0119
    assert len(await gateway.events("110112")) == 2


async def test_a_peer_that_leaves_gets_its_report_later(gateway: Gateway, image: Maker) -> None:
    """Over a new association in which this site is the SCP, again and again until the peer is there."""
    got: list[tuple[int, str]] = []

    def report(event: Any) -> tuple[int, None]:
        got.append((event.event_type, str(event.event_information.TransactionUID)))
        return 0x0000, None

    ae = AE(ae_title="LEAVER")
    ae.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, report)])
    port = server.server_address[1]
    server.shutdown()
    await gateway.peer("LEAVER", port=port)
    pushed = image(PatientID="P")
    await asyncio.to_thread(send, gateway.port, pushed, calling="LEAVER")
    transaction = generate_uid()
    asked = [item(pushed.SOPClassUID, pushed.SOPInstanceUID)]
    assert await ask(gateway, transaction, asked, calling="LEAVER") == (0x0000, [])
    assert (await ask(gateway, transaction, asked, calling="LEAVER"))[0] == 0x0210
    await asyncio.sleep(1.5)
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, report)])
    try:
        await until_none_owed(gateway)
    finally:
        server.shutdown()
    assert got == [(1, transaction)]


async def test_requests_that_are_none(gateway: Gateway) -> None:
    """Another action, another instance, nothing asked for, or what is no UID: refused, and nothing is owed."""
    one = [item("1.2.840.10008.5.1.4.1.1.2", "1.2.3")]
    assert (await ask(gateway, generate_uid(), one, action=2))[0] == 0x0123
    assert (await ask(gateway, generate_uid(), one, instance="1.2.3"))[0] == 0x0112
    assert (await ask(gateway, generate_uid(), []))[0] == 0x0115
    assert (await ask(gateway, "", one))[0] == 0x0115
    await until_none_owed(gateway)


async def test_forged_reports_change_nothing(gateway: Gateway) -> None:
    """A report of what was not asked, or by whom was not asked, is answered with a failure, and on record."""
    requests = CommitmentRequests(gateway.site.database)
    partner = gateway.titles["PACS"].id
    await requests.add("1.2.3.4", partner, [("1.2.840.10008.5.1.4.1.1.2", "1.2.3")])
    await gateway.peer("OTHER")

    def report(calling: str, transaction: str, uid: str) -> int:
        ae = AE(ae_title=calling)
        ae.add_requested_context(PUSH_MODEL)
        association = ae.associate("127.0.0.1", gateway.port, ae_title="HAYAT")
        information = Dataset()
        information.TransactionUID = transaction
        information.ReferencedSOPSequence = [item("1.2.840.10008.5.1.4.1.1.2", uid)]
        status, _ = association.send_n_event_report(information, 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        association.release()
        return int(status.Status)

    for calling, transaction, uid in (
        ("OTHER", "1.2.3.4", "1.2.3"),
        ("PACS", "1.2.9", "1.2.3"),
        ("PACS", "1.2.3.4", "1.2.9"),
    ):
        assert await asyncio.to_thread(report, calling, transaction, uid) == 0x0110
    found = await requests.get("1.2.3.4")
    assert found is not None
    assert not found.answered
    assert await asyncio.to_thread(report, "PACS", "1.2.3.4", "1.2.3") == 0x0000
    found = await requests.get("1.2.3.4")
    assert found is not None
    assert found.committed == {"1.2.3"}
    assert [event["outcome"] for event in await gateway.events("110104")] == ["4", "4", "4", "0"]
