"""What tests of two hospitals ask of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hayat_fhir.demonstration_site import Site


def until(holds: Callable[[], bool], seconds: float = 180) -> None:
    """Wait for something to hold."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def found(site: Site, url: str) -> list[dict[str, Any]]:
    """The resources that a doctor of the site finds."""
    with site.client("doctor") as client:
        return [entry["resource"] for entry in client.get(url).raise_for_status().json().get("entry", ())]
