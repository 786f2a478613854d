"""From the order to the images: what a modality copies from its worklist comes back to the order and its patient.

IHE RAD TF-2 4.6, https://www.ihe.net/uploadedFiles/Documents/Radiology/IHE_RAD_TF_Vol2.pdf
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import generate_uid

from hayat_fhir.security.callers import Caller, Role

from .conftest import image
from .gateway import Gateway, keys, opened_gateway
from .test_procedure_step import begun, project, tell
from .test_worklist import asked, create, find, order

__all__ = ["image"]
SITE = Caller(Role.SITE, "test")
OWN = "https://ct.example/identifier/patient"
LONG = f"https://ct.example/{'department/' * 6}patient"
COPIED = (
    *("PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence"),
    *("PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID"),
)


@pytest.fixture
async def gateway(mongodb_url: str, database_name: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A site."""
    async with opened_gateway(mongodb_url, database_name, tmp_path) as running:
        yield running


async def ordered(gateway: Gateway, system: str, **content: Any) -> tuple[str, str]:
    """An order for CT1 of a patient with a number of this system: references to the patient and to the order."""
    patient = await create(
        gateway,
        "Patient",
        identifier=[{"value": "old card"}, {"system": system, "value": "17"}],
        name=[{"family": "Kaya", "given": ["Ali"]}],
        birthDate="1980-05-17",
        gender="male",
    )
    return patient, await order(gateway, patient, "CT1", **{"identifier": None, **content})


async def entry(gateway: Gateway, without: str = "") -> Dataset:
    """The only entry of CT1's worklist, but for one attribute for which it does not ask."""
    wanted = {keyword: "" for keyword in COPIED if not keyword.endswith("Sequence")}
    query = asked(**wanted, IssuerOfPatientIDQualifiersSequence=[])
    if without:
        delattr(query, without)
    (found,), status = await find(gateway, query)
    assert status == 0x0000
    return found


def acquired(make: Callable[..., FileDataset], scheduled: Dataset, *without: str) -> FileDataset:
    """An image as the modality makes it of a worklist entry."""
    made = make()
    for keyword in COPIED:
        if keyword in scheduled and keyword not in without:
            setattr(made, keyword, scheduled[keyword].value)
    return made


async def study(gateway: Gateway) -> dict[str, Any]:
    """The only ImagingStudy."""
    (row,) = await gateway.site.database.collection("ImagingStudy").find({}).to_list(None)
    return dict(row["resource"])


@pytest.mark.parametrize(
    "system", [OWN, LONG, "urn:oid:1.2.999", "urn:uuid:7d444840-9dc0-11d1-b245-5ffdce74fad2", "dns:ct.example"]
)
async def test_images_are_the_ordered_patients(
    gateway: Gateway, image: Callable[..., FileDataset], system: str
) -> None:
    """A modality copies number and issuer of its entry into an image, which is bound to patient and order."""
    await gateway.peer("CT1", patient_id_system=OWN)
    patient, reference = await ordered(gateway, system)
    scheduled = await entry(gateway)
    (issuer,) = scheduled.IssuerOfPatientIDQualifiersSequence
    assert (scheduled.PatientID, scheduled.IssuerOfPatientID) == ("17", "" if system is LONG else system)
    assert issuer.UniversalEntityIDType == ("ISO" if system.startswith("urn:oid:") else "URI")
    await gateway.push(acquired(image, scheduled), calling="CT1")
    made = await study(gateway)
    assert (made["subject"]["reference"], made["basedOn"]) == (patient, [{"reference": reference}])


@pytest.mark.parametrize(
    ("default", "system"),
    [
        (OWN, OWN),
        (LONG, LONG),
        ("https://other.example/patient", OWN),
        (OWN, "urn:oid:1.2.999"),
        (OWN, "urn:uuid:7d444840-9dc0-11d1-b245-5ffdce74fad2"),
        (OWN, "dns:ct.example"),
    ],
)
async def test_a_modality_that_knows_no_qualifiers(
    gateway: Gateway, image: Callable[..., FileDataset], default: str, system: str
) -> None:
    """It asks for the issuer's name alone and copies that."""
    await gateway.peer("CT1", patient_id_system=default)
    patient, reference = await ordered(gateway, system)
    scheduled = await entry(gateway, without="IssuerOfPatientIDQualifiersSequence")
    await gateway.push(acquired(image, scheduled), calling="CT1")
    made = await study(gateway)
    assert (made["subject"]["reference"], made["basedOn"]) == (patient, [{"reference": reference}])


async def test_an_issuer_that_was_cut(gateway: Gateway, image: Callable[..., FileDataset]) -> None:
    """A modality that cuts its issuer's name to the length of the element still means its own."""
    await gateway.peer("CT1", patient_id_system=LONG)
    patient, _ = await ordered(gateway, LONG)
    made = acquired(image, await entry(gateway), "IssuerOfPatientIDQualifiersSequence")
    made.IssuerOfPatientID = LONG[:64]
    await gateway.push(made, calling="CT1")
    assert (await study(gateway))["subject"]["reference"] == patient


async def perform(gateway: Gateway, scheduled: Dataset, *copied: str, requested: str = "") -> None:
    """Have CT1 report that it has carried out a worklist entry, with what it copies of it."""
    uid = generate_uid()
    step = begun(scheduled.StudyInstanceUID, **{keyword: scheduled[keyword].value for keyword in copied})
    step.ScheduledStepAttributesSequence[0].RequestedProcedureID = requested
    assert (await tell(gateway, uid, step)).Status == 0x0000
    assert (await tell(gateway, uid, keys(None, PerformedProcedureStepStatus="COMPLETED"), "set")).Status == 0x0000
    await project(gateway)


async def procedures(gateway: Gateway) -> list[dict[str, Any]]:
    """All Procedures."""
    return [row["resource"] for row in await gateway.site.database.collection("Procedure").find({}).to_list(None)]


@pytest.mark.parametrize(
    ("id", "identifier"),
    [
        (None, None),
        (None, {"system": "urn:dicom:uid", "value": "urn:oid:1.2.999.17"}),
        ("order-xyz", None),
        ("0A64E1C5-3E2B-4F8C-9A3D-6B1F2D7C8E90", None),
    ],
    ids=["assigned", "own study", "chosen", "capitals"],
)
async def test_a_study_comes_back_to_its_order(
    gateway: Gateway, image: Callable[..., FileDataset], id: str | None, identifier: dict[str, str] | None
) -> None:
    """Step and images are those of the order, however it names itself and its study; done, it leaves the worklist."""
    await gateway.peer("CT1", patient_id_system=OWN)
    patient, reference = await ordered(gateway, OWN, id=id, identifier=identifier and [identifier])
    scheduled = await entry(gateway)
    await perform(gateway, scheduled, "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence")
    (made,) = await procedures(gateway)
    assert (made["status"], made["subject"]["reference"]) == ("completed", patient)
    assert made["basedOn"] == [{"reference": reference}]
    assert await find(gateway, asked()) == ([], 0x0000)
    await gateway.push(acquired(image, scheduled), calling="CT1")
    assert (await study(gateway))["basedOn"] == [{"reference": reference}]


async def test_two_orders_of_one_study(gateway: Gateway, image: Callable[..., FileDataset]) -> None:
    """A step is that of the order whose Requested Procedure ID it names, of neither where it names none."""
    await gateway.peer("CT1", patient_id_system=OWN)
    own = {"system": "urn:dicom:uid", "value": "urn:oid:1.2.999.18"}
    filler = {"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "FILL"}]}}
    patient, one = await ordered(gateway, OWN, identifier=[own, {**filler, "value": "R1"}])
    two = await order(gateway, patient, "CT1", identifier=[own, {**filler, "value": "R2"}])
    scheduled = (await find(gateway, asked(PatientBirthDate="", PatientSex="", IssuerOfPatientID="")))[0][0]
    await perform(gateway, scheduled)
    assert await procedures(gateway) == []
    await perform(gateway, scheduled, requested="R2")
    (made,) = await procedures(gateway)
    assert made["basedOn"] == [{"reference": two}]
    (left,), _ = await find(gateway, asked(RequestedProcedureID=""))
    assert left.RequestedProcedureID == "R1"
    await gateway.push(acquired(image, scheduled), calling="CT1")
    based = (await study(gateway))["basedOn"]
    assert sorted(based, key=str) == sorted([{"reference": one}, {"reference": two}], key=str)


async def test_an_order_for_another_patient(gateway: Gateway, image: Callable[..., FileDataset]) -> None:
    """That names the same study is not what the images carried out, nor is a step of a modality it was not given to."""
    await gateway.peer("CT1", patient_id_system=OWN)
    await gateway.peer("CT2", patient_id_system=OWN)
    await ordered(gateway, "urn:oid:1.2.998", identifier=[{"system": "urn:dicom:uid", "value": "urn:oid:1.2.999.19"}])
    made = image(StudyInstanceUID="1.2.999.19", PatientID="18", IssuerOfPatientID="")
    await gateway.push(made, calling="CT1")
    assert "basedOn" not in await study(gateway)
    assert (await tell(gateway, generate_uid(), begun("1.2.999.19"), calling="CT2")).Status == 0x0000
    await project(gateway)
    assert await procedures(gateway) == []
