"""The process of the HTTP doors: ``/fhir``, ``/api/v1``, ``/dicomweb`` and what stands beside them."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette

from hayat_fhir import __version__
from hayat_fhir.api_v1 import door as api_v1
from hayat_fhir.app import Site, open_site
from hayat_fhir.dicomweb import door as dicomweb
from hayat_fhir.errors import ConfigurationError, Conflict, InvalidRequest, Unavailable
from hayat_fhir.frontend import door as frontend
from hayat_fhir.listening import listening_socket
from hayat_fhir.logs import configure_logging
from hayat_fhir.realtime import door as realtime
from hayat_fhir.realtime.ice import IceServers
from hayat_fhir.rest import application
from hayat_fhir.rest.messages import Application
from hayat_fhir.rest.site import Services as FhirServices
from hayat_fhir.rest.site import Site as FhirSite
from hayat_fhir.security.callers import Role
from hayat_fhir.services.relaying import Relaying
from hayat_fhir.store.consultations import Consultations as ConsultationRows
from hayat_fhir.store.database import Database
from hayat_fhir.store.figures import SiteFigures
from hayat_fhir.store.signals import Signals

if TYPE_CHECKING:
    from hayat_fhir.settings import Settings

_GRACE = 5
_LONGEST_FRAME = 256 * 1024
"""Bytes of one WebSocket message that the server reads at all; the doors bear less."""


def web_application(site: Site) -> Application:
    """The ASGI application of a site: all its HTTP doors."""
    settings = site.settings

    async def ready() -> dict[str, bool]:
        return {"mongodb": await _answers(site.database), "dicom": await _listens(settings)}

    services = FhirServices(
        authentication=site.authentication,
        authorization=site.authorization,
        interactions=site.interactions,
        conditional_writes=site.conditional_writes,
        searching=site.searching,
        bundles=site.bundles,
        everything=site.everything,
        histories=site.histories,
        exchange=site.exchange,
        fetching=site.fetching,
        sharing=site.sharing,
        emergencies=site.emergencies,
        quarantine=site.quarantine,
        verification=site.verification,
        partnership=site.partnership,
        outbox=site.staff_outbox,
        dashboard=site.dashboard,
        refusals=site.refusals,
        origins=site.origins,
        ready=ready,
        figures=SiteFigures(site.database).read,
    )
    live = _realtime(site)
    told = FhirSite(
        name=settings.site_name,
        url=settings.site_url,
        version=__version__,
        types=site.definitions.resource_types,
        parameters=site.parameters,
        subsets=site.subsets,
        capability=site.definitions.capability,
        jwks=site.keys.public_jwks(),
        doors={
            "api": api_v1.application(_legacy(site), settings.site_url, __version__, settings.cors_origins),
            "dicomweb": dicomweb.application(_imaging(site), settings.site_url),
            **live.applications,
            **dict.fromkeys(frontend.SEGMENTS, frontend.Door()),
        },
        websockets=live.applications,
        versioned_update=settings.versioned_update,
        origins=frozenset(settings.origins),
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with live.running():
            yield

    return application.build(services, told, lifespan=lifespan)


def _imaging(site: Site) -> dicomweb.Services:
    return dicomweb.Services(
        site.authentication,
        site.retrieval,
        site.imaging_query,
        site.storing,
        site.quarantine,
        site.imaging_processes,
    )


def _realtime(site: Site) -> realtime.Realtime:
    settings = site.settings
    services = realtime.Services(
        authentication=site.authentication,
        auditing=site.auditing,
        presence=site.presence,
        consultations=site.consultations,
        admission=site.admission,
        signals=Signals(site.database),
        notifications=site.notifications,
        recordings=site.recordings,
        relaying=Relaying(site.consultations, ConsultationRows(site.database), site.peers),
        peers=site.peers,
        database=site.database,
    )
    secret = settings.ice_secret.get_secret_value().encode() if settings.ice_secret else b""
    ice = IceServers(settings.ice_urls, secret, settings.ice_seconds, settings.ice_relay_only)
    # a client that polls comes with each request, and so may meet a process that does not know it
    return realtime.Realtime(
        services,
        ice,
        settings.origins,
        polling=settings.workers == 1,
        media_processes=settings.media_processes,
        redis_url=settings.redis_url.get_secret_value() if settings.redis_url else None,
    )


def _legacy(site: Site) -> api_v1.Services:
    return api_v1.Services(
        authentication=site.authentication,
        reading=site.legacy_reading,
        writing=site.legacy_writing,
        desk=site.front_desk,
        sign_in=site.sign_in,
        credentials=site.credentials,
        photos=site.photos,
    )


async def serve_api(settings: Settings, listening: socket.socket | None = None) -> None:
    """Run the HTTP doors until SIGTERM, on a socket that listens already or on one of its own."""
    configure_logging()
    async with open_site(settings) as site:
        await site.database.ensure_indexes()
        await _first_staff(site)
        listening = listening or listening_socket("HAYAT_HTTP_PORT", settings.http_host, settings.http_port)
        config = uvicorn.Config(
            web_application(site),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            timeout_graceful_shutdown=_GRACE,
            ws_max_size=_LONGEST_FRAME,
            ws_per_message_deflate=False,
        )
        # What is loaded now stays for good: the garbage collector need not walk it for every large Bundle.
        gc.collect()
        gc.freeze()
        gc.set_threshold(400_000, 10, 10)
        for number in (signal.SIGTERM, signal.SIGINT):
            # uvicorn raises the signal once more when it has ended: this process has something left to do then
            asyncio.get_running_loop().add_signal_handler(number, _go_on)
        await uvicorn.Server(config).serve(sockets=[listening])


def _go_on() -> None:
    """Take a signal for heard."""


async def _first_staff(site: Site) -> None:
    """Add the first staff account, where the settings name one and it is not there yet.

    Raises:
        ConfigurationError: The e-mail address or the password will not do.
    """
    settings = site.settings
    if settings.first_staff_email is None or settings.first_staff_password is None:
        return
    if await site.accounts.by_email(settings.first_staff_email) is None:
        password = settings.first_staff_password.get_secret_value()
        try:
            await site.registration.account(Role.STAFF, settings.first_staff_email, "First staff", password)
        except Conflict:
            return
        except InvalidRequest as refusal:
            raise ConfigurationError(f"HAYAT_FIRST_STAFF_EMAIL, HAYAT_FIRST_STAFF_PASSWORD: {refusal}") from refusal


async def _answers(database: Database) -> bool:
    try:
        await database.ping()
    except Unavailable:
        return False
    return True


async def _listens(settings: Settings) -> bool:
    """Whether a process serves the DICOM ports."""
    return all([await _is_served(host, port) for _, host, port in settings.dicom_ports])


async def _is_served(host: str, port: int) -> bool:
    """Whether a connection that says nothing sensible is answered, closed or, as TLS does, reset."""
    anywhere = host in {"0.0.0.0", "::"}  # noqa: S104
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection("127.0.0.1" if anywhere else host, port)
            writer.write(b"\0" * 6)
            with suppress(ConnectionResetError):
                await reader.read(1)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
