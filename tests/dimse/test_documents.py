"""Documents among the images: whoever may not see the resource made of one does not get the object, at any door."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid
from pynetdicom import build_context
from pynetdicom.sop_class import BasicTextSRStorage, CTImageStorage, EncapsulatedPDFStorage

from hayat_fhir.errors import NotFound
from hayat_fhir.http_process import web_application
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.scopes import EVERYTHING
from hayat_fhir.store.accounts import Account
from hayat_fhir.store.partners import Partner

from .gateway import Gateway, keys, opened_gateway
from .test_query import find
from .test_retrieval import EXPLICIT, receiving, retrieve

Maker = Callable[..., FileDataset]
SITE = Caller(Role.SITE, "test")
RESTRICTED = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}
STORAGE = tuple((uid, EXPLICIT) for uid in (CTImageStorage, BasicTextSRStorage, EncapsulatedPDFStorage))
SECRET = "A malignant tumour."
DOCUMENTS = ("DiagnosticReport", "DocumentReference")


@dataclass(slots=True)
class Told:
    """A study of an image, a report and a PDF; ``objects``: path at the DICOMweb door by type of resource."""

    gateway: Gateway
    http: httpx.AsyncClient
    study: str
    patient: str
    partner: Partner
    doctors: list[Account]
    objects: dict[str, str]
    uids: dict[str, str]
    resources: dict[str, str]

    def token(self, who: Account | Partner) -> str:
        """Of a doctor or a partner."""
        authorization = self.gateway.site.authorization
        if isinstance(who, Partner):
            return authorization.token_for_partner(who, frozenset({"system/*.cruds"}))
        return authorization.token_for_account(who)

    async def get(self, who: Account | Partner | str, path: str, **query: str) -> httpx.Response:
        """What the site answers at either door; ``who`` may be a token."""
        token = who if isinstance(who, str) else self.token(who)
        accept = "application/dicom" if "/instances/" in path and "metadata" not in path else "*/*"
        return await self.http.get(path, params=query, headers={"Authorization": f"Bearer {token}", "Accept": accept})

    async def seen(self, who: Account | Partner | str) -> dict[str, tuple[int, int]]:
        """By type, how the resource and the object are answered."""
        return {
            type: (
                (await self.get(who, f"/fhir/{self.resources[type]}")).status_code,
                (await self.get(who, self.objects[type])).status_code,
            )
            for type in self.resources
        }

    async def shown(self, who: Account | Partner | str) -> set[str]:
        """The types of the objects of the study that WADO-RS and QIDO-RS tell of, which must agree."""
        path = f"/dicomweb/studies/{self.study}"
        answers = [await self.get(who, f"{path}/metadata"), await self.get(who, f"{path}/instances")]
        told = [{one["00080018"]["Value"][0] for one in answer.json()} for answer in answers]
        assert told[0] == told[1]
        return {type for type, uid in self.uids.items() if uid in told[0]}

    async def label(self, type: str) -> None:
        """Label the resource of this type restricted."""
        type, _, id = self.resources[type].partition("/")
        interactions = self.gateway.site.interactions
        resource = (await interactions.read(SITE, type, id)).resource or {}
        await interactions.update(SITE, type, id, {**resource, "meta": RESTRICTED})

    async def deny(self, *types: str) -> None:
        """Let the patient deny the partner these types."""
        classes = [{"system": "http://hl7.org/fhir/resource-types", "code": type} for type in types]
        actor = {"role": {"text": "recipient"}, "reference": {"reference": f"Organization/{self.partner.id}"}}
        scope = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
        consent = {
            "resourceType": "Consent",
            "status": "active",
            "scope": {"coding": [scope]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "policyRule": {"text": "x"},
            "patient": {"reference": self.patient},
            "provision": {"type": "deny", "actor": [actor], "class": classes},
        }
        await self.gateway.site.interactions.create(SITE, "Consent", consent)


def document(image: FileDataset, sop_class: str, **attributes: Any) -> FileDataset:
    """An object of the image's study that is none itself."""
    for keyword in ("PixelData", "Rows", "Columns", "PixelRepresentation", "BitsAllocated", "BitsStored", "HighBit"):
        delattr(image, keyword)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = sop_class
    image.SeriesInstanceUID = generate_uid()
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    return image


def coded(value: str, scheme: str, meaning: str) -> Sequence:
    """A code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])


def report(image: FileDataset) -> FileDataset:
    """A Structured Report that says the secret."""
    text = Dataset()
    text.RelationshipType, text.ValueType, text.TextValue = "CONTAINS", "TEXT", SECRET
    text.ConceptNameCodeSequence = coded("121071", "DCM", "Finding")
    about = {"CompletionFlag": "COMPLETE", "VerificationFlag": "VERIFIED", "ValueType": "CONTAINER", "Modality": "SR"}
    title = coded("18748-4", "LN", "Diagnostic imaging report")
    return document(image, BasicTextSRStorage, **about, ConceptNameCodeSequence=title, ContentSequence=Sequence([text]))


def pdf(image: FileDataset) -> FileDataset:
    """An encapsulated PDF."""
    content = b"%PDF-1.4 " + SECRET.encode()
    return document(image, EncapsulatedPDFStorage, Modality="DOC", DocumentTitle="x", EncapsulatedDocument=content)


@asynccontextmanager
async def opened(mongodb_url: str, database_name: str, folder: Path, image: Maker, port: int) -> AsyncIterator[Told]:
    """A site with the study, and a partner with whom its patient is shared, which takes images at a port."""
    study = generate_uid()
    objects = [image(StudyInstanceUID=study, PatientID="P") for _ in range(3)]
    made = dict(zip(("ImagingStudy", *DOCUMENTS), (objects[0], report(objects[1]), pdf(objects[2])), strict=True))
    async with opened_gateway(mongodb_url, database_name, folder) as gateway:
        site = gateway.site
        await gateway.push(*made.values())
        rows = {type: (await site.searching.search(SITE, type, [])).matches for type in made}
        patient = str((rows["ImagingStudy"][0].resource or {})["subject"]["reference"])
        partner = await gateway.peer("DEST", port=port)
        await gateway.share(patient.removeprefix("Patient/"), "DEST")
        doctors = [
            await site.registration.account(Role.DOCTOR, f"{name}@site.example", name, "Tz7!kQ9#vL2@wX5$")
            for name in ("first", "second")
        ]
        path = "/dicomweb/studies/{0.StudyInstanceUID}/series/{0.SeriesInstanceUID}/instances/{0.SOPInstanceUID}"
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(web_application(site)), base_url="http://127.0.0.1:1"
        ) as http:
            yield Told(
                gateway,
                http,
                study,
                patient,
                partner,
                doctors,
                {type: path.format(one) for type, one in made.items()},
                {type: str(one.SOPInstanceUID) for type, one in made.items()},
                {type: stored[0].reference for type, stored in rows.items()},
            )


@pytest.fixture
async def told(mongodb_url: str, database_name: str, tmp_path: Path, image: Maker) -> AsyncIterator[Told]:
    """With a partner that takes nothing."""
    async with opened(mongodb_url, database_name, tmp_path / "site", image, 104) as told:
        yield told


@pytest.mark.parametrize("denied", [("DiagnosticReport",), ("DocumentReference",), DOCUMENTS])
async def test_what_a_consent_denies_does_not_come_as_an_object(told: Told, denied: tuple[str, ...]) -> None:
    """By WADO-RS, QIDO-RS, C-FIND and C-GET; the images come, and so does all of it to doctors and the sender."""
    types = set(denied)
    assert await told.seen(told.partner) == dict.fromkeys(told.resources, (200, 200))
    assert await told.shown(told.partner) == {*told.resources}

    await told.deny(*types)

    expected = {type: (404, 404) if type in types else (200, 200) for type in told.resources}
    assert await told.seen(told.partner) == expected
    allowed = {*told.resources} - types
    assert await told.shown(told.partner) == allowed
    text = (await told.get(told.partner, f"/dicomweb/studies/{told.study}/metadata")).text
    assert (SECRET in text) is ("DiagnosticReport" in allowed)
    found, _ = await find(told.gateway, keys("IMAGE", StudyInstanceUID=told.study, SOPInstanceUID=""), calling="DEST")
    uids = {str(one.SOPInstanceUID) for one in found}
    assert uids == {told.uids[type] for type in allowed}
    for calling, expected_types in (("DEST", allowed), ("PACS", {*told.resources})):
        _, _, got = await retrieve(told.gateway, keys(StudyInstanceUID=told.study), storage=STORAGE, calling=calling)
        assert {uid for uid, _, _ in got} == {told.uids[type] for type in expected_types}
    assert await told.seen(told.doctors[0]) == dict.fromkeys(told.resources, (200, 200))


async def test_what_a_consent_denies_is_neither_moved_nor_shared(
    mongodb_url: str, database_name: str, tmp_path: Path, image: Maker
) -> None:
    """The sender may move the study to the partner, and a doctor may share it: the images go, and the PDF."""
    contexts = [build_context(uid, EXPLICIT) for uid, _ in STORAGE]
    with receiving(contexts) as (port, got):
        async with opened(mongodb_url, database_name, tmp_path / "site", image, port) as told:
            await told.deny("DiagnosticReport")
            allowed = {told.uids["ImagingStudy"], told.uids["DocumentReference"]}
            statuses, _, _ = await retrieve(told.gateway, keys(StudyInstanceUID=told.study), "DEST")
            assert {uid for uid, _, _ in got} == allowed
            assert (statuses[-1].NumberOfCompletedSuboperations, statuses[-1].NumberOfFailedSuboperations) == (2, 1)
            got.clear()
            exchange = told.gateway.site.exchange
            job = await exchange.share(SITE, told.patient.removeprefix("Patient/"), told.partner.id)
            delivery = await exchange.deliver(job)
            assert {uid for uid, _, _ in got} == allowed
            assert delivery.images == 2


async def test_a_label_holds_for_the_object(told: Told) -> None:
    """And for the bytes of a document; nobody sees it but who breaks the glass, whatever becomes of the resource."""
    content = (await told.get(told.doctors[0], f"/fhir/{told.resources['DocumentReference']}")).json()["content"]
    binary = f"/fhir/{content[0]['attachment']['url']}"
    for who in (*told.doctors, told.partner):
        assert (await told.get(who, binary)).status_code == 200
    for type in DOCUMENTS:
        await told.label(type)
    for who, refused in ((told.doctors[1], 403), (told.partner, 404), (told.gateway.titles["PACS"], 404)):
        assert await told.seen(who) == {"ImagingStudy": (200, 200), **dict.fromkeys(DOCUMENTS, (refused, 404))}
        assert await told.shown(who) == {"ImagingStudy"}
        for path in (binary, f"{binary}/_history", f"{binary}/_history/1"):
            assert (await told.get(who, path)).status_code == refused
    _, _, got = await retrieve(told.gateway, keys(StudyInstanceUID=told.study), storage=STORAGE)
    assert {uid for uid, _, _ in got} == {told.uids["ImagingStudy"]}

    emergency = await broken(told)
    assert await told.seen(emergency) == dict.fromkeys(told.resources, (200, 200))
    for path in (binary, f"{binary}/_history", f"{binary}/_history/1"):
        assert (await told.get(emergency, path)).status_code == 200

    for type in DOCUMENTS:
        await told.gateway.site.interactions.delete(SITE, type, told.resources[type].partition("/")[2])
    assert await told.shown(told.doctors[1]) == {"ImagingStudy"}
    assert (await told.get(told.doctors[1], binary)).status_code == 404


async def broken(told: Told) -> str:
    """The token of a doctor who has broken the glass."""
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "reason", "valueString": "Unconscious in the emergency room."}],
    }
    answer = await told.http.post(
        f"/fhir/{told.patient}/$break-glass",
        json=parameters,
        headers={"Authorization": f"Bearer {told.token(told.doctors[1])}"},
    )
    assert answer.status_code == 200, answer.text
    return next(str(one["valueString"]) for one in answer.json()["parameter"] if one["name"] == "access_token")


async def test_objects_of_before_name_no_resource(told: Told) -> None:
    """Those are found by the identifier that they have in common; what others say under it does not count."""
    rows = told.gateway.site.database.collection("instances")
    await rows.update_many({}, {"$unset": {"document": ""}})
    other = await told.gateway.peer("OTHER")
    caller = Caller(Role.PARTNER, other.id, f"Organization/{other.id}", "x", EVERYTHING["partner"], source=other.id)
    claim = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": {"text": "x"},
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{told.uids['DiagnosticReport']}"}],
        "meta": RESTRICTED,
    }
    await told.gateway.site.interactions.create(caller, "DiagnosticReport", claim)
    assert await told.shown(told.doctors[1]) == {*told.resources}
    await told.label("DiagnosticReport")
    assert await told.shown(told.doctors[1]) == {"ImagingStudy", "DocumentReference"}


async def test_the_patient_sees_what_is_theirs(told: Told) -> None:
    """The reports and their objects, until they are labelled; another patient sees none of it."""
    own = told.patient.removeprefix("Patient/")
    patient = Caller(Role.PATIENT, "p", told.patient, scopes=EVERYTHING["patient"], patients=frozenset({own}))
    retrieval = told.gateway.site.retrieval
    assert {one.uid for one in await retrieval.images(patient, told.study)} == {*told.uids.values()}
    await told.label("DiagnosticReport")
    assert told.uids["DiagnosticReport"] not in {one.uid for one in await retrieval.images(patient, told.study)}
    with pytest.raises(NotFound):
        await retrieval.images(replace(patient, patients=frozenset({"x"})), told.study)
