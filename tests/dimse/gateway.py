"""A site with its DICOM door in one process, for tests of what peers ask of it."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pydicom.dataset import Dataset, FileDataset

from hayat_fhir.app import Site, open_site
from hayat_fhir.dimse.door import DoorOptions
from hayat_fhir.dimse.query_retrieve import QueryRetrieve
from hayat_fhir.dimse.requestor import Requestor
from hayat_fhir.dimse.tls import ClientTls, ServerTls
from hayat_fhir.services.partner_details import PartnerDetails
from hayat_fhir.settings import Settings
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.grants import Grants
from hayat_fhir.store.partners import Partner

from .authority import Authority
from .conftest import RunningDoor, opened, send


@dataclass(slots=True)
class Gateway:
    """A running site; ``peers`` may be added to while it runs."""

    site: Site
    door: RunningDoor
    peers: list[Partner]
    requestor: Requestor
    tls: ssl.SSLContext | None = None
    """What its peers push with, where the door speaks TLS."""
    titles: dict[str, Partner] = field(default_factory=dict)

    @property
    def port(self) -> int:
        """The DICOM port."""
        return self.door.port

    async def peer(self, title: str, port: int = 104, **details: Any) -> Partner:
        """Register a partner with this AE title, which listens on a port of this machine."""
        made = await self.site.registration.partner(
            PartnerDetails(name=title, ae_title=title, host="127.0.0.1", port=port, **details)
        )
        self.peers.append(made)
        self.titles[title] = made
        return made

    async def push(self, *images: FileDataset, calling: str = "PACS") -> None:
        """Have a peer push images, and their studies projected."""
        assert set(await asyncio.to_thread(send, self.port, *images, calling=calling, tls=self.tls)) <= {0x0000}
        for study in dict.fromkeys(str(image.StudyInstanceUID) for image in images):
            await self.site.projection.project(study)

    async def share(self, patient: str, title: str) -> None:
        """Let a peer see a patient."""
        await Grants(self.site.database).add(self.titles[title].id, patient)

    async def events(self, code: str) -> list[dict[str, Any]]:
        """The AuditEvents of this DICOM event type."""
        found = self.site.database.collection("AuditEvent").find({"resource.type.code": code}).sort("updated")
        return [row["resource"] for row in await found.to_list(None)]


@asynccontextmanager
async def opened_gateway(
    mongodb_url: str, database_name: str, folder: Path, authority: Authority | None = None, **options: Any
) -> AsyncIterator[Gateway]:
    """A site on a fresh database, its DICOM door on a free port, and a peer PACS.

    With an ``authority`` the door speaks TLS, and the site shows the same certificate where it calls.
    """
    own = None if authority is None else authority.issue(database_name)
    files = () if authority is None or own is None else (own.certificate, own.key, authority.certificate)
    tls = ClientTls(*files)
    requestor = Requestor("HAYAT", tls)
    door_options = DoorOptions("HAYAT", ServerTls(*files) if files else None)
    settings = Settings(mongodb_url=SecretStr(mongodb_url), data_dir=folder, base_url="http://127.0.0.1:1")
    async with open_site(settings, database_name) as site:
        peers: list[Partner] = []
        asked = QueryRetrieve(
            site.definitions.dicom,
            site.database,
            site.auditing,
            Blobs(folder / "blobs"),
            requestor,
            asyncio.get_running_loop(),
            site.parameters,
            settings.fhir_url,
            **options,
        )
        running = asyncio.create_task(asked.run())
        with opened(
            mongodb_url, database_name, folder / "blobs", options=door_options, peers=peers, services=asked.services
        ) as door:
            gateway = Gateway(site, door, peers, requestor, tls.context(names_host=True) if files else None)
            await gateway.peer("PACS")
            yield gateway
            if door.door is not None:
                await asyncio.to_thread(door.door.stop)
        running.cancel()
        await site.database.drop()


async def tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a tool of DCMTK; skips where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} (DCMTK) is not installed")
    command = [found, *map(str, arguments)]
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=60, check=False, errors="replace"
    )


def keys(level: str | None = "STUDY", **wanted: Any) -> Dataset:
    """An identifier."""
    made = Dataset()
    if level is not None:
        made.QueryRetrieveLevel = level
    for keyword, value in wanted.items():
        setattr(made, keyword, value)
    return made
