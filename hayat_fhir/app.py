"""The composition root: every object is built once, from the settings, room by room; opened and closed in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from hayat_fhir import definitions
from hayat_fhir.composition.access import Access, access
from hayat_fhir.composition.exchange import Exchanges, exchanges
from hayat_fhir.composition.foundation import Foundation, foundation
from hayat_fhir.composition.imaging import Imaging, imaging
from hayat_fhir.composition.legacy import Legacy, legacy
from hayat_fhir.composition.records import Records, records
from hayat_fhir.composition.telemedicine import Telemedicine, telemedicine
from hayat_fhir.imaging_process import ImagingProcesses
from hayat_fhir.mapping_files import compiled_mappings
from hayat_fhir.model_process import ModelProcesses
from hayat_fhir.rest.outbound import PartnerClient
from hayat_fhir.security.keys import SiteKeys
from hayat_fhir.settings import Settings
from hayat_fhir.store.audit_events import AuditLog
from hayat_fhir.store.database import ThreadedDatabase, connect, connect_sync
from hayat_fhir.store.mongod import EmbeddedMongod, attach


@dataclass(frozen=True)
class Site(Foundation, Records, Access, Imaging, Exchanges, Telemedicine, Legacy):
    """One site's services, ready to be called: those of all its rooms."""


@asynccontextmanager
async def open_site(settings: Settings, database_name: str = "hayat") -> AsyncIterator[Site]:
    """Build a site on its database: the one in the settings, the one that runs, or one started for the moment.

    Raises:
        ConfigurationError: A definition, mapping or key file is wrong, or there is no MongoDB to be had.
    """
    loaded = definitions.load()
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with AsyncExitStack() as stack:
        url = await _mongodb_url(settings, stack)
        database = connect(url, database_name)
        stack.push_async_callback(database.close)
        if settings.mongodb_url is not None:
            await database.check_server()
        log = AuditLog(database)
        stack.push_async_callback(log.drain)
        keys = SiteKeys.load_or_create(settings.secrets_dir)
        client = PartnerClient(settings.fhir_url, keys.client_assertion)
        stack.push_async_callback(client.close)
        models = ModelProcesses()
        stack.push_async_callback(models.close)
        incoming = connect_sync(url, database_name)
        stack.callback(incoming.client.close)
        processes = ImagingProcesses(character_set=settings.character_set)
        stack.push_async_callback(processes.close)
        site = _built(foundation(settings, loaded, keys, database, log), client, models, processes, incoming)
        stack.push_async_callback(site.refusals.close)
        yield site


async def _mongodb_url(settings: Settings, stack: AsyncExitStack) -> str:
    if settings.mongodb_url is not None:
        return settings.mongodb_url.get_secret_value()
    running = attach(settings.data_dir)
    if running is not None:
        return running
    mongod = EmbeddedMongod(settings.data_dir)
    url = mongod.start()
    stack.callback(mongod.stop)
    return url


def _built(
    base: Foundation,
    client: PartnerClient,
    models: ModelProcesses,
    processes: ImagingProcesses,
    incoming: ThreadedDatabase,
) -> Site:
    """The rooms, each on those before it."""
    mappings = compiled_mappings(base.definitions)
    clinical = records(base, models)
    admitted = access(base, clinical, client)
    images = imaging(base, clinical, admitted, mappings.tables, processes, incoming)
    rooms = (
        base,
        clinical,
        admitted,
        images,
        exchanges(base, clinical, admitted, images, client),
        telemedicine(base, clinical),
        legacy(base, clinical, admitted, mappings.documents),
    )
    return Site(**{name: service for room in rooms for name, service in vars(room).items()})
