"""``python -m tests.benchmarks [NAME ..]``: measures, shows a table, and ends with 1 where a target was missed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from hayat_fhir.demonstration_site import DemonstrationFailed
from tests.benchmarks import (
    browser,
    bundles,
    calls,
    dicom,
    dicomweb,
    floods,
    kills,
    legacy,
    machine,
    presence,
    read,
    search,
    sign_in,
    start,
)
from tests.benchmarks.figures import BenchmarkFailed, Finding, Skipped, Spread
from tests.benchmarks.run import Run

_BENCHMARKS: dict[str, Callable[[Run], Iterator[Finding]]] = {
    "start": start.measure,
    "read": read.measure,
    "bundles": bundles.measure,
    "dicom": dicom.measure,
    "kills": kills.measure,
    "dicomweb": dicomweb.measure,
    "search": search.measure,
    "legacy": legacy.measure,
    "sign-in": sign_in.measure,
    "presence": presence.measure,
    "floods": floods.measure,
    "calls": calls.measure,
    "browser": browser.measure,
}
_WIDTH = 150
_SYNTHEA = Path(__file__).parents[3] / "shared" / "data" / "synthea"


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"of {', '.join(_BENCHMARKS)}; all by default")] = None,
    *,
    json_path: Annotated[Path | None, typer.Option("--json", help="also write the results to this file")] = None,
    synthea: Annotated[Path, typer.Option(help="folder of Synthea transaction Bundles, *.json.bz2")] = _SYNTHEA,
    scale: Annotated[str, typer.Option(help="resources of the large search, such as 100k or 1m")] = "1m",
    rounds: Annotated[int, typer.Option(min=1, help="alternating rounds")] = 3,
    seconds: Annotated[float, typer.Option(min=0.5, help="length of a load round")] = 5.0,
) -> None:
    """Measure the named benchmarks and compare each with its bound in the same run."""
    chosen = names or list(_BENCHMARKS)
    for name in chosen:
        if name not in _BENCHMARKS:
            raise typer.BadParameter(f"{name} is none of {', '.join(_BENCHMARKS)}")
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    findings: list[Finding] = []
    skipped: dict[str, str] = {}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="hayat-bench-") as scratch, _progress(console) as progress:
        run = Run(Path(scratch), progress, synthea, rounds, seconds, large=_number(scale))
        for name in chosen:
            try:
                for finding in _BENCHMARKS[name](run):
                    findings.append(finding)
                    console.print(_line(finding))
            except Skipped as unable:
                skipped[name] = str(unable)
            except (BenchmarkFailed, DemonstrationFailed) as fault:
                failed[name] = str(fault)
    host = machine.description()
    console.print(_table(findings, ", ".join(f"{key} {value}" for key, value in host.items())))
    for name, reason in skipped.items():
        console.print(f"[yellow]skipped {name}: {reason}[/]")
    for name, fault_text in failed.items():
        console.print(f"[red]{name} failed: {escape(fault_text)}[/]")
    if json_path is not None:
        found = [finding.as_json() for finding in findings]
        results = {"machine": host, "findings": found, "skipped": skipped, "failed": failed}
        json_path.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    if failed or any(finding.passed is False for finding in findings):
        raise typer.Exit(1)


def _progress(console: Console) -> Progress:
    shown = TextColumn("{task.description}")
    columns = (SpinnerColumn(), shown, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


def _number(text: str) -> int:
    factors = {"k": 1_000, "m": 1_000_000}
    digits, factor = (text[:-1], factors[text[-1].lower()]) if text[-1:].lower() in factors else (text, 1)
    if not digits.isdigit() or int(digits) == 0:
        raise typer.BadParameter(f"{text} is not a number such as 250000, 100k or 1m")
    return int(digits) * factor


def _line(finding: Finding) -> str:
    text = f"{finding.benchmark}: {finding.name}: {_figure(finding.ours.middle)} {finding.unit}"
    if finding.comparison is not None and finding.ratio is not None:
        text += f", {finding.against} {_figure(finding.comparison.middle)}, ratio {finding.ratio.middle:.2f}"
    return f"{text} {_verdict(finding)}"


def _verdict(finding: Finding) -> str:
    match finding.passed:
        case None:
            return ""
        case True:
            return "[green]pass[/]"
        case False:
            return "[red]fail[/]"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _shown(figures: Spread | None) -> str:
    if figures is None:
        return ""
    return f"{_figure(figures.middle)} [dim]({_figure(figures.least)} .. {_figure(figures.most)})[/]"


def _table(findings: list[Finding], caption: str) -> Table:
    table = Table(title="median (least .. most) of the rounds", caption=caption, show_lines=True)
    for heading in ("benchmark", "unit", "Hayat", "against", "comparison", "ratio", "target", ""):
        table.add_column(heading)
    for finding in findings:
        table.add_row(
            f"{finding.benchmark}: {finding.name}" + (f"\n[dim]{finding.note}[/]" if finding.note else ""),
            finding.unit,
            _shown(finding.ours),
            finding.against,
            _shown(finding.comparison),
            _shown(finding.ratio),
            str(finding.target or ""),
            _verdict(finding),
        )
    return table


if __name__ == "__main__":
    typer.run(main)
