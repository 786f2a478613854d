"""A DICOM door on a free port, with its database, image store and one known peer."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid
from pynetdicom import AE

from hayat_fhir import definitions
from hayat_fhir.dimse.door import Door, DoorOptions
from hayat_fhir.dimse.peers import Peers
from hayat_fhir.dimse.service import Service
from hayat_fhir.dimse.storage import Storage
from hayat_fhir.dimse.verification import verification
from hayat_fhir.listening import listening_socket
from hayat_fhir.services.ingest import Ingest
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.database import connect_sync
from hayat_fhir.store.incoming_instances import IncomingInstances
from hayat_fhir.store.partners import Partner

from .authority import Authority

PEER = Partner(
    id="pacs",
    name="PACS",
    client_id="pacs",
    ae_title="PACS",
    host="127.0.0.1",
    port=104,
    patient_id_system="https://site.example/identifier/patient",
)


@dataclass(slots=True)
class RunningDoor:
    """A door that listens on ``port``; ``reports`` are the images that went into quarantine."""

    port: int
    rows: Any
    quarantine: Any
    blobs: Blobs
    folder: Path
    reports: list[tuple[str, str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    transferred: list[tuple[str, int]] = field(default_factory=list)
    door: Door | None = None
    tls_port: int = 0

    def files(self) -> list[Path]:
        """All files of the image store, unfinished ones too."""
        return [path for path in self.folder.rglob("*") if path.is_file() and path.name != "lock"]


@contextmanager
def opened(
    mongodb_url: str,
    database_name: str,
    folder: Path,
    *,
    options: DoorOptions = DoorOptions("HAYAT"),  # noqa: B008 - frozen
    reserve: int = 0,
    peers: Sequence[Partner] = (PEER,),
    services: Sequence[Service] = (),
    timeout: float = 10.0,
    two_ports: bool = False,
) -> Iterator[RunningDoor]:
    """A running door of a database and folder; with ``two_ports`` one of them is for TLS alone."""
    database = connect_sync(mongodb_url, database_name, timeout=timeout)
    instances, blobs = IncomingInstances(database), Blobs(folder, reserve)
    instances.prepare()
    listening = listening_socket("port", "127.0.0.1", 0)
    secured = [listening_socket("port", "127.0.0.1", 0)] if two_ports else []
    running = RunningDoor(listening.getsockname()[1], database["instances"], database["quarantine"], blobs, folder)
    running.tls_port = secured[0].getsockname()[1] if secured else running.port
    conformance = definitions.load().dicom
    ingest = Ingest(instances, blobs, lambda *report: running.reports.append(report))
    served = Door(
        options,
        [listening, *secured],
        Peers(lambda: list(peers)),
        [verification(conformance), Storage(ingest).service(conformance), *services],
        lambda *who: running.refused.append(who),
        lambda peer, _, images: running.transferred.append((peer.id, images)),
    )
    served.start()
    running.door = served
    try:
        yield running
    finally:
        served.stop()
        for one in (listening, *secured):
            one.close()
        database.client.close()


@pytest.fixture
def door(mongodb_url: str, database_name: str, tmp_path: Path) -> Iterator[RunningDoor]:
    """A running door."""
    with opened(mongodb_url, database_name, tmp_path) as running:
        yield running
        running.rows.database.client.drop_database(database_name)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The authority that both sides trust."""
    return Authority(tmp_path, "authority")


@pytest.fixture
def image() -> Callable[..., FileDataset]:
    """A maker of CT images: pydicom's real one, with UIDs and attributes of the caller's choice."""

    def make(**attributes: str) -> FileDataset:
        made = dcmread(str(get_testdata_file("CT_small.dcm")))
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        made.StudyInstanceUID = generate_uid()
        for keyword, value in attributes.items():
            setattr(made, keyword, value)
        return made

    return make


def send(port: int, *images: FileDataset, calling: str = "PACS", tls: ssl.SSLContext | None = None) -> list[int]:
    """Push images over one association; the status of each."""
    ae = AE(ae_title=calling)
    for one in images:
        ae.add_requested_context(one.SOPClassUID, one.file_meta.TransferSyntaxUID)
    tls_args = None if tls is None else (tls, "127.0.0.1")
    association = ae.associate("127.0.0.1", port, ae_title="HAYAT", tls_args=tls_args)
    assert association.is_established
    statuses = [association.send_c_store(one).Status for one in images]
    association.release()
    return statuses
