"""Sharing images with partners over DICOM: what arrives, what is proven, and what is on record of each image."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelGet

from hayat_fhir.dimse.delivery import ImageDelivery
from hayat_fhir.dimse.proof import ask, new_transaction
from hayat_fhir.errors import Unavailable, Unprocessable
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.partners import Partner

from .authority import Authority
from .gateway import Gateway, opened_gateway
from .orthanc import free_port, orthanc

Maker = Callable[..., FileDataset]
STUDY = "1.2.3.4"
SITE = Caller(Role.SITE, "test")


@pytest.fixture
async def gateway(mongodb_url: str, database_name: str, tmp_path: Path, image: Maker) -> AsyncIterator[Gateway]:
    """A site with a study of three images."""
    async with opened_gateway(mongodb_url, database_name, tmp_path / "site") as running:
        await running.push(
            *(image(PatientID="P", StudyInstanceUID=STUDY, InstanceNumber=str(number)) for number in range(3))
        )
        yield running


async def deliver(gateway: Gateway, partner: Partner) -> tuple[int, int]:
    """Deliver the study."""
    site = gateway.site
    delivery = ImageDelivery(site.database, site.instances, Blobs(site.settings.data_dir / "blobs"), gateway.requestor)
    return await delivery.send(partner, [STUDY], (), _allowed)


async def _allowed() -> None:
    """The images may be sent."""


async def states(gateway: Gateway) -> list[str]:
    """What is on record of each image."""
    rows = await gateway.site.database.collection("deliveries").find({}).sort("_id").to_list(None)
    return [row["state"] for row in rows]


@asynccontextmanager
async def another_site(
    gateway: Gateway, mongodb_url: str, database_name: str, folder: Path, authority: Authority | None = None
) -> AsyncIterator[tuple[Gateway, Partner]]:
    """A second site, each the other's partner: it, and the partner that it is to the first."""
    tls = authority is not None
    async with opened_gateway(mongodb_url, database_name, folder, authority) as other:
        await other.peer("HAYAT", port=gateway.port, tls=tls)
        yield other, replace(await gateway.peer("OTHER", port=other.port, tls=tls), ae_title="HAYAT")


@contextmanager
def archive(
    answer: Callable[[int], int] = lambda _: 0x0000, alter: bool = False, gives_back: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """A partner that takes images and, with ``gives_back``, gives them back by C-GET: its port, and what it took."""
    taken: list[str] = []
    kept: dict[str, Any] = {}

    def store(event: Any) -> int:
        taken.append(str(event.request.AffectedSOPInstanceUID))
        kept[taken[-1]] = event.dataset
        kept[taken[-1]].file_meta = event.file_meta
        return answer(len(taken) - 1)

    def get(event: Any) -> Iterator[Any]:
        uids = event.identifier.SOPInstanceUID
        chosen = [kept[uid] for uid in ([uids] if isinstance(uids, str) else uids)]
        yield len(chosen)
        for one in chosen:
            if alter:
                one.PatientID = "other"
            yield 0xFF00, one

    ae = AE(ae_title="ARCHIVE")
    ae.add_supported_context(CTImageStorage, scu_role=True, scp_role=True)
    handlers: list[Any] = [(evt.EVT_C_STORE, store)]
    if gives_back:
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelGet)
        handlers.append((evt.EVT_C_GET, get))
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.server_address[1], taken
    finally:
        server.shutdown()


async def test_another_site_commits(gateway: Gateway, mongodb_url: str, database_name: str, tmp_path: Path) -> None:
    """Hayat to Hayat: all images arrive byte for byte, and the other site vouches for each; again sends nothing."""
    async with another_site(gateway, mongodb_url, f"{database_name}-b", tmp_path / "other") as (other, partner):
        assert await deliver(gateway, partner) == (3, 3)
        assert await states(gateway) == ["committed"] * 3
        theirs = {row["_id"]: row["sha256"] for row in other.door.rows.find({})}
        assert theirs == {row["_id"]: row["sha256"] for row in gateway.door.rows.find({})}
        assert await deliver(gateway, partner) == (3, 3)
        assert sum(images for _, images in other.door.transferred) == 3


async def test_another_site_commits_over_tls(
    mongodb_url: str, database_name: str, tmp_path: Path, image: Maker
) -> None:
    """Two sites whose ports speak TLS only: images and report come, and nothing is taken in clear."""
    authority = Authority(tmp_path, "authority")
    async with (
        opened_gateway(mongodb_url, database_name, tmp_path / "site", authority) as gateway,
        another_site(gateway, mongodb_url, f"{database_name}-b", tmp_path / "other", authority) as (other, partner),
    ):
        await gateway.push(*(image(PatientID="P", StudyInstanceUID=STUDY, InstanceNumber=str(n)) for n in range(30)))
        assert await deliver(gateway, partner) == (30, 30)
        assert await states(gateway) == ["committed"] * 30
        theirs = {row["_id"]: row["sha256"] for row in other.door.rows.find({})}
        assert theirs == {row["_id"]: row["sha256"] for row in gateway.door.rows.find({})}
        with pytest.raises(Unavailable, match="association is refused"):
            await deliver(gateway, replace(partner, id="in-clear", tls=False))


async def test_a_report_is_acknowledged_before_the_association_ends(
    gateway: Gateway, mongodb_url: str, database_name: str, tmp_path: Path
) -> None:
    """However long this site takes over the report, the other one gets its response, and owes none any more."""
    async with another_site(gateway, mongodb_url, f"{database_name}-b", tmp_path / "other") as (other, partner):
        answered = Event()

        def heard(*_: object) -> bool:
            answered.set()
            time.sleep(0.5)
            return True

        asked = (partner, gateway.requestor, new_transaction(), [(str(CTImageStorage), "1.2.3")])
        assert await asyncio.to_thread(ask, *asked, heard, answered.is_set)
        owed = other.site.database.collection("commitments")
        left = [await owed.count_documents({})]
        for _ in range(100):
            if left[-1]:
                await asyncio.sleep(0.05)
                left.append(await owed.count_documents({}))
        assert left[-1] == 0


async def test_what_a_partner_has_lost_is_sent_again(
    gateway: Gateway, mongodb_url: str, database_name: str, tmp_path: Path
) -> None:
    """An image that the partner does not vouch for any more is sent at the next attempt, and then it does."""
    async with another_site(gateway, mongodb_url, f"{database_name}-b", tmp_path / "other") as (other, partner):
        await deliver(gateway, partner)
        other.door.rows.delete_one({})
        with pytest.raises(Unavailable):
            await deliver(gateway, partner)
        assert sorted(await states(gateway)) == ["committed", "committed", "refused"]
        assert await deliver(gateway, partner) == (3, 3)


async def test_orthanc_commits(gateway: Gateway, tmp_path: Path) -> None:
    """Orthanc answers over an association of its own, which comes in at the door."""
    port = free_port()
    partner = await gateway.peer("ORTHANC", port=port)
    opened = orthanc(tmp_path / "orthanc", gateway.port, port)
    await asyncio.to_thread(opened.__enter__)
    try:
        assert await deliver(gateway, partner) == (3, 3)
    finally:
        await asyncio.to_thread(opened.__exit__, None, None, None)
    assert await states(gateway) == ["committed"] * 3


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, "verified"), ({"alter": True}, "altered"), ({"gives_back": False}, "sent")],
)
async def test_a_partner_that_does_not_commit(gateway: Gateway, options: dict[str, Any], expected: str) -> None:
    """What was sent is read back, and proven where the bytes are the same; without C-GET nothing is claimed."""
    with archive(**options) as (port, taken):
        partner = await gateway.peer("ARCHIVE", port=port)
        assert await deliver(gateway, partner) == (3, 3 if expected == "verified" else 0)
        assert await states(gateway) == [expected] * 3
        assert await deliver(gateway, partner) == (3, 3 if expected == "verified" else 0)
        assert len(taken) == 3


async def test_refusals_stop_no_other_image(gateway: Gateway) -> None:
    """One image that the partner refuses is told of with its status; the others arrive, and are not sent again."""
    statuses = {0: 0x0000, 1: 0xA900, 2: 0xB000, 3: 0x0000}
    with archive(statuses.__getitem__) as (port, taken):
        partner = await gateway.peer("ARCHIVE", port=port)
        with pytest.raises(Unprocessable, match="refused 1 images, the first with 0xA900"):
            await deliver(gateway, partner)
        assert sorted(await states(gateway)) == ["refused", "verified", "verified"]
        assert await deliver(gateway, partner) == (3, 3)
        assert len(taken) == 4


async def test_want_of_resources_is_tried_again(gateway: Gateway) -> None:
    """A partner that is out of resources, or down, will be asked again; what it took before is not sent twice."""
    statuses = {0: 0x0000, 1: 0xA700, 2: 0x0000, 3: 0x0000}
    with archive(statuses.__getitem__) as (port, taken):
        partner = await gateway.peer("ARCHIVE", port=port)
        with pytest.raises(Unavailable, match="0xA700"):
            await deliver(gateway, partner)
        assert await deliver(gateway, partner) == (3, 3)
        assert len(taken) == 4
    with pytest.raises(Unavailable):
        await deliver(gateway, await gateway.peer("DOWN", port=free_port()))


async def test_a_syntax_that_the_partner_does_not_take(gateway: Gateway) -> None:
    """A compressed image goes uncompressed to a partner that takes nothing else, and is not claimed to be proven."""
    compressed = dcmread(str(get_testdata_file("MR_small_jpeg_ls_lossless.dcm")))
    compressed.PatientID, compressed.StudyInstanceUID, compressed.SOPClassUID = "P", STUDY, CTImageStorage
    compressed.PatientName, compressed.PatientSex = "CompressedSamples^CT1", "O"
    compressed.file_meta.MediaStorageSOPClassUID = CTImageStorage
    compressed.SOPInstanceUID = compressed.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    await gateway.push(compressed)
    with archive() as (port, taken):
        partner = await gateway.peer("ARCHIVE", port=port)
        assert await deliver(gateway, partner) == (4, 3)
        assert str(compressed.SOPInstanceUID) in taken
    assert sorted(await states(gateway)) == ["sent", "verified", "verified", "verified"]


async def _withdraw(gateway: Gateway, patient: str, partner: Partner) -> None:
    actor = {"role": {"text": "recipient"}, "reference": {"reference": f"Organization/{partner.id}"}}
    consent = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "policyRule": {"text": "consent"},
        "patient": {"reference": f"Patient/{patient}"},
        "provision": {"type": "deny", "actor": [actor]},
    }
    await gateway.site.interactions.create(SITE, "Consent", consent)


async def _shut_out(gateway: Gateway, patient: str, partner: Partner) -> None:
    del patient
    await gateway.site.registration.disable_partner(partner.id)


@pytest.mark.parametrize(
    ("ending", "told"), [(_withdraw, "the patient does not consent"), (_shut_out, "the partner is disabled")]
)
async def test_what_is_not_allowed_any_more_ends_a_transfer(
    gateway: Gateway, image: Maker, ending: Callable[..., Awaitable[None]], told: str
) -> None:
    """Within seconds, between two images; the outbox says why, and it is not tried again."""
    await gateway.push(*(image(PatientID="P", StudyInstanceUID=STUDY, InstanceNumber=str(n)) for n in range(3, 12)))
    begun = Event()

    def slow(_: int) -> int:
        begun.set()
        time.sleep(0.5)
        return 0x0000

    with archive(slow) as (port, taken):
        partner = await gateway.peer("ARCHIVE", port=port)
        found = await gateway.site.searching.search(SITE, "ImagingStudy", [])
        patient = (found.matches[0].resource or {})["subject"]["reference"].removeprefix("Patient/")
        job = await gateway.site.exchange.share(SITE, patient, partner.id)
        stop = asyncio.Event()
        running = asyncio.create_task(gateway.site.exchange.run(stop))
        try:
            assert await asyncio.to_thread(begun.wait, 30)
            await ending(gateway, patient, partner)
            for _ in range(200):
                now = await gateway.site.outbox.get(job.id)
                if now is not None and now.status not in {"waiting", "running"}:
                    break
                await asyncio.sleep(0.1)
        finally:
            stop.set()
            await running
        assert now is not None
        assert (now.status, told in (now.error or "")) == ("failed", True), now
        assert len(taken) < 9
        assert await states(gateway) == ["sent"] * len(taken)
