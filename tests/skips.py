"""``--no-skips``: a test that is skipped fails, so that nothing goes unnoticed where every peer is installed.

The one exception is real data that stands beside the checkout, and not everywhere.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
"""Real input beside the checkout."""
REASON = "beside the checkout"
"""What the reason of such a skip ends with."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--no-skips", action="store_true", help="fail tests that are skipped")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure."""
    report = yield
    if report.skipped and item.config.getoption("--no-skips") and not hasattr(report, "wasxfail"):
        reason = str(call.excinfo.value) if call.excinfo else ""
        if not reason.endswith(REASON) or SHARED_DATA.is_dir():
            report.outcome = "failed"
            report.longrepr = f"skipped, and nothing may be: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped module into a failure too."""
    report = yield
    if report.skipped and collector.config.getoption("--no-skips"):
        report.outcome = "failed"
    return report
