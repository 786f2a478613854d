"""``hayat partner``: partner hospitals and DICOM peers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from hayat_fhir.site_commands import with_site
from hayat_fhir.terminal import digest_of_certificate, json_object, print_rows

if TYPE_CHECKING:
    from hayat_fhir.app import Site
    from hayat_fhir.security.callers import Caller

T = TypeVar("T")
partner = typer.Typer(help="Partner hospitals and DICOM peers.", no_args_is_help=True)

PartnerName = Annotated[str, typer.Argument(help="The partner's name or id.")]
JwksFile = Annotated[Path | None, typer.Option(help="File with its public keys (JWKS).")]
JwksUrl = Annotated[str | None, typer.Option(help="URL of its public keys.")]
FhirUrl = Annotated[
    str | None, typer.Option(help="Its FHIR base URL; its token endpoint has the same scheme, host and port.")
]
AeTitle = Annotated[str | None, typer.Option(help="Its DICOM AE title.")]
Host = Annotated[str | None, typer.Option(help="Host of its DICOM port; its associations come from there.")]
Port = Annotated[int | None, typer.Option(help="Its DICOM port.", min=1, max=65535)]
CertificateFile = Annotated[Path | None, typer.Option(help="File with its DICOM TLS certificate (PEM).")]
_TLS = "Its DICOM port speaks TLS: never speak to it in clear."


@partner.command("add")
def partner_add(
    name: Annotated[str, typer.Option(help="The partner's name.")],
    jwks_file: JwksFile = None,
    jwks_url: JwksUrl = None,
    fhir_url: FhirUrl = None,
    client_id: Annotated[str | None, typer.Option(help="Its OAuth client id; default its FHIR base URL.")] = None,
    ae_title: AeTitle = None,
    host: Host = None,
    port: Port = None,
    scope: Annotated[list[str] | None, typer.Option(help="A SMART scope; repeatable.")] = None,
    patient_id_system: Annotated[str | None, typer.Option(help="Identifier system of its patient numbers.")] = None,
    certificate: CertificateFile = None,
    tls: Annotated[bool, typer.Option("--tls", help=_TLS)] = False,
) -> None:
    """Register a partner hospital or a PACS; prints its id."""
    from hayat_fhir.services.partner_details import PartnerDetails

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
        certificate=digest_of_certificate(certificate),
        tls=tls,
    )

    async def add(site: Site) -> str:
        return (await site.registration.partner(details)).id

    typer.echo(with_site(add))


@partner.command("change")
def partner_change(
    partner: PartnerName,
    jwks_file: JwksFile = None,
    jwks_url: JwksUrl = None,
    fhir_url: FhirUrl = None,
    ae_title: AeTitle = None,
    host: Host = None,
    port: Port = None,
    certificate: CertificateFile = None,
    tls: Annotated[bool | None, typer.Option("--tls/--no-tls", help=_TLS)] = None,
) -> None:
    """Change what is said here; new keys end the tokens of the former."""
    said: dict[str, Any] = {
        "jwks": json_object(jwks_file),
        "jwks_url": jwks_url,
        "fhir_url": fhir_url,
        "ae_title": ae_title,
        "host": host,
        "port": port,
        "certificate": digest_of_certificate(certificate),
        "tls": tls,
    }
    changes = {name: value for name, value in said.items() if value is not None}
    if {"jwks", "jwks_url"} & changes.keys():
        changes = {"jwks": None, "jwks_url": None, **changes}

    async def change(site: Site, caller: Caller, id: str) -> None:
        await site.partnership.change(caller, id, changes)

    _with_partner(partner, change)


@partner.command("test")
def partner_test(partner: PartnerName) -> None:
    """Try its FHIR door and its DICOM port."""

    async def test(site: Site, caller: Caller, id: str) -> list[tuple[str, ...]]:
        return [(one.door, one.outcome, one.detail) for one in await site.partnership.test(caller, id)]

    print_rows(("door", "outcome", "detail"), _with_partner(partner, test))


@partner.command("list")
def partner_list() -> None:
    """List the partners."""

    async def rows(site: Site) -> list[tuple[str, ...]]:
        return [
            (
                p.id,
                p.name,
                p.fhir_url or "",
                f"{p.ae_title}@{p.host}:{p.port}{' TLS' if p.tls else ''}" if p.ae_title else "",
                "disabled" if p.disabled else "active",
            )
            for p in await site.partners.list()
        ]

    print_rows(("id", "name", "FHIR", "DICOM", "state"), with_site(rows))


@partner.command("disable")
def partner_disable(partner: PartnerName) -> None:
    """Shut a partner out; its tokens die within five seconds."""

    async def disable(site: Site, caller: Caller, id: str) -> None:
        await site.partnership.change(caller, id, {}, disabled=True)

    _with_partner(partner, disable)


@partner.command("enable")
def partner_enable(partner: PartnerName) -> None:
    """Let a partner in again."""

    async def enable(site: Site, caller: Caller, id: str) -> None:
        await site.partnership.change(caller, id, {}, disabled=False)

    _with_partner(partner, enable)


def _with_partner(name: str, use: Callable[[Site, Caller, str], Awaitable[T]]) -> T:
    """Call services about the partner with this name or id, on behalf of the site."""

    async def called(site: Site) -> T:
        from hayat_fhir.security.callers import Caller, Role

        known = await site.registration.partner_called(name)
        return await use(site, Caller(Role.SITE, "command line"), known.id)

    return with_site(called)
