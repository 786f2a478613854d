"""Reports, encapsulated documents and selections among a study's instances become FHIR resources, once."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import highdicom as hd
import pytest
from highdicom.sr import (
    CodedConcept,
    ComprehensiveSR,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PersonObserverIdentifyingAttributes,
    QualitativeEvaluation,
    TrackingIdentifier,
)
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from hayat_fhir.app import Site
from hayat_fhir.errors import NotFound
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.scopes import EVERYTHING
from hayat_fhir.services.ingest import Ingest, Taken
from hayat_fhir.services.quarantine import Decision, Resolution
from hayat_fhir.store.partners import Partner

from .test_imaging import DOCTOR, SYNTAX, ingest, item, peer, take
from .test_quarantine import STAFF, new_study, push
from .test_rejection import note

__all__ = ["ingest", "peer"]
LUNG = CodedConcept("39607008", "SCT", "Lung")


async def send(ingest: Ingest, peer: Partner, dataset: Dataset) -> str:
    """Have an object arrive; its UID."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    for group in [tag for tag in dataset.keys() if tag.group == 2]:  # noqa: SIM118 - a data set has its own keys
        del dataset[group]
    write_dataset(buffer, dataset)
    arguments = (buffer.getvalue(), SYNTAX, str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), peer)
    assert await asyncio.to_thread(take, ingest, *arguments) is Taken.STORED
    return str(dataset.SOPInstanceUID)


def document(study: str, sop_class: str, **attributes: Any) -> Dataset:
    """An object of a study that is no image."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = sop_class, generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID = study, generate_uid()
    made.PatientID, made.PatientName, made.SpecificCharacterSet = "1CT1", "CompressedSamples^CT1", "ISO_IR 192"
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


async def found(site: Site, type: str) -> list[dict[str, Any]]:
    """All resources of a type."""
    result = await site.searching.search(DOCTOR, type, [])
    return [stored.resource for stored in result.matches if stored.resource is not None]


def measured(study: str) -> ComprehensiveSR:
    """A measurement report (TID 1500) of highdicom."""
    image = dcmread(str(get_testdata_file("CT_small.dcm")))
    image.StudyInstanceUID = study
    observer = ObserverContext(codes.DCM.Person, PersonObserverIdentifyingAttributes("Grey^Meredith"))
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=hd.UID(), identifier="lesion 1"),
        finding_sites=[FindingSite(LUNG)],
        measurements=[
            Measurement(
                name=CodedConcept("103339001", "SCT", "Long axis length"),
                value=12.5,
                unit=CodedConcept("mm", "UCUM", "millimeter"),
            )
        ],
        qualitative_evaluations=[
            QualitativeEvaluation(
                CodedConcept("129714009", "SCT", "Margin"), CodedConcept("129742005", "SCT", "Spiculated")
            )
        ],
    )
    content = MeasurementReport(
        observation_context=ObservationContext(observer_person_context=observer),
        procedure_reported=CodedConcept("24627-2", "LN", "CT Chest"),
        imaging_measurements=[group],
    )
    return ComprehensiveSR(
        evidence=[image],
        content=content[0],
        series_instance_uid=hd.UID(),
        series_number=9,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="x",
        is_complete=True,
        is_verified=True,
        is_final=True,
        verifying_observer_name="Grey^Meredith",
        verifying_organization="x",
    )


@pytest.mark.filterwarnings("ignore::UserWarning")
async def test_a_measurement_report(site: Site, peer: Partner, ingest: Ingest) -> None:
    """TID 1500: a final DiagnosticReport of the study, and its group, measurement and evaluation as Observations."""
    study = new_study()
    await push(ingest, peer, study)
    uid = await send(ingest, peer, measured(study))
    stored = await site.projection.project(study)
    await site.projection.project(study)
    assert stored is not None
    (report,) = await found(site, "DiagnosticReport")
    assert report["identifier"] == [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}]
    assert report["status"] == "final"
    assert report["imagingStudy"] == [{"reference": stored.reference}]
    assert report["resultsInterpreter"] == [{"display": "Meredith Grey"}]
    assert report["code"]["coding"][0]["display"] == "Imaging Measurement Report"
    assert "Long axis length: 12.5 mm" in report["conclusion"]
    assert b64decode(report["presentedForm"][0]["data"]).decode() == report["conclusion"]
    observations = {one["id"]: one for one in await found(site, "Observation")}
    assert len(observations) == 3
    (result,) = [one["reference"].removeprefix("Observation/") for one in report["result"]]
    group = observations.pop(result)
    assert {one["reference"] for one in group["hasMember"]} == {f"Observation/{id}" for id in observations}
    assert "lesion 1" in {one["value"] for one in group["identifier"]}
    length = next(one for one in observations.values() if "valueQuantity" in one)
    unit = {"unit": "millimeter", "system": "http://unitsofmeasure.org", "code": "mm"}
    assert length["valueQuantity"] == {**unit, "value": Decimal("12.5")}
    assert length["bodySite"]["coding"][0]["code"] == "39607008"
    assert length["code"]["coding"][0]["code"] == "103339001"
    assert length["derivedFrom"] == [{"reference": stored.reference}]
    margin = next(one for one in observations.values() if "valueCodeableConcept" in one)
    assert margin["valueCodeableConcept"]["coding"][0]["display"] == "Spiculated"


async def test_basic_text(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Headings and text are the conclusion, as an outline; unverified it is preliminary, partial it is partial."""
    study = new_study()
    title = item(CodeValue="18748-4", CodingSchemeDesignator="LN", CodeMeaning="Diagnostic imaging report")
    finding = item(ValueType="TEXT", RelationshipType="CONTAINS", TextValue="Kein Befund. Größe normal.")
    finding.ConceptNameCodeSequence = Sequence(
        [item(CodeValue="121071", CodingSchemeDesignator="DCM", CodeMeaning="Finding")]
    )
    for completion in ("COMPLETE", "PARTIAL"):
        about = {
            "CompletionFlag": completion,
            "VerificationFlag": "UNVERIFIED",
            "Modality": "SR",
            "ValueType": "CONTAINER",
        }
        made = document(study, "1.2.840.10008.5.1.4.1.1.88.11", **about, ContentDate="20260102", ContentTime="101112")
        made.ConceptNameCodeSequence = Sequence([title])
        made.ContentSequence = Sequence([finding])
        made.TimezoneOffsetFromUTC = "+0100"
        await send(ingest, peer, made)
    assert await site.projection.project(study) is not None
    reports = {one["status"]: one for one in await found(site, "DiagnosticReport")}
    assert set(reports) == {"preliminary", "partial"}
    shown = reports["partial"]
    assert shown["conclusion"] == "Diagnostic imaging report\n  Finding: Kein Befund. Größe normal."
    assert shown["effectiveDateTime"] == "2026-01-02T10:11:12+01:00"
    assert shown["code"]["coding"][0]["system"] == "http://loinc.org"
    assert await found(site, "Observation") == []


def text_report(study: str, text: str = "No finding.") -> Dataset:
    """A verified report of one sentence."""
    about = {"CompletionFlag": "COMPLETE", "VerificationFlag": "VERIFIED", "Modality": "SR", "ValueType": "CONTAINER"}
    made = document(study, "1.2.840.10008.5.1.4.1.1.88.11", **about)
    made.ConceptNameCodeSequence = Sequence([coded("18748-4", "LN", "Diagnostic imaging report")])
    made.ContentSequence = Sequence([content("TEXT", ("121071", "DCM", "Finding"), TextValue=text)])
    return made


async def test_what_a_doctor_stores_is_the_sites_own(site: Site, ingest: Ingest) -> None:
    """A report that a doctor sends over HTTP is no other hospital's: the site's doctors may go on with it."""
    study = new_study()
    own = await site.storing.sender(DOCTOR)
    await send(ingest, own, text_report(study))
    await site.projection.project(study)
    (report,) = await found(site, "DiagnosticReport")
    assert (await site.interactions.read(DOCTOR, "DiagnosticReport", report["id"])).source is None
    changed = {**report, "status": "amended", "conclusion": "A nodule."}
    written = await site.interactions.update(DOCTOR, "DiagnosticReport", report["id"], changed)
    assert written.stored.version == 2
    rows = site.database.collection("DiagnosticReport")
    await rows.update_one({"_id": report["id"]}, {"$set": {"source": ""}, "$push": {"compartments": "source:"}})
    stored = (
        await site.interactions.update(DOCTOR, "DiagnosticReport", report["id"], report | {"status": "amended"})
    ).stored
    assert (stored.source, stored.compartments) == (None, written.stored.compartments)


async def test_an_encapsulated_pdf(site: Site, peer: Partner, ingest: Ingest) -> None:
    """A DocumentReference with the PDF as Binary: its bytes without padding, typed by the class, not by the object."""
    study = new_study()
    content = b"%PDF-1.4 odd"
    made = document(
        study,
        "1.2.840.10008.5.1.4.1.1.104.1",
        Modality="DOC",
        DocumentTitle="Entlassung",
        MIMETypeOfEncapsulatedDocument="text/html",
        EncapsulatedDocumentLength=len(content) - 1,
        EncapsulatedDocument=content,
    )
    await send(ingest, peer, made)
    stored = await site.projection.project(study)
    await site.projection.project(study)
    assert stored is not None
    (reference,) = await found(site, "DocumentReference")
    attachment = reference["content"][0]["attachment"]
    assert (attachment["contentType"], attachment["title"], attachment["size"]) == ("application/pdf", "Entlassung", 11)
    assert reference["context"]["related"] == [{"reference": stored.reference}]
    assert attachment["url"].startswith("Binary/")
    id = attachment["url"].removeprefix("Binary/")
    subject = reference["subject"]["reference"]
    own = frozenset({subject.removeprefix("Patient/")})
    patient = Caller(Role.PATIENT, "own", subject, patients=own, scopes=EVERYTHING["patient"])
    binary = (await site.interactions.read(patient, "Binary", id)).resource or {}
    assert b64decode(binary["data"]) == content[:-1]
    assert binary["securityContext"] == {"reference": f"DocumentReference/{reference['id']}"}
    stranger = Caller(Role.PATIENT, "p", "Patient/p", patients=frozenset({"p"}), scopes=EVERYTHING["patient"])
    with pytest.raises(NotFound):
        await site.interactions.read(stranger, "Binary", id)
    assert await site.database.collection("Binary").count_documents({}) == 1


async def test_a_pdf_that_is_deleted_and_restored(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Let in again it is current again, with the Binary that it had; other content under its UID has its own."""
    study, uid = new_study(), generate_uid()
    about = {"Modality": "DOC", "SOPInstanceUID": uid, "SeriesInstanceUID": f"{study}.1"}
    pdf = "1.2.840.10008.5.1.4.1.1.104.1"
    await push(ingest, peer, study)
    await send(ingest, peer, document(study, pdf, **about, EncapsulatedDocument=b"%PDF-1.4 one"))
    await site.projection.project(study)
    (before,) = await found(site, "DocumentReference")

    await site.quarantine.withhold(STAFF, study, instance=uid)
    for _ in range(2):
        await site.projection.project(study)
    assert [one["status"] for one in await found(site, "DocumentReference")] == ["entered-in-error"]
    (entry,) = await site.quarantine.list(STAFF, "withheld", study)
    await site.quarantine.resolve(STAFF, Resolution(Decision.ACCEPT, "by mistake", entry.id))
    await site.projection.project(study)
    (restored,) = await found(site, "DocumentReference")
    assert (restored["id"], restored["status"], restored["content"]) == (before["id"], "current", before["content"])
    assert await site.database.collection("Binary").count_documents({}) == 1

    await site.quarantine.withhold(STAFF, study, instance=uid)
    await site.projection.project(study)
    await send(ingest, peer, document(study, pdf, **about, EncapsulatedDocument=b"%PDF-1.4 two"))
    await site.projection.project(study)
    (other,) = await found(site, "DocumentReference")
    assert (other["id"], other["status"]) == (before["id"], "current")
    binary = other["content"][0]["attachment"]["url"].removeprefix("Binary/")
    shown = (await site.interactions.read(DOCTOR, "Binary", binary)).resource
    assert shown is not None
    assert b64decode(shown["data"]) == b"%PDF-1.4 two"


async def test_a_selection(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Key objects of interest: a DocumentReference that names them and where the selection is retrieved."""
    study = new_study()
    _, uid = await push(ingest, peer, study)
    await note(ingest, peer, study, "113000", uid)
    assert await site.projection.project(study) is not None
    (reference,) = await found(site, "DocumentReference")
    assert reference["type"]["coding"][0]["code"] == "113000"
    related = [one["identifier"]["value"] for one in reference["context"]["related"] if "identifier" in one]
    assert related == [f"urn:oid:{uid}"]
    assert reference["content"][0]["attachment"]["url"].startswith(f"http://127.0.0.1:1/dicomweb/studies/{study}/")


async def test_what_cannot_be_read_holds_nothing_back(site: Site, peer: Partner, ingest: Ingest) -> None:
    """A report too deep to be read is stored and counted; there is no DiagnosticReport of it."""
    study = new_study()
    made = inner = document(study, "1.2.840.10008.5.1.4.1.1.88.33", Modality="SR", ValueType="CONTAINER")
    for _ in range(40):
        nested = item(ValueType="CONTAINER")
        inner.ContentSequence = Sequence([nested])
        inner = nested
    await send(ingest, peer, made)
    stored = await site.projection.project(study)
    assert stored is not None
    assert (stored.resource or {})["numberOfInstances"] == 1
    assert await found(site, "DiagnosticReport") == []


def test_files_of_others() -> None:
    """Reports of other makers that travel with pydicom are read as they are."""
    from hayat_fhir.dicom.structured_report import read_report

    report = read_report(Path(str(get_testdata_file("reportsi.dcm"))))
    assert report.text
    assert BytesIO(report.text.encode()).getbuffer().nbytes > 100


@pytest.mark.filterwarnings("ignore::UserWarning")
async def test_a_report_that_is_withdrawn_and_restored(site: Site, peer: Partner, ingest: Ingest) -> None:
    """What was made of it is entered in error while a rejection note holds, and as before once it is restored."""
    study = new_study()
    await push(ingest, peer, study)
    uid = await send(ingest, peer, measured(study))
    await site.projection.project(study)
    await note(ingest, peer, study, "113037", uid)
    for _ in range(2):
        await site.projection.project(study)
    for type in ("DiagnosticReport", "Observation"):
        assert {one["status"] for one in await found(site, type)} == {"entered-in-error"}
    entries = {one.instance.uid: one for one in await site.quarantine.list(STAFF, "withheld")}
    await site.quarantine.resolve(STAFF, Resolution(Decision.ACCEPT, "it was right", entries[uid].id))
    await site.projection.project(study)
    for type, number in (("DiagnosticReport", 1), ("Observation", 3)):
        assert [one["status"] for one in await found(site, type)] == ["final"] * number


async def test_a_label_outlasts_a_withdrawal(site: Site, peer: Partner, ingest: Ingest) -> None:
    """What was labelled restricted is so when its object is shown again; a PDF keeps its Binary."""
    study, about = new_study(), {"Modality": "DOC", "EncapsulatedDocument": b"%PDF-1.4"}
    uid = await send(ingest, peer, document(study, "1.2.840.10008.5.1.4.1.1.104.1", **about))
    await site.projection.project(study)
    (made,) = await found(site, "DocumentReference")
    staff = Caller(Role.SITE, "test")
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    labelled = {**made, "meta": {"security": [label]}}
    await site.interactions.update(staff, "DocumentReference", made["id"], labelled)
    await note(ingest, peer, study, "113037", uid)
    for _ in range(2):
        await site.projection.project(study)
    withdrawn = (await site.interactions.read(staff, "DocumentReference", made["id"])).resource or {}
    assert withdrawn["status"] == "entered-in-error"
    entries = {one.instance.uid: one for one in await site.quarantine.list(STAFF, "withheld")}
    await site.quarantine.resolve(STAFF, Resolution(Decision.ACCEPT, "it was right", entries[uid].id))
    await site.projection.project(study)
    restored = (await site.interactions.read(staff, "DocumentReference", made["id"])).resource or {}
    assert restored["status"] == "current"
    assert [one["code"] for one in restored["meta"]["security"]] == ["R"]
    assert restored["content"] == made["content"]
    assert await site.database.collection("Binary").count_documents({}) == 1


def content(kind: str, concept: tuple[str, str, str], **attributes: Any) -> Dataset:
    """A content item; a concept is value, scheme and meaning."""
    made = item(ValueType=kind, RelationshipType="CONTAINS")
    made.ConceptNameCodeSequence = Sequence([coded(*concept)])
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence."""
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def analysed(study: str, image: str, **attributes: Any) -> Dataset:
    """A report in which an algorithm has found something in two frames of an image."""
    reference = item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID=image)
    reference.ReferencedFrameNumber = [2, 3]
    source = item(ValueType="IMAGE", RelationshipType="CONTAINS")
    source.ReferencedSOPSequence = Sequence([reference])
    group = content("CONTAINER", ("125007", "DCM", "Measurement Group"))
    nodule = {"ConceptCodeSequence": Sequence([coded("27925004", "SCT", "Nodule")])}
    kind = {"ConceptCodeSequence": Sequence([coded("49755003", "SCT", "Morphologically abnormal structure")])}
    group.ContentSequence = Sequence(
        [
            content("CODE", ("276214006", "SCT", "Finding category"), **kind),
            content("CODE", ("121071", "DCM", "Finding"), **nodule),
            content("TEXT", ("111001", "DCM", "Algorithm Name"), TextValue="Lungs"),
            content("TEXT", ("111003", "DCM", "Algorithm Version"), TextValue="2.1"),
            source,
        ]
    )
    made = document(study, "1.2.840.10008.5.1.4.1.1.88.33", Modality="SR", ValueType="CONTAINER", **attributes)
    made.ConceptNameCodeSequence = Sequence([coded("126000", "DCM", "Imaging Measurement Report")])
    made.AuthorObserverSequence = Sequence(
        [item(ObserverType="PSN", PersonName="Grey^Meredith"), item(ObserverType="DEV", StationName="WS1")]
    )
    made.ReferencedRequestSequence = Sequence([item(AccessionNumber="A1")])
    made.ContentSequence = Sequence([group])
    return made


async def test_who_found_what_where(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Authors, order, algorithm, and the frames of the image; the category of a finding is what it answers."""
    study = new_study()
    _, image = await push(ingest, peer, study)
    await send(ingest, peer, analysed(study, image))
    stored = await site.projection.project(study)
    assert stored is not None
    (report,) = await found(site, "DiagnosticReport")
    assert [one["display"] for one in report["performer"]] == ["Meredith Grey", "(WS1)"]
    assert report["basedOn"][0]["identifier"]["value"] == "A1"
    (group,) = [one for one in await found(site, "Observation") if "hasMember" in one]
    (finding,) = [one for one in await found(site, "Observation") if "hasMember" not in one]
    assert finding["code"]["coding"][0]["code"] == "49755003"
    assert finding["valueCodeableConcept"]["coding"][0]["code"] == "27925004"
    for one in (group, finding):
        (source,) = one["derivedFrom"]
        assert source["reference"] == stored.reference
        parts = [
            next(value for key, value in part.items() if key != "url") for part in source["extension"][0]["extension"]
        ]
        assert parts == [f"urn:oid:{image}", 2, 3]
        assert one["device"]["display"] == "Lungs 2.1"


async def test_a_report_that_replaces_another(site: Site, peer: Partner, ingest: Ingest) -> None:
    """The Provenance of the new one names the old one; both stay, each with what it says."""
    study = new_study()
    _, image = await push(ingest, peer, study)
    first = await send(ingest, peer, analysed(study, image))
    await site.projection.project(study)
    series = item(SeriesInstanceUID="1.2.3")
    series.ReferencedSOPSequence = Sequence([item(ReferencedSOPInstanceUID=first)])
    before = item(StudyInstanceUID=study)
    before.ReferencedSeriesSequence = Sequence([series])
    second = await send(ingest, peer, analysed(study, image, PredecessorDocumentsSequence=Sequence([before])))
    for _ in range(2):
        await site.projection.project(study)
    reports = {one["identifier"][0]["value"]: one["id"] for one in await found(site, "DiagnosticReport")}
    (record,) = await found(site, "Provenance")
    assert record["target"] == [{"reference": f"DiagnosticReport/{reports[f'urn:oid:{second}']}"}]
    (entity,) = record["entity"]
    assert entity == {"role": "revision", "what": {"reference": f"DiagnosticReport/{reports[f'urn:oid:{first}']}"}}


async def test_a_dose_report(site: Site, peer: Partner, ingest: Ingest) -> None:
    """The values of an irradiation event are members of one Observation; the report has its LOINC name too."""
    study = new_study()
    measured = item(NumericValue="12.5")
    measured.MeasurementUnitsCodeSequence = Sequence([coded("mGy.cm", "UCUM", "mGy.cm")])
    event = content("CONTAINER", ("113819", "DCM", "CT Acquisition"))
    event.ContentSequence = Sequence(
        [
            content("UIDREF", ("113769", "DCM", "Irradiation Event UID"), UID="1.2.3.4"),
            content("NUM", ("113838", "DCM", "DLP"), MeasuredValueSequence=Sequence([measured])),
        ]
    )
    made = document(study, "1.2.840.10008.5.1.4.1.1.88.67", Modality="SR", ValueType="CONTAINER")
    made.ConceptNameCodeSequence = Sequence([coded("113701", "DCM", "X-Ray Radiation Dose Report")])
    made.ContentSequence = Sequence([event])
    await send(ingest, peer, made)
    await site.projection.project(study)
    (report,) = await found(site, "DiagnosticReport")
    assert [one["code"] for one in report["code"]["coding"]] == ["113701", "73569-6"]
    (group,) = [one for one in await found(site, "Observation") if "hasMember" in one]
    assert "urn:oid:1.2.3.4" in {one["value"] for one in group["identifier"]}
    (value,) = [one for one in await found(site, "Observation") if "valueQuantity" in one]
    assert value["valueQuantity"]["value"] == Decimal("12.5")
