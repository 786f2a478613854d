"""``hayat imaging``: how the imaging side of the site does, and what it promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from hayat_fhir.site_commands import with_site
from hayat_fhir.terminal import print_rows

if TYPE_CHECKING:
    from hayat_fhir.app import Site

imaging = typer.Typer(help="Images: what comes in, waits and goes out.", no_args_is_help=True)


@imaging.command("status")
def imaging_status(
    seconds: Annotated[float, typer.Option(help="How long to watch, for the rates.", min=0.1, max=3600)] = 6.0,
) -> None:
    """Show associations, rates, studies that wait to be projected, quarantine and outbox."""
    from hayat_fhir.services.imaging_status import status

    async def rows(site: Site) -> Sequence[tuple[str, str]]:
        return await status(site.database, seconds)

    print_rows(("", ""), with_site(rows))


@imaging.command("verify")
def imaging_verify(study: Annotated[str, typer.Argument(help="The Study Instance UID.")]) -> None:
    """Compare a study and its reports with what their senders have vouched for; exit status 1 where they differ."""
    from hayat_fhir.services.verification import Verdict

    async def found(site: Site) -> Verdict | None:
        return await site.verification.verify_study(study)

    verdict = with_site(found)
    if verdict is None:
        raise typer.BadParameter("there is no such study")
    rows = [
        (name, str(result), f"{one.signer} ({one.signature})")
        for one in verdict.manifests
        for name, result in [*one.instances.items(), *one.resources.items()]
    ]
    rows += [(uid, "unsigned", "") for uid in verdict.unsigned]
    print_rows(("", "", "signed by"), rows)
    raise typer.Exit(0 if verdict.verified else 1)


@imaging.command("statement")
def imaging_statement() -> None:
    """Print the DICOM Conformance Statement (PS3.2)."""
    from hayat_fhir import definitions
    from hayat_fhir.dimse.conformance_statement import statement

    typer.echo(statement(definitions.load().dicom), nl=False)
