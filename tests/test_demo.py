"""The main job, as ``make demo`` shows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_demo(tmp_path: Path) -> None:
    """A diagnosis and its images travel between two complete sites, unaltered; the command says so and ends."""
    picture = tmp_path / "demo.svg"
    done = subprocess.run(
        [sys.executable, "-m", "hayat_fhir", "demo", "--exit", "--picture", str(picture)],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "The diagnosis, as Hospital B reads it" in done.stdout
    assert done.stdout.count("yes") == 2
    assert "https://" not in picture.read_text()
