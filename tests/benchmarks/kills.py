"""The long run of the tests that kill and break the DICOM door: a hundred kills, fifty thousand broken cases."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figures import BenchmarkFailed, Finding, spread
from tests.benchmarks.run import Run

_KILLS, _CASES = 100, 50_000
_PATIENCE = 3600.0
_ROOT = Path(__file__).parents[2]


def measure(run: Run) -> Iterator[Finding]:
    """Seconds that it took; it is the passing that matters.

    Raises:
        BenchmarkFailed: Something acknowledged was lost, something was left over, or the door fell, hung or grew.
    """
    for name, test, setting, times in (
        ("kill -9 under eight associations", "test_killed.py", "KILLS", _KILLS),
        ("broken PDUs and data sets", "test_fuzz.py", "FUZZ", _CASES),
    ):
        with run.step(f"kills: {times:,} x {name}"):
            started = time.perf_counter()
            output = _run(test, {setting: str(times)})
        if not re.search(r"\b1 passed\b", output):
            raise BenchmarkFailed(f"{name}: {output[-2000:]}")
        took = time.perf_counter() - started
        yield Finding("kills", f"{times:,} x {name}", "s", spread([took]), note="nothing acknowledged lost, none left")


def _run(test: str, settings: dict[str, str]) -> str:
    # what is logged and warned of is not kept: it would be most of the growth that is measured
    options = ["-q", "--no-header", "--capture=no", "-p", "no:logging", "-W", "ignore"]
    command = [sys.executable, "-m", "pytest", *options, f"tests/dimse/{test}"]
    environment = {**os.environ, **settings}
    done = subprocess.run(
        command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=_PATIENCE, check=False
    )
    return done.stdout
