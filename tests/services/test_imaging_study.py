"""An ImagingStudy tells who ordered, referred, performed and read, of what and when: as its images say."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydicom.sequence import Sequence

from hayat_fhir.app import Site
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.services.ingest import Ingest, Taken
from hayat_fhir.services.registration import PartnerDetails
from hayat_fhir.store.partners import Partner

from .test_imaging import DOCTOR, SYNTAX, encoded, ingest, item, peer, take
from .test_quarantine import new_study, push

__all__ = ["ingest", "peer"]
SCT = "http://snomed.info/sct"


def person(value: str) -> Any:
    """An item of an identification sequence."""
    made = item()
    made.PersonIdentificationCodeSequence = Sequence(
        [item(CodeValue=value, CodingSchemeDesignator="DCM", CodeMeaning="x")]
    )
    return made


async def arrived(ingest: Ingest, peer: Partner, sop_class: str, uid: str, data: bytes) -> None:
    """Have encoded bytes arrive."""
    assert await asyncio.to_thread(take, ingest, data, SYNTAX, sop_class, uid, peer) is Taken.STORED


async def projected(site: Site, study: str) -> dict[str, Any]:
    """The ImagingStudy."""
    stored = await site.projection.project(study)
    assert stored is not None
    assert stored.resource is not None
    return stored.resource


async def test_orders_and_people(site: Site, peer: Partner, ingest: Ingest) -> None:
    """basedOn, referrer, interpreter and performer: by number where one is told, else by name alone."""
    study = new_study()
    issuer = item(UniversalEntityID="1.2.3.4", UniversalEntityIDType="ISO")
    request = item(AccessionNumber="A1", RequestedProcedureDescription="CT Chest")
    request.IssuerOfAccessionNumberSequence = Sequence([issuer])
    await push(
        ingest,
        peer,
        study,
        AccessionNumber="A1",
        IssuerOfAccessionNumberSequence=Sequence([issuer]),
        RequestAttributesSequence=Sequence([request, item(FillerOrderNumberImagingServiceRequest="F2")]),
        ReferringPhysicianName="House^Gregory^^Dr",
        ReferringPhysicianIdentificationSequence=Sequence([person("123")]),
        NameOfPhysiciansReadingStudy=["Grey^Meredith", "Yang^Cristina"],
        PerformingPhysicianName="Karev^Alex",
        OperatorsName="Op^One",
    )
    found = await projected(site, study)
    base = (peer.patient_id_system or "").removesuffix("/patient")
    assert [(one["identifier"]["system"], one["identifier"]["value"]) for one in found["basedOn"]] == [
        ("urn:oid:1.2.3.4", "A1"),
        (f"{base}/filler", "F2"),
    ]
    assert found["basedOn"][0]["display"] == "CT Chest"
    assert found["identifier"][1]["system"] == "urn:oid:1.2.3.4"
    assert found["referrer"]["display"] == "Dr Gregory House"
    assert found["referrer"]["identifier"]["value"] == "123"
    assert found["interpreter"] == [{"display": "Meredith Grey"}, {"display": "Cristina Yang"}]
    performers = [one["actor"]["display"] for one in found["series"][0]["performer"]]
    assert performers == ["Alex Karev", "One Op", "GE MEDICAL SYSTEMS RHAPSODE (CT01_OC0)"]


async def test_an_order_that_others_found_stays(site: Site, peer: Partner, ingest: Ingest) -> None:
    """A reference to the order itself, set by somebody else, survives the next projection."""
    study = new_study()
    await push(ingest, peer, study, AccessionNumber="A1")
    stored = await site.projection.project(study)
    assert stored is not None
    order = {"reference": "ServiceRequest/1"}
    caller = Caller(Role.SITE, "test")
    changed = {**(stored.resource or {}), "basedOn": [order]}
    await site.interactions.update(caller, "ImagingStudy", stored.id, changed, stored.version)
    await push(ingest, peer, study, AccessionNumber="A1")
    found = await projected(site, study)
    assert found["basedOn"][0] == order
    assert found["numberOfInstances"] == 2


@pytest.mark.parametrize(
    ("sides", "expected"),
    [(("L", "L"), "7771000"), (("R", "L"), None), (("R", ""), None), (("", ""), None)],
)
async def test_sites_and_sides(
    site: Site, peer: Partner, ingest: Ingest, sides: tuple[str, str], expected: str | None
) -> None:
    """The coded region before the term; the side of the images where they agree."""
    study = new_study()
    region = item(CodeValue="39607008", CodingSchemeDesignator="SCT", CodeMeaning="Lung")
    for side in sides:
        await push(
            ingest,
            peer,
            study,
            BodyPartExamined="CHEST",
            AnatomicRegionSequence=Sequence([region]),
            ImageLaterality=side,
        )
    (series,) = (await projected(site, study))["series"]
    assert series["bodySite"] == {"system": SCT, "code": "39607008", "display": "Lung"}
    assert series.get("laterality", {}).get("code") == expected


async def test_the_earliest_start_counts(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Of several dates and times of one study and series the earliest; with its own offset, else the date alone."""
    study = new_study()
    for time in ("120000", "080000", "100000"):
        moment = {"StudyDate": "20260102", "StudyTime": time, "SeriesDate": "20260102", "SeriesTime": time}
        await push(ingest, peer, study, **moment, TimezoneOffsetFromUTC="+0300")
    found = await projected(site, study)
    assert found["started"] == found["series"][0]["started"] == "2026-01-02T08:00:00+03:00"
    await push(ingest, peer, study, StudyDate="20260101", StudyTime="230000", TimezoneOffsetFromUTC="")
    assert (await projected(site, study))["started"] == "2026-01-01"


async def test_hostile_text_stays_text(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Control characters and line ends are gone from what is shown; markup is kept as the text that it is."""
    study = new_study()
    await push(
        ingest,
        peer,
        study,
        PatientID=f"P{study}",
        PatientName="<script>alert(1)</script>^=cmd|' /C calc'!A0",
        StudyDescription="a\r\nInjected: line\x1b[31m",
    )
    found = await projected(site, study)
    assert found["description"] == "a Injected: line [31m"
    patient = await site.interactions.read(
        Caller(Role.SITE, "test"), "Patient", found["subject"]["reference"].removeprefix("Patient/")
    )
    assert (patient.resource or {})["name"][0]["family"] == "<script>alert(1)</script>"


def coded(value: str, scheme: str, meaning: str) -> Any:
    """An item of a code sequence."""
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


async def test_numbers_belong_to_who_gave_them(site: Site, peer: Partner, ingest: Ingest) -> None:
    """An accession number is its local issuer's, within the sender; the Study ID too, whoever numbered the patient."""
    study = new_study()
    qualifiers = item(UniversalEntityID="1.2.3.99", UniversalEntityIDType="ISO")
    await push(
        ingest,
        peer,
        study,
        PatientID="N1",
        IssuerOfPatientIDQualifiersSequence=Sequence([qualifiers]),
        AccessionNumber="A1",
        IssuerOfAccessionNumberSequence=Sequence([item(LocalNamespaceEntityID="RIS 2")]),
        StudyID="S7",
    )
    found = await projected(site, study)
    base = (peer.patient_id_system or "").removesuffix("/patient")
    assert [(one["system"], one["value"]) for one in found["identifier"][1:]] == [
        (f"{base}/accession/RIS%202", "A1"),
        (f"{base}/study-id", "S7"),
    ]


async def test_all_codes_and_reasons(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Every procedure code, and the reasons of the step, of the request and of the visit; physicians of record read."""
    study = new_study()
    request = item(AccessionNumber="A1")
    request.ReasonForRequestedProcedureCodeSequence = Sequence([coded("R51", "I10", "Headache")])
    await push(
        ingest,
        peer,
        study,
        ProcedureCodeSequence=Sequence([coded("24627-2", "LN", "CT Chest"), coded("X1", "99X", "Own")]),
        ReasonForPerformedProcedureCodeSequence=Sequence([coded("R05", "I10", "Cough")]),
        RequestAttributesSequence=Sequence([request]),
        ReasonForVisit="Fall from a ladder",
        PhysiciansOfRecord="Webber^Richard",
    )
    found = await projected(site, study)
    assert [one["coding"][0]["code"] for one in found["procedureCode"]] == ["24627-2", "X1"]
    reasons = [one["coding"][0]["code"] if "coding" in one else one["text"] for one in found["reasonCode"]]
    assert reasons == ["R05", "R51", "Fall from a ladder"]
    assert found["interpreter"] == [{"display": "Richard Webber"}]


async def test_series_say_what_made_them(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Retired codes of a region in today's SNOMED CT; specimen, device, title and frames."""
    study = new_study()
    await push(
        ingest,
        peer,
        study,
        AnatomicRegionSequence=Sequence([coded("T-28000", "SRT", "Lung")]),
        SpecimenDescriptionSequence=Sequence([item(SpecimenIdentifier="B-1")]),
        DeviceUID="1.2.3.77",
        NumberOfFrames=12,
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
    )
    (series,) = (await projected(site, study))["series"]
    assert series["bodySite"] == {"system": SCT, "code": "39607008", "display": "Lung"}
    base = (peer.patient_id_system or "").removesuffix("/patient")
    assert series["specimen"] == [{"type": "Specimen", "identifier": {"system": f"{base}/specimen", "value": "B-1"}}]
    assert series["performer"][0]["actor"]["identifier"]["value"] == "urn:oid:1.2.3.77"
    (instance,) = series["instance"]
    assert instance["title"] == "ORIGINAL\\PRIMARY\\AXIAL"
    assert instance["extension"][0]["valueUnsignedInt"] == 12


@pytest.mark.parametrize(
    ("series", "image", "frames", "expected"),
    [("L", "R", [], None), ("L", "L", [], "7771000"), ("", "", ["R", "R"], "24028007"), ("", "", ["R", "L"], None)],
)
async def test_sides_that_contradict(
    site: Site, peer: Partner, ingest: Ingest, series: str, image: str, frames: list[str], expected: str | None
) -> None:
    """A side is told only where series, images and all frames agree on it."""
    study = new_study()
    groups = [item() for _ in frames]
    for group, side in zip(groups, frames, strict=True):
        group.FrameAnatomySequence = Sequence([item(FrameLaterality=side)])
    more = {"PerFrameFunctionalGroupsSequence": Sequence(groups)} if groups else {}
    await push(ingest, peer, study, Laterality=series, ImageLaterality=image, **more)
    (found,) = (await projected(site, study))["series"]
    assert found.get("laterality", {}).get("code") == expected


async def test_what_was_assumed_is_marked(site: Site, peer: Partner, ingest: Ingest) -> None:
    """A modality that is missing, text in an undeclared code page, a date in the future; and who sent it."""
    study = new_study()
    sop_class, uid, data = encoded(study, f"{study}.1", Modality="", StudyDate="29991231", SeriesDescription="Xxxxxx")
    data = data.replace(b"Xxxxxx", "H\u00f6he ".encode())
    assert b"ISO_IR 100" in data
    data = data.replace(b"ISO_IR 100", b"          ")
    await arrived(ingest, peer, sop_class, uid, data)
    stored = await site.projection.project(study)
    assert stored is not None
    found = stored.resource or {}
    assert {tag["code"] for tag in found["meta"]["tag"]} == {"character-set", "future-date", "modality"}
    assert found["meta"]["source"].endswith(f"/fhir/Organization/{peer.id}")
    assert found["series"][0]["modality"]["code"] == "OT"
    assert found["series"][0]["description"] == "H\u00f6he"


async def test_an_order_on_record(site: Site, peer: Partner, ingest: Ingest) -> None:
    """An order of this patient with that number is referred to; one of another patient with the same number is not."""
    base = (peer.patient_id_system or "").removesuffix("/patient")
    orders = []
    for number in ("P1", "P2"):
        caller = Caller(Role.SITE, "test")
        patient = {"resourceType": "Patient", "identifier": [{"system": peer.patient_id_system, "value": number}]}
        subject = (await site.interactions.create(caller, "Patient", patient)).stored.reference
        order = {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "subject": {"reference": subject},
            "identifier": [{"system": f"{base}/accession", "value": "A1"}],
        }
        orders.append((await site.interactions.create(caller, "ServiceRequest", order)).stored.reference)
    study = new_study()
    await push(ingest, peer, study, PatientID="P2", AccessionNumber="A1")
    for _ in range(2):
        found = await projected(site, study)
        await push(ingest, peer, study, PatientID="P2", AccessionNumber="A1")
        assert [one["reference"] for one in found["basedOn"]] == [orders[1]]


async def test_other_numbers_of_a_patient(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Those with an issuer are the patient's too; a bare one is nobody's; the site's own are not for others to give."""
    own = item(PatientID="1", TypeOfPatientID="TEXT")
    own.IssuerOfPatientIDQualifiersSequence = Sequence(
        [item(UniversalEntityID=site.settings.own_patient_id_system, UniversalEntityIDType="URI")]
    )
    study = new_study()
    await push(
        ingest,
        peer,
        study,
        PatientID="P3",
        OtherPatientIDsSequence=Sequence([item(PatientID="9", IssuerOfPatientID="WARD"), item(PatientID="8"), own]),
    )
    found = await projected(site, study)
    id = found["subject"]["reference"].removeprefix("Patient/")
    patient = (await site.interactions.read(DOCTOR, "Patient", id)).resource or {}
    assert [(one["system"], one["value"]) for one in patient["identifier"]] == [
        (peer.patient_id_system, "P3"),
        (f"{peer.patient_id_system}/WARD", "9"),
    ]
    assert patient["managingOrganization"] == {"reference": f"Organization/{peer.id}"}


REACHED = {"PatientAddress": "12 Nile St", "PatientTelephoneNumbers": ["+20 100", "+20 200"]}


async def subject(site: Site, study: str) -> dict[str, Any]:
    """The Patient of a study."""
    reference = (await projected(site, study))["subject"]["reference"]
    return (await site.interactions.read(DOCTOR, "Patient", reference.removeprefix("Patient/"))).resource or {}


async def test_whoever_gave_the_number_says_where_a_patient_is_reached(
    site: Site, peer: Partner, ingest: Ingest
) -> None:
    """A hospital of its own patients; not of those whose number another gave, nor of one that is known already."""
    details = PartnerDetails(name="H", ae_title="H", host="127.0.0.1", port=104, patient_id_system="urn:h")
    hospital = await site.registration.partner(details)
    await push(ingest, hospital, study := new_study(), PatientID="R1", **REACHED)
    patient = await subject(site, study)
    assert patient["address"] == [{"text": "12 Nile St"}]
    assert [(one["system"], one["value"]) for one in patient["telecom"]] == [("phone", "+20 100"), ("phone", "+20 200")]
    await push(ingest, hospital, again := new_study(), PatientID="R1", PatientAddress="Elsewhere")
    assert await subject(site, again) == patient
    for sender, said in (
        (hospital, {"PatientID": "R2", "IssuerOfPatientID": "WARD"}),
        (hospital, {"PatientID": ""}),
        (peer, {"PatientID": "R3"}),
    ):
        await push(ingest, sender, study := new_study(), **said, **REACHED)
        assert not {"address", "telecom"} & set(await subject(site, study))


async def test_an_animal_is_seen_to_be_one(site: Site, peer: Partner, ingest: Ingest) -> None:
    """A site of people keeps its images; its Patient says what species it is. A human's species needs no saying."""
    dog = item(CodeValue="448771007", CodingSchemeDesignator="SCT", CodeMeaning="Canis lupus familiaris")
    human = item(CodeValue="L-85003", CodingSchemeDesignator="SRT", CodeMeaning="homo sapiens")
    await push(
        ingest,
        peer,
        study := new_study(),
        PatientID="A1",
        PatientSpeciesCodeSequence=Sequence([dog]),
        PatientBreedDescription="Whippet",
        PatientSexNeutered="ALTERED",
    )
    (extension,) = (await subject(site, study))["extension"]
    assert extension["url"] == "http://hl7.org/fhir/StructureDefinition/patient-animal"
    told = {one["url"]: one["valueCodeableConcept"] for one in extension["extension"]}
    assert set(told) == {"species", "breed", "genderStatus"}
    assert (told["species"]["coding"][0]["code"], told["breed"]["text"]) == ("448771007", "Whippet")
    for number, said in enumerate(
        (
            {"PatientSpeciesDescription": "Homo sapiens"},
            {"PatientSpeciesCodeSequence": Sequence([human])},
            {"PatientBreedDescription": "Whippet"},
        )
    ):
        await push(ingest, peer, study := new_study(), PatientID=f"H{number}", **said)
        assert "extension" not in await subject(site, study)


async def test_a_segmentation_refers(site: Site, peer: Partner, ingest: Ingest) -> None:
    """To the series that it segments, and to the algorithm that made it."""
    study = new_study()
    await push(
        ingest,
        peer,
        study,
        Modality="SEG",
        ReferencedSeriesSequence=Sequence([item(SeriesInstanceUID="1.2.3.5")]),
        SegmentSequence=Sequence([item(SegmentAlgorithmName="Lungs 2"), item(SegmentAlgorithmName="Lungs 2")]),
    )
    (series,) = (await projected(site, study))["series"]
    assert series["extension"] == [{"url": "urn:hayat:dicom-referenced-series", "valueOid": "urn:oid:1.2.3.5"}]
    assert {"type": "Device", "display": "Lungs 2"} in [one["actor"] for one in series["performer"]]
