"""What the command line reads and prints: tables, passwords, key files, and one clear line for what goes wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer

from hayat_fhir.errors import ConfigurationError, HayatError, InvalidRequest, Refusal
from hayat_fhir.security.certificates import certificate_digest

_FAILED = 1
_MISCONFIGURED = 2


def fail(line: str, status: int = _FAILED) -> NoReturn:
    """End the command with one line on standard error."""
    typer.echo(f"hayat: {line}", err=True)
    raise SystemExit(status)


def with_clear_errors(command: Callable[[], None]) -> None:
    """Run the command line: expected errors are one line and an exit status, 2 for a wrong configuration."""
    try:
        command()
    except Refusal as refusal:
        fail("; ".join(issue.diagnostics for issue in refusal.issues))
    except ConfigurationError as error:
        fail(str(error), _MISCONFIGURED)
    except HayatError as error:
        fail(str(error))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        fail(f"{place}{error.strerror or type(error).__name__}")


def print_rows(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on a terminal; elsewhere one line a row, separated by tabs and without the titles, for scripts."""
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*titles)
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def announcer() -> Callable[[str], None]:
    """Prints lines about the progress of a start, for people, on standard error."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, soft_wrap=True, highlight=False)

    def announce(line: str) -> None:
        style = "bold green" if line.startswith("ready") else "red" if " died" in line else ""
        console.print(Text.assemble(("hayat ", "cyan"), (line, style)))

    return announce


@contextmanager
def counting(title: str, total: int) -> Iterator[Callable[[str, int], None]]:
    """A progress bar on standard error, where that is a terminal: call with what is worked on, and how much is done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    columns = (SpinnerColumn(finished_text="[green]✓[/]"), TextColumn("{task.description}"), BarColumn(24))
    console = Console(stderr=True)
    with Progress(
        *columns, MofNCompleteColumn(), TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(title, total=total)
        yield lambda doing, amount: progress.update(task, description=f"{title}: {doing}", advance=amount)


def digest_of_certificate(path: Path | None) -> str | None:
    """The SHA-256, in hexadecimal digits, of the first certificate in a PEM file."""
    if path is None:
        return None
    try:
        return certificate_digest(path.read_text(encoding="ascii"))
    except (InvalidRequest, UnicodeDecodeError):
        fail(f"{path}: not a certificate in PEM", _MISCONFIGURED)


def password_from_stdin(*, asked: bool) -> str:
    """The first line of standard input; passwords are taken from nowhere else."""
    if not asked:
        fail("give the password on standard input, with --password-stdin", _MISCONFIGURED)
    try:
        return sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        fail("the password is not valid text in this terminal's encoding")


def json_object(path: Path | None) -> dict[str, object] | None:
    """The JSON object in a file, where one is given."""
    if path is None:
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        fail(f"{path}: not JSON")
    return content if isinstance(content, dict) else fail(f"{path}: not a JSON object")
