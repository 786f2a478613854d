"""The process of the DICOM door: its threads take images in, its event loop writes the audit trail.

It builds only what it needs, so that it stays small.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from hayat_fhir import definitions
from hayat_fhir.child_process import ask_for_company, limit_memory
from hayat_fhir.dimse.acceptor import Limits
from hayat_fhir.dimse.door import Door, DoorOptions
from hayat_fhir.dimse.peers import Peers
from hayat_fhir.dimse.query_retrieve import QueryRetrieve
from hayat_fhir.dimse.requestor import Requestor
from hayat_fhir.dimse.storage import Storage
from hayat_fhir.dimse.tls import ClientTls, ServerTls
from hayat_fhir.dimse.verification import verification
from hayat_fhir.errors import Refusal
from hayat_fhir.listening import listening_socket
from hayat_fhir.logs import configure_logging
from hayat_fhir.search.indexing import Indexer
from hayat_fhir.search.parameters import SearchParameters
from hayat_fhir.security.callers import Caller, Role, stranger
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.ingest import Ingest
from hayat_fhir.services.refusals import Refusals
from hayat_fhir.store.audit_events import AuditLog
from hayat_fhir.store.blob_reconciliation import reconcile
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.database import connect, connect_sync
from hayat_fhir.store.figures import Figures
from hayat_fhir.store.incoming_instances import IncomingInstances
from hayat_fhir.store.mongod import running_url
from hayat_fhir.store.partners import Partner, peers

if TYPE_CHECKING:
    from hayat_fhir.settings import Settings

_INDEXED = ["AuditEvent", "Appointment", "ServiceRequest"]
"""The resource types that this process writes or searches by parameters."""
_PATIENCE = 10.0
_RECONCILE_SECONDS = 60.0
_PUBLISH_SECONDS = 5.0
_SWITCH_SECONDS = 0.0005
"""A thread that has waited for disk or network goes on soon, however busy another one is with a header."""


def _options(settings: Settings, *, supervised: bool) -> DoorOptions:
    certificate, key = settings.dicom_tls_certificate, settings.dicom_tls_key
    authorities, revoked = settings.dicom_tls_client_ca, settings.dicom_tls_client_crl
    return DoorOptions(
        settings.ae_title,
        ServerTls(certificate, key, authorities, revoked) if certificate and key else None,
        Limits(associations=settings.dicom_associations),
        ask_for_company if supervised else None,
    )


class _AuditBridge:
    """Writes audit events for threads: hands them to the event loop and waits until they are durable."""

    def __init__(self, loop: asyncio.AbstractEventLoop, auditing: Auditing, refusals: Refusals) -> None:
        self._loop = loop
        self._refusals = refusals
        self._auditing = auditing
        self._log = structlog.get_logger("hayat_fhir.dimse")

    def refused(self, ae_title: str, address: str) -> None:
        """A peer that is not known, or not from this address, asked for an association."""
        self._loop.call_soon_threadsafe(self._refusals.note, stranger(address), "association-refused")
        self._log.warning("association refused", address=address, ae_title_length=len(ae_title))

    def transferred(self, peer: Partner, address: str, images: int) -> None:
        """An association has ended; where it brought images, that is on record."""
        if images:
            caller = Caller(Role.PARTNER, peer.id, f"Organization/{peer.id}", address=address)
            self._record(self._auditing.record(caller, "instances-transferred", "0"))
            self._log.info("images taken", peer=peer.id, images=images)

    def quarantined(self, peer: str, uid: str, reason: str) -> None:
        """An image contradicts what is stored."""
        caller = Caller(Role.PARTNER, peer, f"Organization/{peer}")
        self._record(self._auditing.record(caller, "conflict", "4"))
        self._log.warning("image quarantined", peer=peer, uid=uid, reason=reason)

    def _record(self, recording: Coroutine[Any, Any, None]) -> None:
        try:
            asyncio.run_coroutine_threadsafe(recording, self._loop).result(_PATIENCE)
        except (Refusal, TimeoutError) as error:
            self._log.error("audit event not written", error=type(error).__name__)


async def _publish(publish: Callable[[], None]) -> None:
    """Publish the figures every few seconds; what cannot be published now is published later."""
    while True:
        with suppress(Refusal):
            await asyncio.to_thread(publish)
        await asyncio.sleep(_PUBLISH_SECONDS)


async def _reconcile(blobs: Blobs, instances: IncomingInstances, figures: Figures) -> None:
    """Reconcile what processes that died have left, at the start and every minute."""
    log = structlog.get_logger("hayat_fhir.dimse")
    while True:
        try:
            done = await asyncio.to_thread(reconcile, blobs, instances)
        except (Refusal, OSError) as error:
            log.warning("not reconciled", error=type(error).__name__)
        else:
            for what, number in asdict(done).items():
                if number:
                    figures.count("hayat_imaging_reconciled", number, what=what)
            if done:
                log.warning("reconciled", removed=done.removed, withdrawn=done.withdrawn, damaged=done.damaged)
        await asyncio.sleep(_RECONCILE_SECONDS)


async def serve_dimse(settings: Settings, listening: Sequence[socket.socket] = ()) -> None:
    """Run the DICOM door until SIGTERM, on the sockets of its ports that listen already, or on its own."""
    configure_logging()
    sys.setswitchinterval(_SWITCH_SECONDS)
    limit_memory(settings.dicom_memory_mb)
    loaded = definitions.load()
    url = running_url(settings.data_dir, settings.mongodb_url.get_secret_value() if settings.mongodb_url else None)
    database, sync_database = connect(url), connect_sync(url)
    log = AuditLog(database)
    parameters = SearchParameters(
        (row for row in loaded.search_parameters if row["base"] in {*_INDEXED, "Resource"}), _INDEXED
    )
    indexer = Indexer(parameters, loaded.compartments, settings.fhir_url)
    auditing = Auditing(log, indexer, settings.site_name)
    refusals = Refusals(auditing)
    bridge = _AuditBridge(asyncio.get_running_loop(), auditing, refusals)
    instances = IncomingInstances(sync_database)
    blobs = Blobs(settings.data_dir / "blobs", settings.disk_reserve_mb << 20)
    await asyncio.to_thread(instances.prepare)
    figures = Figures({"hayat_imaging_free_bytes": blobs.free_bytes})
    asked = QueryRetrieve(
        loaded.dicom,
        database,
        auditing,
        blobs,
        Requestor(settings.ae_title, ClientTls(*settings.dicom_tls_client)),
        asyncio.get_running_loop(),
        parameters,
        settings.fhir_url,
    )
    tasks = [
        asyncio.create_task(asked.run()),
        asyncio.create_task(_reconcile(blobs, instances, figures)),
        asyncio.create_task(_publish(partial(figures.publish, sync_database))),
    ]
    ingest = Ingest(instances, blobs, bridge.quarantined, settings.character_set)
    door = Door(
        _options(settings, supervised=bool(listening)),
        listening or [listening_socket(*port) for port in settings.dicom_ports],
        Peers(lambda: peers(sync_database)),
        [
            verification(loaded.dicom),
            Storage(ingest, figures).service(loaded.dicom),
            *asked.services,
        ],
        bridge.refused,
        bridge.transferred,
        figures,
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    gc.collect()
    gc.freeze()
    door.start()
    try:
        await stop.wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.to_thread(door.stop)
        with suppress(Refusal):
            figures.publish(sync_database)
            figures.withdraw(sync_database)
        await refusals.close()
        await log.drain()
        await database.close()
        sync_database.client.close()
