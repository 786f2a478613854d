"""Retrieving images: whoever may see the ImagingStudy that was projected from an image may see it, and nobody else.

An image that a caller may not see is answered like one that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hayat_fhir.dicom.header import is_uid
from hayat_fhir.errors import NotFound
from hayat_fhir.security.callers import Caller
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.instances import Instances
from hayat_fhir.store.resources import Resources


@dataclass(frozen=True, slots=True)
class Retrieved:
    """An image's file (PS3.10): its preamble is zero and its data set as it was received."""

    path: Path
    length: int
    transfer_syntax: str


class Retrieval:
    """Finds images for callers."""

    def __init__(
        self,
        instances: Instances,
        blobs: Blobs,
        resources: Resources,
        policy: Policy,
        auditing: Auditing,
    ) -> None:
        self._instances = instances
        self._blobs = blobs
        self._resources = resources
        self._policy = policy
        self._auditing = auditing

    async def instance(self, caller: Caller, study: str, series: str, instance: str) -> Retrieved:
        """One instance.

        Raises:
            NotFound: No such instance, or none that the caller may see.
            Forbidden: The caller may not see imaging studies at all.
        """
        async with self._auditing.access(caller, "instances-accessed") as access:
            restriction = self._policy.restriction(caller, Interaction.READ, "ImagingStudy")
            if not all(is_uid(uid) for uid in (study, series, instance)):
                raise NotFound("no such instance")
            row = await self._instances.get(instance)
            if row is None or (row.study, row.series) != (study, series):
                raise NotFound("no such instance")
            visible = None
            if row.imaging_study is not None:
                visible = await self._resources.read("ImagingStudy", row.imaging_study, restriction)
            if visible is None or visible.deleted:
                raise NotFound("no such instance")
            access.touched(visible)
            return Retrieved(self._blobs.path(row.blob), row.offset + row.size, row.transfer_syntax)
