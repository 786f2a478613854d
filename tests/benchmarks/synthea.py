"""The Synthea Bundles of the folder that ``--synthea`` names."""

from __future__ import annotations

import bz2
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tests.benchmarks.figures import Skipped


@dataclass(frozen=True, slots=True)
class BundleFile:
    """One Bundle as it travels."""

    name: str
    body: bytes
    content: dict[str, Any]

    @property
    def resources(self) -> list[dict[str, Any]]:
        """The resources of its entries."""
        return [entry["resource"] for entry in self.content["entry"]]


def bundles(folder: Path) -> tuple[list[BundleFile], list[BundleFile]]:
    """The Bundles of hospitals and practitioners, which go first, and those of patients.

    Raises:
        Skipped: The folder is not there or empty.
    """
    files = sorted(folder.glob("*.json.bz2"))
    if not files:
        raise Skipped(f"no Synthea Bundles in {folder}")
    loaded = [_load(path) for path in files]
    first = [bundle for bundle in loaded if "Information" in bundle.name]
    return first, [bundle for bundle in loaded if bundle not in first]


def _load(path: Path) -> BundleFile:
    body = bz2.decompress(path.read_bytes())
    return BundleFile(path.name, body, orjson.loads(body))
