"""The modality worklist, as modalities ask for it: DCMTK's findscu, and pynetdicom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import ModalityWorklistInformationFind

from hayat_fhir.security.callers import Caller, Role

from .gateway import Gateway, keys, opened_gateway, tool

SITE = Caller(Role.SITE, "test")
DCM = "http://dicom.nema.org/resources/ontology/DCM"
SNOMED = "http://snomed.info/sct"
IMAGES = {"system": "http://hl7.org/fhir/resource-types", "code": "ImagingStudy"}


@pytest.fixture
async def gateway(mongodb_url: str, database_name: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A site with a CT and an ultrasound device."""
    async with opened_gateway(mongodb_url, database_name, tmp_path) as running:
        await running.peer("CT1")
        await running.peer("US1")
        yield running


async def create(gateway: Gateway, type: str, by: Caller = SITE, **content: Any) -> str:
    """Store a resource, under its own id if it has one; its reference."""
    kept = {"resourceType": type, **{name: value for name, value in content.items() if value is not None}}
    interactions = gateway.site.interactions
    writing = interactions.update(by, type, kept["id"], kept) if "id" in kept else interactions.create(by, type, kept)
    return (await writing).stored.reference


async def patient(gateway: Gateway, number: str, family: str, given: str) -> str:
    """A patient."""
    return await create(
        gateway,
        "Patient",
        identifier=[{"system": "urn:site", "value": number}],
        name=[{"family": family, "given": [given]}],
        birthDate="1980-05-17",
        gender="female",
    )


async def order(gateway: Gateway, subject: str, to: str, modality: str = "CT", **content: Any) -> str:
    """An order for a device."""
    return await create(
        gateway,
        "ServiceRequest",
        **{
            "status": "active",
            "intent": "order",
            "category": [{"coding": [{"system": SNOMED, "code": "363679005"}]}],
            "code": {"coding": [{"system": SNOMED, "code": "77477000", "display": "CT"}], "text": f"{modality} head"},
            "orderDetail": [{"coding": [{"system": DCM, "code": modality}]}],
            "subject": {"reference": subject},
            "requester": {"display": "Ayşe Demir"},
            "performer": [{"reference": f"Organization/{gateway.titles[to].id}"}],
            "identifier": [
                {
                    "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]},
                    "value": f"ACC-{modality}",
                }
            ],
            "occurrenceDateTime": "2026-03-02T09:30:00+03:00",
            **content,
        },
    )


@pytest.fixture
async def ordered(gateway: Gateway) -> Gateway:
    """Two orders for the CT, one of them with an appointment; one for the ultrasound device; what is no entry."""
    one, two = await patient(gateway, "1", "Y\u0131lmaz", "Ayşe"), await patient(gateway, "2", "Kaya", "Ali")
    await order(gateway, one, "CT1")
    booked = await order(gateway, two, "CT1", priority="stat")
    await create(
        gateway,
        "Appointment",
        status="booked",
        basedOn=[{"reference": booked}],
        start="2026-03-05T14:15:00+03:00",
        end="2026-03-05T14:45:00+03:00",
        participant=[{"actor": {"reference": two}, "status": "accepted"}],
    )
    await order(gateway, one, "US1", "US")
    await order(gateway, one, "CT1", status="completed")
    await order(gateway, one, "CT1", category=None, orderDetail=None)
    return gateway


def asked(step: dict[str, Any] | None = None, **wanted: Any) -> Dataset:
    """A worklist query."""
    item = {
        "ScheduledStationAETitle": "",
        "Modality": "",
        "ScheduledProcedureStepStartDate": "",
        "ScheduledProcedureStepStartTime": "",
        "ScheduledProcedureStepID": "",
        **(step or {}),
    }
    base = {"PatientID": "", "PatientName": "", "AccessionNumber": "", "StudyInstanceUID": ""}
    return keys(None, **{**base, **wanted}, ScheduledProcedureStepSequence=[keys(None, **item)])


def _find(port: int, identifier: Dataset, calling: str) -> tuple[list[Dataset], int]:
    ae = AE(ae_title=calling)
    ae.add_requested_context(ModalityWorklistInformationFind)
    association = ae.associate("127.0.0.1", port, ae_title="HAYAT")
    assert association.is_established
    answers = list(association.send_c_find(identifier, ModalityWorklistInformationFind))
    association.release()
    return [found for _, found in answers if found is not None], int(answers[-1][0].Status)


async def find(gateway: Gateway, identifier: Dataset, calling: str = "CT1") -> tuple[list[Dataset], int]:
    """The entries, and the last status."""
    return await asyncio.to_thread(_find, gateway.port, identifier, calling)


async def test_findscu_sees_its_worklist(ordered: Gateway) -> None:
    """DCMTK asks as the CT: its two orders, with what a modality puts into its images."""
    done = await tool(
        "findscu", "-v", "-W", "-aet", "CT1", "-aec", "HAYAT", "127.0.0.1", str(ordered.port), "-k", "PatientName",
        "-k", "PatientID", "-k", "AccessionNumber", "-k", "StudyInstanceUID", "-k", "RequestedProcedureID",
        "-k", "ScheduledProcedureStepSequence[0].Modality=CT",
        "-k", "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate",
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0
    assert said.count("(Pending)") == 2, said
    assert all(text in said for text in ("ACC-CT", "20260302", "20260305", "2.25."))


async def test_entries_say_what_is_ordered(ordered: Gateway) -> None:
    """Patient, order and time: from the appointment where there is one, else from the order."""
    (found,), status = await find(
        ordered, asked(PatientID="2", RequestedProcedurePriority="", PatientBirthDate="", PatientSex="")
    )
    (step,) = found.ScheduledProcedureStepSequence
    assert status == 0x0000
    assert (str(found.PatientName), found.PatientBirthDate, found.PatientSex) == ("Kaya^Ali", "19800517", "F")
    assert (found.AccessionNumber, found.RequestedProcedurePriority) == ("ACC-CT", "STAT")
    assert (step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime) == ("20260305", "141500")
    assert (step.Modality, step.ScheduledStationAETitle) == ("CT", "CT1")
    assert step.ScheduledProcedureStepID
    assert found.StudyInstanceUID.startswith("2.25.")


async def test_matching(ordered: Gateway) -> None:
    """Ranges of dates, wildcards in names, the modality and the station; what is no entry of the peer never is."""
    for identifier, expected in (
        (asked(), ["1", "2"]),
        (asked({"ScheduledProcedureStepStartDate": "20260303-"}), ["2"]),
        (asked({"ScheduledProcedureStepStartDate": "20260302"}), ["1"]),
        (asked({"ScheduledProcedureStepStartTime": "1200-"}), ["2"]),
        (asked({"ScheduledStationAETitle": "CT1"}), ["1", "2"]),
        (asked({"ScheduledStationAETitle": "US1"}), []),
        (asked({"Modality": "US"}), []),
        (asked(PatientName="yilmaz*", SpecificCharacterSet="ISO_IR 100"), ["1"]),
        (asked(PatientName="KAYA^ALI"), ["2"]),
        (asked(PatientID="3"), []),
    ):
        found, status = await find(ordered, identifier)
        assert (status, sorted(one.PatientID for one in found)) == (0x0000, expected)
    assert [one.PatientID for one in (await find(ordered, asked(), "US1"))[0]] == ["1"]
    assert await find(ordered, asked(), "PACS") == ([], 0x0000)


async def test_what_is_restricted_is_on_no_worklist(ordered: Gateway) -> None:
    """Neither a restricted order nor one of a restricted patient; and a peer without the scope is refused."""
    await ordered.site.database.collection("Patient").update_one(
        {"resource.identifier.value": "1"}, {"$set": {"restricted": True}}
    )
    assert [one.PatientID for one in (await find(ordered, asked()))[0]] == ["2"]
    await ordered.site.database.collection("ServiceRequest").update_many({}, {"$set": {"restricted": True}})
    assert await find(ordered, asked()) == ([], 0x0000)
    await ordered.peer("NARROW", scopes=("system/Patient.rs",))
    assert await find(ordered, asked(), "NARROW") == ([], 0x0124)


async def test_queries_are_on_record(ordered: Gateway) -> None:
    """Who asked, which orders and whose they are."""
    await find(ordered, asked(PatientID="2"))
    (event,) = await ordered.events("110112")
    references = sorted(entity["what"]["reference"].split("/")[0] for entity in event["entity"] if "what" in entity)
    assert references == ["Patient", "ServiceRequest"]
    assert event["agent"][0]["who"]["reference"] == f"Organization/{ordered.titles['CT1'].id}"


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
async def test_bad_queries(ordered: Gateway) -> None:
    """A malformed date is answered 0xA900; a query without a step asks for all."""
    assert (await find(ordered, asked({"ScheduledProcedureStepStartDate": "soon"})))[1] == 0xA900
    found, status = await find(ordered, keys(None, PatientID=""))
    assert (len(found), status) == (2, 0x0000)


async def test_a_partner_puts_nobody_on_its_own_worklist(gateway: Gateway) -> None:
    """What it contributes itself is not addressed to it: it may name any patient."""
    one = await patient(gateway, "1", "Kaya", "Ali")
    mine = Caller(
        Role.PARTNER,
        gateway.titles["CT1"].id,
        f"Organization/{gateway.titles['CT1'].id}",
        scopes=frozenset({"system/*.cruds"}),
        source=gateway.titles["CT1"].id,
    )
    await order(gateway, one, "CT1", by=mine)
    assert await find(gateway, asked()) == ([], 0x0000)
    await order(gateway, one, "CT1")
    assert [entry.PatientID for entry in (await find(gateway, asked()))[0]] == ["1"]


@pytest.mark.parametrize("given", [{"type": "deny"}, {"type": "permit", "class": [IMAGES]}])
async def test_whom_a_patient_denies_is_not_told_of_orders(gateway: Gateway, given: dict[str, Any]) -> None:
    """Whatever is ordered there: not the order, nor whose it is; another device is told."""
    one, two = await patient(gateway, "1", "Kaya", "Ali"), await patient(gateway, "2", "Demir", "Ayla")
    for subject in (one, two):
        await order(gateway, subject, "CT1")
        await order(gateway, subject, "US1", "US")
    actor = {"role": {"text": "recipient"}, "reference": {"reference": f"Organization/{gateway.titles['CT1'].id}"}}
    await create(
        gateway,
        "Consent",
        status="active",
        scope={"coding": [{"code": "patient-privacy"}]},
        category=[{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        policyRule={"text": "consent"},
        patient={"reference": one},
        provision={"actor": [actor], **given},
    )
    assert [entry.PatientID for entry in (await find(gateway, asked()))[0]] == ["2"]
    assert sorted(entry.PatientID for entry in (await find(gateway, asked(), "US1"))[0]) == ["1", "2"]
