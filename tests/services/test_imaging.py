"""Imaging studies are what their images say, however these came in; and images are for whoever may see the study."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from secrets import randbelow
from typing import Any

import httpx
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import generate_uid

from hayat_fhir.app import Site
from hayat_fhir.dicom.matching import AnyOf
from hayat_fhir.dimse.demonstration import data_set_digest
from hayat_fhir.errors import NotFound
from hayat_fhir.http_process import web_application
from hayat_fhir.security.callers import Caller, Restriction, Role
from hayat_fhir.security.scopes import EVERYTHING
from hayat_fhir.services.ingest import Ingest, Taken
from hayat_fhir.services.partner_details import PartnerDetails
from hayat_fhir.services.viewing import Viewing
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.database import connect_sync
from hayat_fhir.store.imaging_studies import ImagingStudyRows
from hayat_fhir.store.incoming_instances import IncomingInstances
from hayat_fhir.store.partners import Partner

SYNTAX = "1.2.840.10008.1.2.1"
DOCTOR = Caller(Role.DOCTOR, "d", "Practitioner/d", scopes=EVERYTHING["doctor"])


def encoded(study: str, series: str, **attributes: Any) -> tuple[str, str, bytes]:
    """A CT image: SOP class, UID and data set."""
    image = dcmread(str(get_testdata_file("CT_small.dcm")))
    image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID = study, series, generate_uid()
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, image)
    return str(image.SOPClassUID), str(image.SOPInstanceUID), buffer.getvalue()


def item(**attributes: str) -> Dataset:
    """An item of a sequence."""
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


@pytest.fixture
async def peer(site: Site) -> Partner:
    """A PACS that is registered."""
    return await site.registration.partner(PartnerDetails(name="PACS", ae_title="PACS", host="127.0.0.1", port=104))


@pytest.fixture
def ingest(site: Site, mongodb_url: str, database_name: str) -> Any:
    """What the DICOM door calls."""
    database = connect_sync(mongodb_url, database_name)
    yield Ingest(IncomingInstances(database), Blobs(site.settings.data_dir / "blobs"), lambda *_: None)
    database.client.close()


def take(ingest: Ingest, data: bytes, syntax: str, sop_class: str, uid: str, peer: Partner) -> Taken:
    """Have an image arrive whole."""
    arrival = ingest.begin(syntax, sop_class, uid, peer)
    arrival.write(data)
    return ingest.take(arrival)


async def test_counts_are_exact_under_parallel_associations(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Eight senders push one study twice: each image is there once, and the study counts what is there."""
    study = f"1.2.3.{randbelow(10**12)}"
    images = [encoded(study, f"{study}.{number % 3}", Modality="CT" if number % 3 else "KO") for number in range(24)]

    with ThreadPoolExecutor(8) as senders:
        outcomes = list(
            senders.map(lambda image: take(ingest, image[2], SYNTAX, image[0], image[1], peer), [*images, *images])
        )
    assert sorted(map(str, outcomes)) == ["known"] * 24 + ["stored"] * 24

    first = await site.projection.project(study)
    again = await site.projection.project(study)

    assert first is not None
    assert first.resource is not None
    assert again is not None
    assert (first.resource["numberOfSeries"], first.resource["numberOfInstances"]) == (3, 24)
    assert sorted(s["numberOfInstances"] for s in first.resource["series"]) == [8, 8, 8]
    assert [coding["code"] for coding in first.resource["modality"]] == ["CT"]
    assert again.version == first.version == 1
    result = await site.searching.search(DOCTOR, "ImagingStudy", [("identifier", f"urn:dicom:uid|urn:oid:{study}")])
    assert [found.id for found in result.matches] == [first.id]
    assert first.resource["endpoint"][0]["reference"].startswith("Endpoint/")


async def test_projections_at_once_agree(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Several projections of one study at the same moment make one study of one patient."""
    study = f"1.2.3.{randbelow(10**12)}"
    sop_class, uid, data = encoded(study, f"{study}.1")
    assert await asyncio.to_thread(take, ingest, data, SYNTAX, sop_class, uid, peer) is Taken.STORED

    projected = await asyncio.gather(*(site.projection.project(study) for _ in range(8)))

    assert len({found.id for found in projected if found}) == 1
    assert len((await site.searching.search(DOCTOR, "Patient", [])).matches) == 1


async def test_without_a_number_a_patient_is_provisional(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Two studies without a patient number are of two patients, whatever their names."""
    for _ in range(2):
        study = f"1.2.3.{randbelow(10**12)}"
        sop_class, uid, data = encoded(study, f"{study}.1", PatientID="", PatientName="Same^Name")
        await asyncio.to_thread(take, ingest, data, SYNTAX, sop_class, uid, peer)
        await site.projection.project(study)
    assert len((await site.searching.search(DOCTOR, "Patient", [("name", "same")])).matches) == 2


async def test_rows_of_an_earlier_version_are_made_again(site: Site, peer: Partner, ingest: Ingest) -> None:
    """What DICOM clients search by is renewed from the same images; the ImagingStudy stays as it is."""
    study = f"1.2.3.{randbelow(10**12)}"
    for number in range(3):
        sop_class, uid, data = encoded(study, f"{study}.{number}")
        await asyncio.to_thread(take, ingest, data, SYNTAX, sop_class, uid, peer)
    stored = await site.projection.project(study)
    rows = site.database.collection("imaging_studies")
    [before] = await rows.find({}).to_list(None)

    async def found() -> list[str]:
        wanted = {"PatientID": (AnyOf(("1CT1",)),)}
        batches = ImagingStudyRows(site.database).find(Restriction(everything=True, restricted=True), wanted)
        return [one.row.uid async for several in batches for one in several]

    await rows.update_one({}, {"$set": {"keys": [], "match": {}}, "$unset": {"generation": ""}})
    await rows.insert_one({**before, "_id": "1.2.3", "generation": 0})
    assert await site.reindexing.due() == {"imaging_studies": 2}
    assert await found() == ["1.2.3"]

    batches = [batch async for _, batch in site.reindexing.reindex(["imaging_studies"])]

    assert [(batch.done, batch.refused) for batch in batches] == [(1, ("1.2.3",))]
    assert sorted(await found()) == sorted([study, "1.2.3"])
    assert await rows.find({"_id": study}).to_list(None) == [before]
    assert stored is not None
    assert (await site.interactions.read(DOCTOR, "ImagingStudy", stored.id)).version == stored.version


async def test_an_announced_study_is_taken_over(site: Site, peer: Partner, ingest: Ingest) -> None:
    """A study that came by Bundle before its images keeps its id and its patient."""
    study = f"1.2.3.{randbelow(10**12)}"
    staff = Caller(Role.SITE, "test")
    patient = await site.interactions.create(staff, "Patient", {"resourceType": "Patient", "name": [{"text": "x"}]})
    announced = {
        "resourceType": "ImagingStudy",
        "status": "registered",
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{study}"}],
        "subject": {"reference": patient.stored.reference},
    }
    placeholder = (await site.interactions.create(staff, "ImagingStudy", announced)).stored
    sop_class, uid, data = encoded(study, f"{study}.1")
    await asyncio.to_thread(take, ingest, data, SYNTAX, sop_class, uid, peer)

    found = await site.projection.project(study)

    assert found is not None
    assert found.resource is not None
    assert (found.id, found.version) == (placeholder.id, 2)
    assert found.resource["subject"]["reference"] == patient.stored.reference
    assert found.resource["status"] == "available"


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "odd",
    [
        {"TimezoneOffsetFromUTC": "+9999"},
        {"Modality": "\\CT"},
        {"Modality": "C  T"},
        {"ProcedureCodeSequence": [item(CodeValue=" a  b ", CodingSchemeDesignator="DCM")]},
        {"IssuerOfPatientIDQualifiersSequence": [item(UniversalEntityID="a: b", UniversalEntityIDType="URI")]},
        {"IssuerOfPatientIDQualifiersSequence": [item(UniversalEntityID="a b", UniversalEntityIDType="UUID")]},
    ],
    ids=lambda odd: next(iter(odd)),
)
async def test_an_odd_header_is_projected(site: Site, peer: Partner, ingest: Ingest, odd: dict[str, Any]) -> None:
    """An image that was taken becomes a study, whatever its device wrote beside the UIDs."""
    study = f"1.2.3.{randbelow(10**12)}"
    sop_class, uid, data = encoded(study, f"{study}.1", **odd)
    await asyncio.to_thread(take, ingest, data, SYNTAX, sop_class, uid, peer)
    assert await site.projection.project(study) is not None


async def test_a_study_that_is_refused_holds_no_other_back(site: Site, peer: Partner, ingest: Ingest) -> None:
    """The worker goes on with the next study, and the refused one stays pending."""
    refused, good = (f"1.2.3.{n}{randbelow(10**12)}" for n in (1, 2))
    for study in (refused, good):
        sop_class, uid, data = encoded(study, f"{study}.1")
        await asyncio.to_thread(take, ingest, data, SYNTAX, sop_class, uid, peer)
    await site.database.collection("instances").update_one({"study": refused}, {"$set": {"system": "not a uri"}})
    stop = asyncio.Event()
    working = asyncio.create_task(site.projection.run(stop))
    try:
        async with asyncio.timeout(60):
            while (await site.instances.of_study(good))[0].imaging_study is None:  # noqa: ASYNC110 - it happens in the database
                await asyncio.sleep(0.1)
    finally:
        stop.set()
        await working
    assert (await site.instances.of_study(refused))[0].imaging_study is None


async def test_wado_rs(site: Site, peer: Partner, ingest: Ingest) -> None:
    """An image comes back byte for byte for whoever may see its study; for everybody else it is not there."""
    study = f"1.2.3.{randbelow(10**12)}"
    sop_class, uid, data = encoded(study, f"{study}.1")
    await asyncio.to_thread(take, ingest, data, SYNTAX, sop_class, uid, peer)
    await site.projection.project(study)
    doctor = await site.registration.account(Role.DOCTOR, "d@site.example", "D", "Tz7!kQ9#vL2@wX5$")
    other = await site.registration.account(Role.PATIENT, "p@site.example", "P", "Tz7!kQ9#vL2@wX5$")
    path = f"/dicomweb/studies/{study}/series/{study}.1/instances/{uid}"
    client = httpx.AsyncClient(transport=httpx.ASGITransport(web_application(site)), base_url="http://127.0.0.1:1")

    async def get(path: str, account: Any = doctor, accept: str = "application/dicom") -> httpx.Response:
        token = site.authorization.token_for_account(account)
        return await client.get(path, headers={"Authorization": f"Bearer {token}", "Accept": accept})

    async with client:
        bare = await get(path)
        assert bare.status_code == 200
        assert data_set_digest(bare.content) == sha256(data).hexdigest()
        multipart = await get(path, accept='multipart/related; type="application/dicom"')
        assert multipart.headers["content-type"].startswith("multipart/related")
        boundary = multipart.headers["content-type"].partition("boundary=")[2]
        head, part, tail = multipart.content.partition(bare.content)
        assert part == bare.content
        assert head.startswith(f"--{boundary}\r\nContent-Type: application/dicom".encode())
        assert tail == f"\r\n--{boundary}--\r\n".encode()
        assert (await client.get(path)).status_code == 401
        for accept in ("image/png", 'multipart/related; type="image/jpeg"', "application/dicom;q=0"):
            assert (await get(path, accept=accept)).status_code == 406
        preferring = await get(path, accept="application/dicom;q=0.1, multipart/related")
        assert preferring.headers["content-type"].startswith("multipart/related")
        missing = [
            await get(path, other),
            await get(f"/dicomweb/studies/{study}/series/1.2/instances/{uid}"),
            await get(f"/dicomweb/studies/{study}/series/{study}.1/instances/1.2.3"),
            await get(f"/dicomweb/studies/{study}/series/{study}.1/instances/..%2F..%2Fetc"),
        ]
        assert {answer.status_code for answer in missing} == {404}
        assert missing[0].json() == missing[2].json()
    with pytest.raises(NotFound):
        await site.retrieval.instance(DOCTOR, "x", "y", "z")


async def test_another_partner_cannot_claim_images(site: Site, peer: Partner, ingest: Ingest) -> None:
    """A partner that announces a study it did not send neither gets its images nor draws them to its patient."""
    study = f"1.2.3.{randbelow(10**12)}"
    partner = await site.registration.partner(PartnerDetails(name="Other", fhir_url="https://other.example/fhir"))
    caller = Caller(
        Role.PARTNER, partner.id, f"Organization/{partner.id}", "Other", EVERYTHING["partner"], source=partner.id
    )
    patient = (await site.interactions.create(caller, "Patient", {"resourceType": "Patient"})).stored
    claimed = {
        "resourceType": "ImagingStudy",
        "status": "available",
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{study}"}],
        "subject": {"reference": patient.reference},
    }
    claim = (await site.interactions.create(caller, "ImagingStudy", claimed)).stored
    sop_class, uid, data = encoded(study, f"{study}.1")
    await asyncio.to_thread(take, ingest, data, SYNTAX, sop_class, uid, peer)

    found = await site.projection.project(study)

    assert found is not None
    assert found.id != claim.id
    assert found.compartments != (patient.reference,)
    with pytest.raises(NotFound):
        await site.retrieval.instance(caller, study, f"{study}.1", uid)
    assert (await site.retrieval.instance(DOCTOR, study, f"{study}.1", uid)).length > len(data)
    assert await site.projection.project(study) == found


async def test_looking_at_a_series_is_one_access(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Image after image of a series is audited once, before the first; a refusal each time, for itself."""
    study = f"1.2.3.{randbelow(10**12)}"
    images = [encoded(study, f"{study}.1") for _ in range(4)]
    for sop_class, uid, data in images:
        await asyncio.to_thread(take, ingest, data, SYNTAX, sop_class, uid, peer)
    projected = await site.projection.project(study)
    assert projected is not None
    viewing = Viewing(site.retrieval)
    found = await asyncio.gather(*(viewing.image(DOCTOR, study, f"{study}.1", uid) for _, uid, _ in images))
    assert [one.uid for one in found] == [uid for _, uid, _ in images]
    stranger = Caller(Role.PATIENT, "p", "Patient/p", scopes=EVERYTHING["patient"], patients=frozenset({"p"}))
    for _ in range(2):
        with pytest.raises(NotFound):
            await viewing.image(stranger, study, f"{study}.1", images[0][1])
    with pytest.raises(NotFound):
        await viewing.image(DOCTOR, study, f"{study}.1", "1.2.3")
    auditor = Caller(Role.STAFF, "s", scopes=EVERYTHING["staff"])
    events = [
        stored.resource or {}
        for stored in (await site.searching.search(auditor, "AuditEvent", [("_count", "100")])).matches
    ]
    about = {"reference": projected.reference}
    seen = [event for event in events if any(e.get("what") == about for e in event.get("entity", ()))]
    assert [event["outcome"] for event in seen if event["action"] == "R"] == ["0"]
    assert sum(event["outcome"] == "4" for event in events) == 3


async def test_what_is_withdrawn_is_out_of_sight_soon(site: Site, peer: Partner, ingest: Ingest) -> None:
    """An image that is taken back is not there any more, also for those who were looking at it."""
    study = f"1.2.3.{randbelow(10**12)}"
    sop_class, uid, data = encoded(study, f"{study}.1")
    await asyncio.to_thread(take, ingest, data, SYNTAX, sop_class, uid, peer)
    await site.projection.project(study)
    viewing = Viewing(site.retrieval)
    assert (await viewing.image(DOCTOR, study, f"{study}.1", uid)).uid == uid
    await site.database.collection("instances").delete_one({"_id": uid})
    async with asyncio.timeout(60):
        for _ in range(600):
            try:
                await viewing.image(DOCTOR, study, f"{study}.1", uid)
            except NotFound:
                return
            await asyncio.sleep(0.1)
    pytest.fail("the image is still there")
