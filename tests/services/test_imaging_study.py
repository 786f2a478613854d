"""An ImagingStudy tells who ordered, referred, performed and read, of what and when: as its images say."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.sequence import Sequence

from hayat_fhir.app import Site
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.services.ingest import Ingest
from hayat_fhir.store.partners import Partner

from .test_imaging import ingest, item, peer
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
    assert [one["actor"]["display"] for one in found["series"][0]["performer"]] == ["Alex Karev", "One Op"]


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
