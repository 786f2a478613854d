"""``hayat quarantine``: images that contradict what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from hayat_fhir.site_commands import with_site
from hayat_fhir.terminal import fail, print_rows

if TYPE_CHECKING:
    from hayat_fhir.app import Site
    from hayat_fhir.security.callers import Caller
    from hayat_fhir.store.quarantine import Entry

quarantine = typer.Typer(help="Images that contradict what is stored.", no_args_is_help=True)

EntryId = Annotated[str | None, typer.Argument(help="The entry's id.")]
OfStudy = Annotated[str | None, typer.Option("--study", help="All of this Study Instance UID instead.")]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]


@quarantine.command("list")
def quarantine_list(
    state: Annotated[str, typer.Option(help="open, accepted, rejected, superseded, withheld; or any.")] = "open",
    study: Annotated[str | None, typer.Option(help="Of this Study Instance UID only.")] = None,
    count: Annotated[int, typer.Option(help="How many at most.", min=1, max=1000)] = 100,
) -> None:
    """List the entries, newest first."""

    async def entries(site: Site) -> Sequence[Entry]:
        wanted = None if state == "any" else state
        return await site.quarantine.list(_operator(), wanted, study, count=count)

    titles = ("entry", "state", "reason", "differs", "study", "image", "from", "received")
    print_rows(titles, [_row(entry) for entry in with_site(entries)])


@quarantine.command("show")
def quarantine_show(id: Annotated[str, typer.Argument(help="The entry's id.")]) -> None:
    """Show one entry and what has been decided about it."""

    async def found(site: Site) -> Entry:
        return await site.quarantine.get(_operator(), id)

    entry = with_site(found)
    instance = entry.instance
    rows = [
        ("entry", entry.id),
        ("state", entry.state),
        ("reason", entry.reason),
        *(("differs", name) for name in entry.differs),
        ("study", instance.study),
        ("series", instance.series),
        ("image", instance.uid),
        ("patient", f"{instance.system}|{instance.patient_id}"),
        ("from", instance.peer),
        ("received", instance.received.isoformat(timespec="seconds")),
        ("bytes", str(instance.size)),
        ("SHA-256", instance.sha256),
        *(
            ("decision", f"{one['at'].isoformat(timespec='seconds')} {one['by']} {one['decision']}: {one['reason']}")
            for one in entry.decisions
        ),
    ]
    print_rows(("", ""), rows)


@quarantine.command("resolve")
def quarantine_resolve(
    decision: Annotated[str, typer.Option(help="accept: let it in; reject: keep it out. Its bytes stay.")],
    reason: Reason,
    id: EntryId = None,
    study: OfStudy = None,
) -> None:
    """Decide about an entry, or about all of a study that wait."""
    if decision not in {"accept", "reject"}:
        fail("the decision is accept or reject", 2)
    _decide(decision, reason, id, study)


@quarantine.command("reverse")
def quarantine_reverse(reason: Reason, id: EntryId = None, study: OfStudy = None) -> None:
    """Take a decision back: everything is as before, and waits for a new one."""
    _decide("reverse", reason, id, study)


def _decide(decision: str, reason: str, id: str | None, study: str | None) -> None:
    from hayat_fhir.services.quarantine import Decision, Resolution

    async def resolve(site: Site) -> Sequence[Entry]:
        return await site.quarantine.resolve(_operator(), Resolution(Decision(decision), reason, id, study))

    print_rows(("entry", "state"), [(entry.id, entry.state) for entry in with_site(resolve)])


def _operator() -> Caller:
    from hayat_fhir.security.callers import Caller, Role

    return Caller(Role.SITE, "command line")


def _row(entry: Entry) -> tuple[str, ...]:
    instance = entry.instance
    return (
        entry.id,
        entry.state,
        entry.reason,
        ",".join(entry.differs),
        instance.study,
        instance.uid,
        instance.peer,
        instance.received.isoformat(timespec="seconds"),
    )
