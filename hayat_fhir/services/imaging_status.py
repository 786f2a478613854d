"""How the imaging side of a site does: what comes in, how fast, and what waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hayat_fhir.store.database import Database
from hayat_fhir.store.figures import Figure, SiteFigures

_MEGA = 10**6
_GIGA = 10**9


async def status(database: Database, seconds: float) -> Sequence[tuple[str, str]]:
    """Names and values for people; the rates are those of so many seconds from now on.

    Raises:
        Unavailable: MongoDB does not answer.
    """
    figures = SiteFigures(database)
    before = await figures.read()
    await asyncio.sleep(seconds)
    after = await figures.read()
    arrived, received = "hayat_dicom_instances", "hayat_dicom_received_bytes"
    rows = [
        ("DICOM processes", f"{_sum(after, 'hayat_dicom_processes'):.0f}"),
        ("associations now", f"{_sum(after, 'hayat_dicom_associations'):.0f}"),
        *_each(after, "hayat_dicom_association_requests", "association requests"),
        *_each(after, arrived, "images"),
        ("images/s", f"{(_sum(after, arrived) - _sum(before, arrived)) / seconds:.1f}"),
        ("MB/s", f"{(_sum(after, received) - _sum(before, received)) / seconds / _MEGA:.1f}"),
        ("images stored", f"{_sum(after, 'hayat_imaging_instances'):.0f}"),
        ("studies to be projected", f"{_sum(after, 'hayat_imaging_pending_studies'):.0f}"),
        *_each(after, "hayat_imaging_quarantine", "quarantine"),
        *_each(after, "hayat_outbox_jobs", "outbox"),
    ]
    free = [figure.value for figure in after if figure.name == "hayat_imaging_free_bytes"]
    rows += [("GB free for images", f"{value / _GIGA:.1f}") for value in free]
    return rows


def _sum(figures: Sequence[Figure], name: str) -> float:
    return sum(figure.value for figure in figures if figure.name == name)


def _each(figures: Sequence[Figure], name: str, shown: str) -> list[tuple[str, str]]:
    """A figure by its labels, in their order."""
    found = sorted((figure.labels, figure.value) for figure in figures if figure.name == name)
    return [(f"{shown}: {', '.join(value for _, value in labels)}", f"{value:.0f}") for labels, value in found]
