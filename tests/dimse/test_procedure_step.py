"""Modality performed procedure steps, as a modality reports them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import ModalityPerformedProcedureStep

from hayat_fhir.security.callers import Caller, Role

from .gateway import Gateway, keys, opened_gateway

SITE = Caller(Role.SITE, "test")


@pytest.fixture
async def gateway(mongodb_url: str, database_name: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A site with a CT."""
    async with opened_gateway(mongodb_url, database_name, tmp_path) as running:
        await running.peer("CT1")
        yield running


def begun(study: str, **attributes: Any) -> Dataset:
    """What a step begins with."""
    return keys(
        None,
        ScheduledStepAttributesSequence=[keys(None, StudyInstanceUID=study, AccessionNumber="A1")],
        PerformedProcedureStepID="1",
        PerformedStationAETitle="CT1",
        PerformedProcedureStepStartDate="20260302",
        PerformedProcedureStepStartTime="0930",
        Modality="CT",
        **{"PerformedProcedureStepStatus": "IN PROGRESS", **attributes},
    )


def _tell(port: int, uid: str, attributes: Dataset, verb: str, calling: str) -> Dataset:
    ae = AE(ae_title=calling)
    ae.add_requested_context(ModalityPerformedProcedureStep)
    association = ae.associate("127.0.0.1", port, ae_title="HAYAT")
    assert association.is_established
    send = association.send_n_create if verb == "create" else association.send_n_set
    status, _ = send(attributes, ModalityPerformedProcedureStep, uid)
    association.release()
    return status


async def tell(gateway: Gateway, uid: str, attributes: Dataset, verb: str = "create", calling: str = "CT1") -> Dataset:
    """Report; the status."""
    return await asyncio.to_thread(_tell, gateway.port, uid, attributes, verb, calling)


async def project(gateway: Gateway) -> None:
    """Let the worker tell what is pending."""
    stop = asyncio.Event()
    running = asyncio.create_task(gateway.site.procedures.run(stop))
    for _ in range(100):
        if not await gateway.site.database.collection("procedure_steps").count_documents({"pending": True}):
            break
        await asyncio.sleep(0.05)
    stop.set()
    await running


async def ordered(gateway: Gateway, to: str = "CT1") -> tuple[str, str]:
    """An order for a device: its id, and its Study Instance UID."""
    create = gateway.site.interactions.create
    patient = await create(SITE, "Patient", {"resourceType": "Patient", "name": [{"family": "Demo"}]})
    order = await create(
        SITE,
        "ServiceRequest",
        {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "subject": {"reference": patient.stored.reference},
            "code": {"text": "CT head"},
            "performer": [{"reference": f"Organization/{gateway.titles[to].id}"}],
        },
    )
    return order.stored.id, f"2.25.{int(order.stored.id.replace('-', ''), 16)}"


async def procedure(gateway: Gateway) -> dict[str, Any] | None:
    """The only Procedure."""
    found = await gateway.site.database.collection("Procedure").find_one({})
    return None if found is None else dict(found["resource"])


async def test_a_step_becomes_a_procedure(gateway: Gateway) -> None:
    """It begins, it is completed; the Procedure follows, and the order is completed with it."""
    order, study = await ordered(gateway)
    uid = generate_uid()
    assert (await tell(gateway, uid, begun(study))).Status == 0x0000
    await project(gateway)
    found = await procedure(gateway)
    assert found is not None
    assert (found["status"], found["basedOn"]) == ("in-progress", [{"reference": f"ServiceRequest/{order}"}])
    assert found["performedPeriod"] == {"start": "2026-03-02"}

    done = keys(None, PerformedProcedureStepStatus="COMPLETED", PerformedProcedureStepEndDate="20260302")
    assert (await tell(gateway, uid, done, "set")).Status == 0x0000
    await project(gateway)
    found = await procedure(gateway)
    assert found is not None
    assert (found["status"], found["performedPeriod"]["end"]) == ("completed", "2026-03-02")
    stored = await gateway.site.interactions.read(SITE, "ServiceRequest", order)
    assert stored.resource is not None
    assert stored.resource["status"] == "completed"
    assert [event["outcome"] for event in await gateway.events("110111")] == ["0", "0"]


async def test_a_step_that_is_over_stays_so(gateway: Gateway) -> None:
    """A discontinued step takes no more, and its order stays to be done."""
    order, study = await ordered(gateway)
    uid = generate_uid()
    await tell(gateway, uid, begun(study))
    assert (await tell(gateway, uid, keys(None, PerformedProcedureStepStatus="DISCONTINUED"), "set")).Status == 0
    status = await tell(gateway, uid, keys(None, PerformedProcedureStepStatus="COMPLETED"), "set")
    assert (status.Status, status.ErrorID) == (0x0110, 0xA710)
    await project(gateway)
    found = await procedure(gateway)
    assert found is not None
    assert found["status"] == "stopped"
    stored = await gateway.site.interactions.read(SITE, "ServiceRequest", order)
    assert stored.resource is not None
    assert stored.resource["status"] == "active"


async def test_what_is_no_step(gateway: Gateway) -> None:
    """Wrong states, no study, a UID twice, an unknown one, and that of another modality: each has its status."""
    await gateway.peer("CT2")
    uid = generate_uid()
    assert (await tell(gateway, uid, begun("1.2.3", PerformedProcedureStepStatus="COMPLETED"))).Status == 0x0106
    assert (await tell(gateway, uid, begun(""))).Status == 0x0120
    assert (await tell(gateway, uid, begun("1.2.3"))).Status == 0x0000
    assert (await tell(gateway, uid, begun("1.2.3"))).Status == 0x0111
    more = keys(None, PerformedProcedureStepStatus="COMPLETED")
    assert (await tell(gateway, generate_uid(), more, "set")).Status == 0x0112
    assert (await tell(gateway, uid, more, "set", "CT2")).Status == 0x0112
    assert (await tell(gateway, uid, keys(None, PerformedProcedureStepStatus="OVER"), "set")).Status == 0x0106


async def test_a_step_of_no_order_tells_nothing(gateway: Gateway) -> None:
    """A study from no worklist, or from that of another modality, makes no Procedure and completes no order."""
    await gateway.peer("CT2")
    order, study = await ordered(gateway, "CT2")
    for said in ("1.2.3", study, "2.25.1", "2.25.999999999999999999999999999999999999999"):
        uid = generate_uid()
        await tell(gateway, uid, begun(said))
        await tell(gateway, uid, keys(None, PerformedProcedureStepStatus="COMPLETED"), "set")
    await project(gateway)
    assert await procedure(gateway) is None
    stored = await gateway.site.interactions.read(SITE, "ServiceRequest", order)
    assert stored.resource is not None
    assert stored.resource["status"] == "active"
