"""The ``hayat`` command line: it starts processes and calls services, and owns no logic.

Each command imports what it needs when it is called, so that ``hayat --help`` answers at once.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hayat_fhir.account_commands import account
from hayat_fhir.imaging_commands import imaging
from hayat_fhir.partner_commands import partner
from hayat_fhir.quarantine_commands import quarantine
from hayat_fhir.reindex_command import reindex
from hayat_fhir.site_commands import settings, with_site
from hayat_fhir.terminal import (
    announcer,
    fail,
    print_rows,
    with_clear_errors,
)

if TYPE_CHECKING:
    from hayat_fhir.app import Site
    from hayat_fhir.settings import Settings

app = typer.Typer(
    help="Hayat FHIR: one hospital's interoperability server.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
keys = typer.Typer(help="The keys that the site signs with.", no_args_is_help=True)
outbox = typer.Typer(help="What is on its way to partners.", no_args_is_help=True)
app.add_typer(account, name="account")
app.add_typer(partner, name="partner")
app.add_typer(imaging, name="imaging")
app.add_typer(quarantine, name="quarantine")
app.add_typer(outbox, name="outbox")
app.add_typer(keys, name="keys")
app.command()(reindex)

HttpPort = Annotated[int | None, typer.Option(help="HTTP port, instead of HAYAT_HTTP_PORT.", min=1, max=65535)]
DicomPort = Annotated[int | None, typer.Option(help="DICOM port, instead of HAYAT_DICOM_PORT.", min=1, max=65535)]
DataDir = Annotated[Path | None, typer.Option(help="Data directory, instead of HAYAT_DATA_DIR.")]
Supervised = Annotated[bool, typer.Option("--supervised", hidden=True)]
Descriptor = Annotated[int | None, typer.Option("--socket", hidden=True)]
Descriptors = Annotated[list[int] | None, typer.Option("--socket", hidden=True)]


@app.command()
def serve(http_port: HttpPort = None, dicom_port: DicomPort = None, data_dir: DataDir = None) -> None:
    """Run one site: MongoDB, API, DICOM door and worker."""
    from hayat_fhir.child_process import leave_no_core
    from hayat_fhir.supervisor import Supervisor

    leave_no_core()
    Supervisor(settings(http_port, dicom_port, data_dir), announcer()).run()


@app.command()
def api(supervised: Supervised = False, descriptor: Descriptor = None) -> None:
    """Run the HTTP doors alone."""
    import uvloop

    from hayat_fhir.http_process import serve_api

    async def run(settings: Settings) -> None:
        await serve_api(settings, None if descriptor is None else socket.socket(fileno=descriptor))

    _process(run, supervised=supervised, loop_factory=uvloop.new_event_loop)


@app.command()
def worker(supervised: Supervised = False) -> None:
    """Run the background worker alone: imaging studies, the outbox and the search index."""
    from hayat_fhir.worker_process import serve_worker

    _process(serve_worker, supervised=supervised)


@app.command()
def dimse(supervised: Supervised = False, descriptors: Descriptors = None) -> None:
    """Run the DICOM door alone."""
    from hayat_fhir.child_process import load_no_codecs

    load_no_codecs()
    from hayat_fhir.dicom_process import serve_dimse

    async def run(settings: Settings) -> None:
        await serve_dimse(settings, [socket.socket(fileno=descriptor) for descriptor in descriptors or ()])

    _process(run, supervised=supervised)


@app.command()
def token(
    email: Annotated[str | None, typer.Option(help="Of this account.")] = None,
    partner: Annotated[str | None, typer.Option(help="Of this partner: its name or id.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="Of a partner: a SMART scope; repeatable.")] = None,
) -> None:
    """Print a bearer token for scripting, as short-lived as any other."""
    if (email is None) == (partner is None):
        fail("give either --email or --partner", 2)

    async def issue(site: Site) -> str:
        if email is not None:
            return await site.registration.token_for_account(email)
        found = await site.registration.partner_called(partner or "")
        return await site.registration.token_for_partner(found.id, scope)

    typer.echo(with_site(issue))


@app.command()
def share(
    patient: Annotated[str, typer.Option(help="The patient's id.")],
    with_: Annotated[str, typer.Option("--with", help="The partner's name or id.")],
    wait: Annotated[bool, typer.Option("--wait", help="Return when it is delivered.")] = False,
) -> None:
    """Share a patient's history with a partner hospital; prints the job's id and state."""

    async def start(site: Site) -> str:
        found = await site.registration.partner_called(with_)
        return await site.exchange.share_and_wait(patient, found.id, wait=wait)

    typer.echo(with_site(start))


@outbox.command("list")
def outbox_list() -> None:
    """List the latest jobs, newest first."""

    async def rows(site: Site) -> list[tuple[str, ...]]:
        return [(job.id, job.key, job.status, str(job.attempts), job.error or "") for job in await site.outbox.list()]

    print_rows(("job", "patient/partner", "state", "attempts", "problem"), with_site(rows))


@keys.command("rotate")
def keys_rotate(
    stolen: Annotated[bool, typer.Option("--stolen", help="End all tokens of the present key at once.")] = False,
) -> None:
    """Sign with a new key from now on; tokens of the old one stay good until they end, unless it was stolen."""
    from hayat_fhir.security.keys import OVERLAP, SiteKeys

    SiteKeys.rotate(settings().secrets_dir, overlap=0 if stolen else OVERLAP)


@app.command()
def check() -> None:
    """Check the settings, definitions and mappings."""
    from hayat_fhir import definitions
    from hayat_fhir.mapping_files import compiled_mappings

    settings()
    compiled_mappings(definitions.load())
    typer.echo("settings, definitions and mappings are sound")


@app.command()
def demo(
    end: Annotated[bool, typer.Option("--exit", help="End after the check.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Save what is shown as an SVG file.")] = None,
) -> None:
    """Show a diagnosis and its images travelling between two hospitals on this machine."""
    from hayat_fhir.demo import run

    run(stay=not end, picture=picture)


def cli() -> None:
    """The console script."""
    with_clear_errors(app)


def _process(
    run: Callable[[Settings], Coroutine[Any, Any, None]],
    *,
    supervised: bool,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Run one process of a site until it ends."""
    from hayat_fhir.child_process import follow_supervisor, leave_no_core

    leave_no_core()
    if supervised:
        follow_supervisor()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(run(settings()))


if __name__ == "__main__":
    cli()
