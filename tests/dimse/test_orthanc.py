"""Orthanc as a peer in every role: it sends, asks, has images moved to it, and wants them vouched for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import FileDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import generate_uid

from .gateway import Gateway, opened_gateway
from .orthanc import Orthanc, free_port, orthanc

Maker = Callable[..., FileDataset]


@pytest.fixture
async def gateway(mongodb_url: str, database_name: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A site."""
    async with opened_gateway(mongodb_url, database_name, tmp_path / "site") as running:
        yield running


@pytest.fixture
async def peer(gateway: Gateway, tmp_path: Path) -> AsyncIterator[Orthanc]:
    """Orthanc, which the site knows."""
    port = free_port()
    await gateway.peer("ORTHANC", port=port)
    opened = orthanc(tmp_path / "orthanc", gateway.port, port)
    running = await asyncio.to_thread(opened.__enter__)
    yield running
    await asyncio.to_thread(opened.__exit__, None, None, None)


def file(image: FileDataset) -> bytes:
    """An image as a file."""
    buffer = BytesIO()
    dcmwrite(buffer, image, enforce_file_format=True)
    return buffer.getvalue()


def ended(peer: Orthanc, path: str, pending: str = "Pending") -> Any:
    """What a resource of Orthanc says once it is not pending any more."""
    deadline = time.monotonic() + 90
    while (found := peer.get(path))["Status"] == pending:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


async def test_orthanc_queries_and_retrieves(gateway: Gateway, peer: Orthanc, image: Maker) -> None:
    """It finds by C-FIND what it may see, has it moved to itself, and holds the same images afterwards."""
    study = generate_uid()
    images = [image(PatientID="P", StudyInstanceUID=study, InstanceNumber=str(number)) for number in range(3)]
    await gateway.push(*images, calling="ORTHANC")
    await gateway.push(image(PatientID="P"))

    def ask() -> tuple[list[str], Any, list[str]]:
        query = {"Level": "Study", "Query": {"PatientID": "P", "StudyDate": "", "ModalitiesInStudy": "CT"}}
        id = peer.post("/modalities/hayat/query", query)["ID"]
        answers = [
            peer.get(f"/queries/{id}/answers/{number}/content?simplify")["StudyInstanceUID"]
            for number in peer.get(f"/queries/{id}/answers")
        ]
        moved = peer.post(f"/queries/{id}/retrieve", {"TargetAet": "ORTHANC", "Synchronous": True})
        held = [peer.get(f"/instances/{one}")["MainDicomTags"]["SOPInstanceUID"] for one in peer.get("/instances")]
        return answers, moved, held

    answers, _, held = await asyncio.to_thread(ask)
    assert answers == [study]
    assert sorted(held) == sorted(str(one.SOPInstanceUID) for one in images)


async def test_orthanc_asks_for_commitment(gateway: Gateway, peer: Orthanc, image: Maker) -> None:
    """What it has sent is vouched for at once, over a new association; what is not there is not."""
    pushed = image(PatientID="P")

    def ask() -> tuple[Any, Any]:
        id = peer.post("/instances", file(pushed))["ID"]
        stored = peer.post("/modalities/hayat/store", {"Resources": [id], "StorageCommitment": True})
        good = ended(peer, f"/storage-commitment/{stored['StorageCommitmentTransactionUID']}")
        pairs = [[str(pushed.SOPClassUID), str(uid)] for uid in (pushed.SOPInstanceUID, generate_uid())]
        asked = peer.post("/modalities/hayat/storage-commitment", {"DicomInstances": pairs})
        return good, ended(peer, f"/storage-commitment/{asked['ID']}")

    good, bad = await asyncio.to_thread(ask)
    assert (good["Status"], len(good["Success"])) == ("Success", 1)
    assert (bad["Status"], len(bad["Success"]), len(bad["Failures"])) == ("Failure", 1, 1)
    assert bad["Failures"][0]["FailureReason"] == 0x0112
