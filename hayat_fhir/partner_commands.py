"""``hayat partner``: partner hospitals and DICOM peers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hayat_fhir.site_commands import with_site
from hayat_fhir.terminal import certificate_digest, json_object, print_rows

if TYPE_CHECKING:
    from hayat_fhir.app import Site

partner = typer.Typer(help="Partner hospitals and DICOM peers.", no_args_is_help=True)

PartnerName = Annotated[str, typer.Argument(help="The partner's name or id.")]


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
    tls: Annotated[bool, typer.Option("--tls", help="Its DICOM port speaks TLS: never speak to it in clear.")] = False,
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
        certificate=certificate_digest(certificate),
        tls=tls,
    )

    async def add(site: Site) -> str:
        return (await site.registration.partner(details)).id

    typer.echo(with_site(add))


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

    async def disable(site: Site) -> None:
        await site.registration.disable_partner((await site.registration.partner_called(partner)).id)

    with_site(disable)
