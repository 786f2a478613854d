"""``hayat reindex``: the search index by the rules of this version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from hayat_fhir.site_commands import with_site
from hayat_fhir.terminal import counting, fail, print_rows

if TYPE_CHECKING:
    from hayat_fhir.app import Site


def reindex(
    types: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TYPE]...", help="Resource types, or imaging_studies, what DICOM clients search; none: all."
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what the present rules have indexed: after damage, or a new base URL.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only tell what is outdated; status 1 if anything is.")
    ] = False,
) -> None:
    """Index again what earlier versions have indexed, at once; the worker does so by itself, at its leisure.

    Prints how many resources of each type are in order now; status 1 if there are any that cannot be indexed.
    """
    if check:
        due = with_site(lambda site: _due(site, types or (), everything=False))
        print_rows(("type", "outdated"), [(type, str(count)) for type, count in sorted(due.items())])
        raise typer.Exit(1 if due else 0)
    done, refused = with_site(lambda site: _reindexed(site, types or (), everything=everything))
    for reference in refused:
        typer.echo(f"hayat: {reference} cannot be indexed", err=True)
    print_rows(("type", "indexed"), [(type, str(count)) for type, count in sorted(done.items())])
    raise typer.Exit(1 if refused else 0)


async def _due(site: Site, types: Sequence[str], *, everything: bool) -> dict[str, int]:
    from hayat_fhir.store.index_renewal import IMAGING

    for type in types:
        if type not in {*site.definitions.resource_types, IMAGING}:
            fail(f"{type} is no resource type, nor {IMAGING}", 2)
    due = await site.reindexing.due(everything=everything)
    return {type: count for type, count in due.items() if not types or type in types}


async def _reindexed(site: Site, types: Sequence[str], *, everything: bool) -> tuple[Counter[str], list[str]]:
    """How many of each type are as they should be now, and the references of those that cannot be."""
    due = await _due(site, types, everything=everything)
    done: Counter[str] = Counter(dict.fromkeys(due, 0))
    refused: list[str] = []
    with counting("search index", sum(due.values())) as advance:
        async for type, batch in site.reindexing.reindex(sorted(due), everything=everything):
            done[type] += batch.done
            refused += (f"{type}/{id}" for id in batch.refused)
            advance(type, batch.done + len(batch.refused))
    return done, refused
