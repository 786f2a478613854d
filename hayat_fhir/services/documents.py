"""What the files of a study tell beyond their rows: details of each series."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from hayat_fhir.dicom.details import read_details
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.instances import Instance


class Documents:
    """Reads the files of a study when it is projected; ``character_set``: of text that declares none."""

    def __init__(self, blobs: Blobs, character_set: str) -> None:
        self._blobs = blobs
        self._character_set = character_set

    async def details(self, instances: Sequence[Instance]) -> Mapping[str, Mapping[str, Any]]:
        """What is told once for a series, by the UID of its first instance."""
        firsts = [next(members) for _, members in groupby(instances, key=lambda one: one.series)]

        def read() -> dict[str, dict[str, Any]]:
            return {one.uid: read_details(self._blobs.path(one.blob), self._character_set) for one in firsts}

        return await asyncio.to_thread(read)
