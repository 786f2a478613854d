"""Records travel with the images that they are about, as objects of the study, under a signed manifest of digests."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hayat_fhir.app import Site
from hayat_fhir.dicom.composed_object import SYNTAX, Composed
from hayat_fhir.dicom.header import file_header
from hayat_fhir.dicom.plain_pdf import plain_pdf
from hayat_fhir.errors import NotFound
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.keys import SiteKeys
from hayat_fhir.security.scopes import EVERYTHING
from hayat_fhir.services.binding import Binding, Bound
from hayat_fhir.services.ingest import Ingest, Taken
from hayat_fhir.services.partner_details import PartnerDetails
from hayat_fhir.services.verification import Result, Signature
from hayat_fhir.store.partners import Partner
from hayat_fhir.store.records import Stored
from hayat_fhir.store.resources import Resources

from .test_imaging import DOCTOR, ingest, peer, take
from .test_quarantine import new_study, push

__all__ = ["ingest", "peer"]
SITE = Caller(Role.SITE, "test")
SENDER = "https://sender.example/fhir"


@dataclass(frozen=True, slots=True)
class Told:
    """A study of two images with a report, and what is bound to it by its sender."""

    study: str
    stored: Stored
    report: Stored
    history: list[Stored]
    binding: Binding
    keys: SiteKeys
    partner: Partner


@pytest.fixture
async def told(site: Site, peer: Partner, ingest: Ingest, tmp_path: Path) -> Told:
    """As it stands at a receiver whose partner is the sender."""
    keys = SiteKeys.load_or_create(tmp_path / "sender")
    partner = await site.registration.partner(
        PartnerDetails("Sender", fhir_url=SENDER, jwks=keys.public_jwks(), ae_title="SENDER", host="127.0.0.1", port=1)
    )
    study = new_study()
    for _ in range(2):
        await push(ingest, peer, study)
    stored = await site.projection.project(study)
    assert stored is not None
    subject = (stored.resource or {})["subject"]
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Diameter"},
        "subject": subject,
        "valueQuantity": {"value": 12, "unit": "mm"},
    }
    seen = (await site.interactions.create(SITE, "Observation", observation)).stored
    resource = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": {"text": "CT chest"},
        "subject": subject,
        "issued": "2026-01-02T03:04:05+01:00",
        "performer": [{"display": "Meredith Grey"}],
        "imagingStudy": [{"reference": stored.reference}],
        "result": [{"reference": seen.reference}],
        "conclusion": "Größe normal.\nNo (other) finding.",
    }
    report = (await site.interactions.create(SITE, "DiagnosticReport", resource)).stored
    binding = Binding(site.instances, Resources(site.database, {}), site.interactions, keys, "Sender", SENDER)
    return Told(study, stored, report, [stored, report, seen], binding, keys, partner)


async def arrive(ingest: Ingest, peer: Partner, objects: tuple[Composed, ...]) -> None:
    """Have the objects arrive."""
    for one in objects:
        taken = await asyncio.to_thread(take, ingest, one.data, SYNTAX, one.sop_class, one.uid, peer)
        assert taken is Taken.STORED


async def received(site: Site, ingest: Ingest, peer: Partner, told: Told) -> Bound:
    """What was bound has arrived and is projected."""
    bound = await told.binding.bind(told.history)
    await arrive(ingest, peer, bound.objects)
    await site.projection.project(told.study)
    return bound


async def test_the_same_content_makes_the_same_objects(told: Told) -> None:
    """A report as SR and PDF, and one selection; again, and after it was stored again, nothing else is made."""
    bound = await told.binding.bind(told.history)
    assert [one.sop_class.rpartition(".")[2] for one in bound.objects] == ["11", "1", "59"]
    assert {one.study for one in bound.objects} == {told.study}
    assert bound.made_of == {told.report.reference: [bound.objects[0].uid]}
    (record,) = bound.records
    assert [one["reference"] for one in (record.resource or {})["target"]] == [
        told.stored.reference,
        (told.stored.resource or {})["subject"]["reference"],
        told.report.reference,
    ]
    assert await told.binding.bind(told.history) == bound


async def test_other_content_makes_others(site: Site, told: Told) -> None:
    """An amended report is another object, under another UID."""
    bound = await told.binding.bind(told.history)
    amended = {**(told.report.resource or {}), "conclusion": "A nodule.", "status": "amended"}
    report = (await site.interactions.update(SITE, "DiagnosticReport", told.report.id, amended)).stored
    again = await told.binding.bind([told.stored, report])
    assert not {one.uid for one in bound.objects} & {one.uid for one in again.objects}
    assert b"A nodule." in again.objects[0].data


async def test_what_is_no_report_of_the_study_is_not_bound(site: Site, told: Told) -> None:
    """What came from an object of the study, was taken back, or is about another one: images go alone, vouched for."""
    identifier = [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}]
    for change in ({"identifier": identifier}, {"status": "entered-in-error"}, {"imagingStudy": []}):
        resource = {**(told.report.resource or {}), **change}
        if not resource["imagingStudy"]:
            del resource["imagingStudy"]
        report = (await site.interactions.update(SITE, "DiagnosticReport", told.report.id, resource)).stored
        bound = await told.binding.bind([told.stored, report])
        assert (bound.objects, bound.made_of, len(bound.records)) == ((), {}, 1)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dicom3tools")
async def test_objects_are_clean(told: Told, tmp_path: Path) -> None:
    """Whatever this site makes has no error by dciodvfy, in any script and with a PDF of the report's own."""
    form = {"contentType": "application/pdf", "data": b64encode(plain_pdf("Own", ["x"]) or b"").decode()}
    resource = {**(told.report.resource or {}), "conclusion": "سليم", "presentedForm": [form]}
    other = Stored("DiagnosticReport", "other", 1, told.report.updated, resource)
    bound = await told.binding.bind([*told.history, other])
    assert len(bound.objects) == 5
    for number, one in enumerate(bound.objects):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(file_header(one.sop_class, one.uid, SYNTAX, "HAYAT") + one.data)
        checked = await asyncio.to_thread(
            subprocess.run, ["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False
        )
        assert "Error" not in checked.stdout + checked.stderr


async def test_a_script_without_letters_in_the_pdf(told: Told) -> None:
    """What the fonts of a plain PDF cannot say is said by the SR alone."""
    resource = {**(told.report.resource or {}), "conclusion": "سليم"}
    other = Stored("DiagnosticReport", "other", 1, told.report.updated, resource)
    bound = await told.binding.bind([told.stored, other])
    assert [one.sop_class.rpartition(".")[2] for one in bound.objects] == ["11", "59"]
    assert "سليم".encode() in bound.objects[0].data


async def test_what_arrived_as_it_was_sent_is_verified(site: Site, peer: Partner, ingest: Ingest, told: Told) -> None:
    """Every image, object and report compares; for whoever sees the study, and nobody else."""
    bound = await received(site, ingest, peer, told)
    verdict = await site.verification.verify(DOCTOR, told.stored.id)
    assert verdict.verified
    (manifest,) = verdict.manifests
    assert (manifest.signer, manifest.signature) == (SENDER, Signature.GOOD)
    assert set(manifest.instances.values()) == {Result.VERIFIED}
    assert len(manifest.instances) == 2 + len(bound.objects)
    assert manifest.resources == {told.report.reference: Result.VERIFIED}
    stranger = Caller(Role.PATIENT, "p", "Patient/p", patients=frozenset({"p"}), scopes=EVERYTHING["patient"])
    with pytest.raises(NotFound):
        await site.verification.verify(stranger, told.stored.id)


async def test_what_was_altered_shows(site: Site, peer: Partner, ingest: Ingest, told: Told) -> None:
    """Another digest, a missing image, one more image, another text: each is told, and the whole is not verified."""
    bound = await received(site, ingest, peer, told)
    rows = site.database.collection("instances")
    first, second = [row["_id"] async for row in rows.find({"study": told.study, "sop_class": {"$regex": r"\.2$"}})]
    await rows.update_one({"_id": first}, {"$set": {"sha256": "0" * 64}})
    await rows.delete_one({"_id": second})
    _, more = await push(ingest, peer, told.study)
    changed = {**(told.report.resource or {}), "conclusion": "Something else."}
    await site.interactions.update(SITE, "DiagnosticReport", told.report.id, changed)
    await site.projection.project(told.study)
    verdict = await site.verification.verify(DOCTOR, told.stored.id)
    assert not verdict.verified
    (manifest,) = verdict.manifests
    assert manifest.instances == {
        first: Result.ALTERED,
        second: Result.MISSING,
        **{one.uid: Result.VERIFIED for one in bound.objects},
    }
    assert manifest.resources == {told.report.reference: Result.ALTERED}
    assert set(verdict.unsigned) == {first, more}


async def test_forged_manifests(site: Site, peer: Partner, ingest: Ingest, told: Told) -> None:
    """A changed manifest, a signer whom nobody knows, and one who has no such key: none of them vouches."""
    bound = await told.binding.bind(told.history)
    (record,) = bound.records
    resource: dict[str, Any] = record.resource or {}
    payload = b64decode(resource["contained"][0]["data"])
    other = payload.replace(b'"length":', b'"length":1')
    contained = [{**resource["contained"][0], "data": b64encode(other).decode()}]
    await site.interactions.update(SITE, "Provenance", record.id, {**resource, "contained": contained})
    await arrive(ingest, peer, bound.objects)
    await site.projection.project(told.study)
    verdict = await site.verification.verify(DOCTOR, told.stored.id)
    assert not verdict.verified
    assert [one.signature for one in verdict.manifests] == [Signature.BAD]
    assert len(verdict.unsigned) == 2 + len(bound.objects)

    elsewhere = Binding(
        site.instances, Resources(site.database, {}), site.interactions, told.keys, "X", "https://nobody.example/fhir"
    )
    await elsewhere.bind(told.history)
    verdict = await site.verification.verify(DOCTOR, told.stored.id)
    assert sorted(one.signature for one in verdict.manifests) == [Signature.BAD, Signature.UNKNOWN]


async def test_what_was_good_stays_good(site: Site, peer: Partner, ingest: Ingest, told: Told, tmp_path: Path) -> None:
    """The sender replaces its keys after the images have come: what it vouched for under the old one still counts."""
    await received(site, ingest, peer, told)
    fresh = SiteKeys.load_or_create(tmp_path / "fresh")
    rows = site.database.collection("partners")
    await rows.update_one({"_id": told.partner.id}, {"$set": {"jwks": fresh.public_jwks()}})
    assert (await site.verification.verify(DOCTOR, told.stored.id)).verified


async def test_only_the_newest_statement_counts(site: Site, peer: Partner, ingest: Ingest, told: Told) -> None:
    """After a report was amended and sent again, what was vouched for before is history."""
    await received(site, ingest, peer, told)
    amended = {**(told.report.resource or {}), "conclusion": "A nodule.", "status": "amended"}
    report = (await site.interactions.update(SITE, "DiagnosticReport", told.report.id, amended)).stored
    assert not (await site.verification.verify(DOCTOR, told.stored.id)).verified
    await arrive(ingest, peer, (await told.binding.bind([told.stored, report, told.history[2]])).objects)
    await site.projection.project(told.study)
    verdict = await site.verification.verify(DOCTOR, told.stored.id)
    assert len(verdict.manifests) == 2
    assert verdict.verified
