"""The ``hayat`` command line: it starts processes and calls services, and owns no logic."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from hayat_fhir.errors import ConfigurationError, HayatError, Refusal

if TYPE_CHECKING:
    from hayat_fhir.app import Site
    from hayat_fhir.security.callers import Role
    from hayat_fhir.settings import Settings

app = typer.Typer(
    help="Hayat FHIR: one hospital's interoperability server.", no_args_is_help=True, pretty_exceptions_enable=False
)
account = typer.Typer(help="Accounts of people.", no_args_is_help=True)
partner = typer.Typer(help="Partner hospitals and DICOM peers.", no_args_is_help=True)
app.add_typer(account, name="account")
app.add_typer(partner, name="partner")

HttpPort = Annotated[int | None, typer.Option(help="HTTP port, instead of HAYAT_HTTP_PORT.")]
DicomPort = Annotated[int | None, typer.Option(help="DICOM port, instead of HAYAT_DICOM_PORT.")]
DataDir = Annotated[Path | None, typer.Option(help="Data directory, instead of HAYAT_DATA_DIR.")]
T = TypeVar("T")
Supervised = Annotated[bool, typer.Option("--supervised", hidden=True)]


@app.command()
def serve(http_port: HttpPort = None, dicom_port: DicomPort = None, data_dir: DataDir = None) -> None:
    """Run one site: MongoDB, API, DICOM door and worker."""
    from hayat_fhir.supervisor import Supervisor

    settings = _settings(http_port, dicom_port, data_dir)
    Supervisor(settings, lambda line: typer.echo(line, err=True)).run()


@app.command()
def api(supervised: Supervised = False) -> None:
    """Run the HTTP doors alone."""
    from hayat_fhir.app import serve_api

    _process(serve_api, supervised=supervised)


@app.command()
def worker(supervised: Supervised = False) -> None:
    """Run the background worker alone: imaging studies and the outbox."""
    from hayat_fhir.app import serve_worker

    _process(serve_worker, supervised=supervised)


@app.command()
def dimse(supervised: Supervised = False) -> None:
    """Run the DICOM door alone."""
    from hayat_fhir.dicom_process import serve_dimse

    _process(serve_dimse, supervised=supervised)


@account.command("add")
def account_add(
    role: Annotated[str, typer.Option(help="staff, doctor or patient")],
    email: Annotated[str, typer.Option(help="The e-mail address to sign in with.")],
    name: Annotated[str, typer.Option(help="The person's name.")],
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
) -> None:
    """Add an account; prints its id."""
    if not password_stdin:
        _fail("give the password on standard input, with --password-stdin")
    password = sys.stdin.readline().rstrip("\n")

    async def add(site: Site) -> str:
        return (await site.registration.account(_role(role), email, name, password)).id

    typer.echo(_with_site(add))


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
    host: Annotated[str | None, typer.Option(help="Host of its DICOM port.")] = None,
    port: Annotated[int | None, typer.Option(help="Its DICOM port.", min=1, max=65535)] = None,
    scope: Annotated[list[str] | None, typer.Option(help="A SMART scope; repeatable.")] = None,
    patient_id_system: Annotated[str | None, typer.Option(help="Identifier system of its patient numbers.")] = None,
) -> None:
    """Register a partner hospital or a PACS; prints its id."""
    from hayat_fhir.services.registration import PartnerDetails

    details = PartnerDetails(
        name=name,
        fhir_url=fhir_url,
        jwks=_json_file(jwks_file),
        jwks_url=jwks_url,
        client_id=client_id,
        ae_title=ae_title,
        host=host,
        port=port,
        scopes=tuple(scope) if scope else ("system/*.cruds",),
        patient_id_system=patient_id_system,
    )

    async def add(site: Site) -> str:
        return (await site.registration.partner(details)).id

    typer.echo(_with_site(add))


@partner.command("list")
def partner_list() -> None:
    """List the partners."""
    from rich.console import Console
    from rich.table import Table

    async def rows(site: Site) -> list[tuple[str, ...]]:
        return [
            (p.id, p.name, p.fhir_url or "", f"{p.ae_title}@{p.host}:{p.port}" if p.ae_title else "", str(p.disabled))
            for p in await site.partners.list()
        ]

    table = Table("id", "name", "FHIR", "DICOM", "disabled")
    for row in _with_site(rows):
        table.add_row(*row)
    Console().print(table)


@partner.command("disable")
def partner_disable(id: Annotated[str, typer.Argument(help="The partner's id.")]) -> None:
    """Shut a partner out; its tokens die within five seconds."""

    async def disable(site: Site) -> None:
        await site.registration.disable_partner(id)

    _with_site(disable)


@app.command()
def token(
    email: Annotated[str | None, typer.Option(help="Of this account.")] = None,
    partner: Annotated[str | None, typer.Option(help="Of this partner (id).")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="Of a partner: a SMART scope; repeatable.")] = None,
) -> None:
    """Print a bearer token for scripting, as short-lived as any other."""
    if (email is None) == (partner is None):
        _fail("give either --email or --partner")

    async def issue(site: Site) -> str:
        if email is not None:
            return await site.registration.token_for_account(email)
        return await site.registration.token_for_partner(partner or "", scope)

    typer.echo(_with_site(issue))


@app.command()
def share(
    patient: Annotated[str, typer.Option(help="The patient's id.")],
    with_: Annotated[str, typer.Option("--with", help="The partner's id.")],
    wait: Annotated[bool, typer.Option("--wait", help="Return when it is delivered.")] = False,
) -> None:
    """Share a patient's history with a partner hospital; prints the job's state."""

    async def start(site: Site) -> str:
        return await site.exchange.share_and_wait(patient, with_, wait=wait)

    typer.echo(_with_site(start))


@app.command()
def outbox() -> None:
    """List what is on its way to partners."""
    from rich.console import Console
    from rich.table import Table

    async def rows(site: Site) -> list[tuple[str, ...]]:
        return [(job.id, job.key, job.status, str(job.attempts), job.error or "") for job in await site.outbox.list()]

    table = Table("job", "patient/partner", "state", "attempts", "problem")
    for row in _with_site(rows):
        table.add_row(*row)
    Console().print(table)


@app.command()
def check() -> None:
    """Check the settings, definitions and mappings."""
    from hayat_fhir import definitions
    from hayat_fhir.app import check_definitions

    _settings()
    check_definitions(definitions.load())
    typer.echo("settings, definitions and mappings are sound")


@app.command()
def demo(end: Annotated[bool, typer.Option("--exit", help="End after the check.")] = False) -> None:
    """Show a diagnosis and its images travelling between two hospitals on this machine."""
    from hayat_fhir.demo import run

    run(stay=not end)


def cli() -> None:
    """The console script: expected errors are one line and an exit status."""
    try:
        app()
    except Refusal as refusal:
        _fail("; ".join(issue.diagnostics for issue in refusal.issues))
    except ConfigurationError as error:
        _fail(str(error), status=2)
    except HayatError as error:
        _fail(str(error))


def _fail(line: str, status: int = 1) -> NoReturn:
    typer.echo(f"hayat: {line}", err=True)
    raise SystemExit(status)


def _settings(http_port: int | None = None, dicom_port: int | None = None, data_dir: Path | None = None) -> Settings:
    from hayat_fhir import settings

    return settings.load(http_port=http_port, dicom_port=dicom_port, data_dir=data_dir)


def _process(run: Callable[[Settings], Coroutine[object, object, None]], *, supervised: bool) -> None:
    from hayat_fhir.supervisor import end_with_parent

    if supervised:
        end_with_parent()
    asyncio.run(run(_settings()))


def _with_site(use: Callable[[Site], Awaitable[T]]) -> T:
    """Call services of this site: of the running one's database, or of one started for the moment."""
    from hayat_fhir.app import open_site

    async def run() -> T:
        async with open_site(_settings()) as site:
            return await use(site)

    return asyncio.run(run())


def _role(text: str) -> Role:
    from hayat_fhir.security.callers import Role

    if text not in {"staff", "doctor", "patient"}:
        _fail("the role must be staff, doctor or patient")
    return Role(text)


def _json_file(path: Path | None) -> dict[str, object] | None:
    if path is None:
        return None
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        _fail(f"{path}: cannot be read as JSON ({type(error).__name__})")
    return content if isinstance(content, dict) else _fail(f"{path}: not a JSON object")


if __name__ == "__main__":
    cli()
