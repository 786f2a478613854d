"""The ``hayat`` command line: it starts processes and calls services, and owns no logic.

Each command imports what it needs when it is called, so that ``hayat --help`` answers at once.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from hayat_fhir.terminal import (
    announcer,
    certificate_digest,
    fail,
    json_object,
    password_from_stdin,
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
account = typer.Typer(help="Accounts of people.", no_args_is_help=True)
partner = typer.Typer(help="Partner hospitals and DICOM peers.", no_args_is_help=True)
outbox = typer.Typer(help="What is on its way to partners.", no_args_is_help=True)
app.add_typer(account, name="account")
app.add_typer(partner, name="partner")
app.add_typer(outbox, name="outbox")

HttpPort = Annotated[int | None, typer.Option(help="HTTP port, instead of HAYAT_HTTP_PORT.", min=1, max=65535)]
DicomPort = Annotated[int | None, typer.Option(help="DICOM port, instead of HAYAT_DICOM_PORT.", min=1, max=65535)]
DataDir = Annotated[Path | None, typer.Option(help="Data directory, instead of HAYAT_DATA_DIR.")]
Supervised = Annotated[bool, typer.Option("--supervised", hidden=True)]
Descriptor = Annotated[int | None, typer.Option("--socket", hidden=True)]
PartnerName = Annotated[str, typer.Argument(help="The partner's name or id.")]
T = TypeVar("T")


@app.command()
def serve(http_port: HttpPort = None, dicom_port: DicomPort = None, data_dir: DataDir = None) -> None:
    """Run one site: MongoDB, API, DICOM door and worker."""
    from hayat_fhir.child_process import leave_no_core
    from hayat_fhir.supervisor import Supervisor

    leave_no_core()
    Supervisor(_settings(http_port, dicom_port, data_dir), announcer()).run()


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
    """Run the background worker alone: imaging studies and the outbox."""
    from hayat_fhir.worker_process import serve_worker

    _process(serve_worker, supervised=supervised)


@app.command()
def dimse(supervised: Supervised = False, descriptor: Descriptor = None) -> None:
    """Run the DICOM door alone."""
    from hayat_fhir.child_process import load_no_codecs

    load_no_codecs()
    from hayat_fhir.dicom_process import serve_dimse

    async def run(settings: Settings) -> None:
        await serve_dimse(settings, None if descriptor is None else socket.socket(fileno=descriptor))

    _process(run, supervised=supervised)


@account.command("add")
def account_add(
    role: Annotated[Literal["staff", "doctor", "patient"], typer.Option(help="What the person may do.")],
    email: Annotated[str, typer.Option(help="The e-mail address to sign in with.")],
    name: Annotated[str, typer.Option(help="The person's name.")],
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
) -> None:
    """Add an account; prints its id."""
    from hayat_fhir.security.callers import Role

    password = password_from_stdin(asked=password_stdin)

    async def add(site: Site) -> str:
        return (await site.registration.account(Role(role), email, name, password)).id

    typer.echo(_with_site(add))


@account.command("list")
def account_list() -> None:
    """List the accounts."""

    async def rows(site: Site) -> list[tuple[str, ...]]:
        accounts = await site.accounts.list()
        return [(a.id, a.role, a.email, a.name, a.reference or "", _state(a.disabled)) for a in accounts]

    print_rows(("id", "role", "e-mail", "name", "resource", "state"), _with_site(rows))


@account.command("disable")
def account_disable(email: Annotated[str, typer.Option(help="The account's e-mail address.")]) -> None:
    """Shut an account out; its tokens die within five seconds."""

    async def disable(site: Site) -> None:
        await site.registration.disable_account(email)

    _with_site(disable)


@partner.command("add")
def partner_add(
    name: Annotated[str, typer.Option(help="The partner's name.")],
    jwks_file: Annotated[Path | None, typer.Option(help="File with its public keys (JWKS).")] = None,
    jwks_url: Annotated[str | None, typer.Option(help="URL of its public keys.")] = None,
    fhir_url: Annotated[str | None, typer.Option(help="Its FHIR base URL.")] = None,
    client_id: Annotated[str | None, typer.Option(help="Its OAuth client id; default its FHIR base URL.")] = None,
    ae_title: Annotated[str | None, typer.Option(help="Its DICOM AE title.")] = None,
    host: Annotated[str | None, typer.Option(help="Host of its DICOM port; its associations come from there.")] = None,
    port: Annotated[int | None, typer.Option(help="Its DICOM port.", min=1, max=65535)] = None,
    scope: Annotated[list[str] | None, typer.Option(help="A SMART scope; repeatable.")] = None,
    patient_id_system: Annotated[str | None, typer.Option(help="Identifier system of its patient numbers.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="File with its DICOM TLS certificate (PEM).")] = None,
) -> None:
    """Register a partner hospital or a PACS; prints its id."""
    from hayat_fhir.services.registration import PartnerDetails

    details = PartnerDetails(
        name=name,
        fhir_url=fhir_url,
        jwks=json_object(jwks_file),
        jwks_url=jwks_url,
        client_id=client_id,
        ae_title=ae_title,
        host=host,
        port=port,
        scopes=tuple(scope) if scope else ("system/*.cruds",),
        patient_id_system=patient_id_system,
        certificate=certificate_digest(certificate),
    )

    async def add(site: Site) -> str:
        return (await site.registration.partner(details)).id

    typer.echo(_with_site(add))


@partner.command("list")
def partner_list() -> None:
    """List the partners."""

    async def rows(site: Site) -> list[tuple[str, ...]]:
        return [
            (
                p.id,
                p.name,
                p.fhir_url or "",
                f"{p.ae_title}@{p.host}:{p.port}" if p.ae_title else "",
                _state(p.disabled),
            )
            for p in await site.partners.list()
        ]

    print_rows(("id", "name", "FHIR", "DICOM", "state"), _with_site(rows))


@partner.command("disable")
def partner_disable(partner: PartnerName) -> None:
    """Shut a partner out; its tokens die within five seconds."""

    async def disable(site: Site) -> None:
        await site.registration.disable_partner((await site.registration.partner_called(partner)).id)

    _with_site(disable)


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

    typer.echo(_with_site(issue))


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

    typer.echo(_with_site(start))


@outbox.command("list")
def outbox_list() -> None:
    """List the latest jobs, newest first."""

    async def rows(site: Site) -> list[tuple[str, ...]]:
        return [(job.id, job.key, job.status, str(job.attempts), job.error or "") for job in await site.outbox.list()]

    print_rows(("job", "patient/partner", "state", "attempts", "problem"), _with_site(rows))


@app.command()
def check() -> None:
    """Check the settings, definitions and mappings."""
    from hayat_fhir import definitions
    from hayat_fhir.app import check_definitions

    _settings()
    check_definitions(definitions.load())
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


def _settings(http_port: int | None = None, dicom_port: int | None = None, data_dir: Path | None = None) -> Settings:
    from hayat_fhir import settings

    return settings.load(http_port=http_port, dicom_port=dicom_port, data_dir=data_dir)


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
        runner.run(run(_settings()))


def _with_site(use: Callable[[Site], Awaitable[T]]) -> T:
    """Call services of this site: of the running one's database, or of one started for the moment."""
    from hayat_fhir.app import open_site

    async def run() -> T:
        async with open_site(_settings()) as site:
            return await use(site)

    return asyncio.run(run())


def _state(disabled: bool) -> str:
    return "disabled" if disabled else "active"


if __name__ == "__main__":
    cli()
