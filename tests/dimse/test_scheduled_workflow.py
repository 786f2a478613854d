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


async def test_a_step_is_the_orders(gateway: Gateway) -> None:
    """A modality reports its step with what it has copied: the order is done, and leaves the worklist."""
    await gateway.peer("CT1", patient_id_system=OWN)
    patient, reference = await ordered(gateway, OWN)
    scheduled, uid = await entry(gateway), generate_uid()
    copied = {keyword: scheduled[keyword].value for keyword in COPIED if keyword != "StudyInstanceUID"}
    assert (await tell(gateway, uid, begun(scheduled.StudyInstanceUID, **copied))).Status == 0x0000
    assert (await tell(gateway, uid, keys(None, PerformedProcedureStepStatus="COMPLETED"), "set")).Status == 0x0000
    await project(gateway)
    (row,) = await gateway.site.database.collection("Procedure").find({}).to_list(None)
    made = row["resource"]
    assert (made["status"], made["subject"]["reference"]) == ("completed", patient)
    assert made["basedOn"] == [{"reference": reference}]
    assert await find(gateway, asked()) == ([], 0x0000)
