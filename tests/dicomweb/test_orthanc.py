"""Orthanc's DICOMweb plugin as a client of the door: it asks, retrieves and stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hayat_fhir.demonstration_site import free_port
from tests.dimse.orthanc import Orthanc, orthanc

from .conftest import Archive
from .test_stow import file, fresh, seen


@pytest.fixture
def peer(archive: Archive, tmp_path: Path) -> Iterator[Orthanc]:
    """Orthanc, which has a doctor's token."""
    door = (f"{archive.site.url}/dicomweb", archive.token("doctor"))
    with orthanc(tmp_path / "orthanc", archive.site.dicom_port, free_port(), door) as running:
        yield running


def asked(peer: Orthanc, uri: str, **arguments: str) -> Any:
    """What the door answers to a query of Orthanc's."""
    return peer.post("/dicom-web/servers/hayat/get", {"Uri": uri, "Arguments": arguments})


def test_it_asks_and_retrieves(archive: Archive, peer: Orthanc) -> None:
    """QIDO-RS finds a study; WADO-RS brings all of it, to the byte of its pixels."""
    ct = archive.images["CT0"]
    (found,) = asked(peer, "studies", PatientID="P-1")
    assert found["0020000D"]["Value"] == [ct.StudyInstanceUID]
    peer.post("/dicom-web/servers/hayat/retrieve", {"Resources": [{"Study": ct.StudyInstanceUID}]})
    instances = peer.get("/instances?expand")
    assert len(instances) == 6
    (id,) = [one["ID"] for one in instances if one["MainDicomTags"]["SOPInstanceUID"] == ct.SOPInstanceUID]
    assert peer.client.get(f"/instances/{id}/file").content.count(ct.PixelData) == 1


def test_it_stores(archive: Archive, peer: Orthanc) -> None:
    """STOW-RS: what Orthanc holds comes in, and its study is there."""
    image = fresh()
    id = peer.post("/instances", file(image))["ID"]
    peer.post("/dicom-web/servers/hayat/stow", {"Resources": [id]})
    with archive.http() as http:
        assert image.PixelData in seen(http, image)
