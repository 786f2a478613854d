"""``hayat account``: the accounts of people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hayat_fhir.site_commands import with_site
from hayat_fhir.terminal import password_from_stdin, print_rows

if TYPE_CHECKING:
    from hayat_fhir.app import Site

account = typer.Typer(help="Accounts of people.", no_args_is_help=True)

Email = Annotated[str, typer.Option(help="The account's e-mail address.")]


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

    typer.echo(with_site(add))


@account.command("list")
def account_list() -> None:
    """List the accounts."""

    async def rows(site: Site) -> list[tuple[str, ...]]:
        accounts = await site.accounts.list()
        return [
            (a.id, a.role, a.email, a.name, a.reference or "", "disabled" if a.disabled else "active") for a in accounts
        ]

    print_rows(("id", "role", "e-mail", "name", "resource", "state"), with_site(rows))


@account.command("disable")
def account_disable(email: Email) -> None:
    """Shut an account out; its tokens die within five seconds."""

    async def disable(site: Site) -> None:
        await site.registration.disable_account(email)

    with_site(disable)


@account.command("enable")
def account_enable(email: Email) -> None:
    """Let a disabled account in again."""

    async def enable(site: Site) -> None:
        await site.registration.enable_account(email)

    with_site(enable)


@account.command("reset")
def account_reset(email: Email) -> None:
    """Print a code, good once and for 15 minutes, with which the person sets a new password (POST /auth/reset)."""

    async def code(site: Site) -> str:
        return await site.credentials.reset_code(email)

    typer.echo(with_site(code))


@account.command("rights")
def account_rights(
    email: Email,
    right: Annotated[
        list[str] | None, typer.Option(help="A right (records:amend); repeatable. None: no right.")
    ] = None,
) -> None:
    """Say what the site allows a person beyond their role."""

    async def grant(site: Site) -> None:
        await site.registration.set_rights(email, tuple(right or ()))

    with_site(grant)
