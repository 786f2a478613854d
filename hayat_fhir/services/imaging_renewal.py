"""The rows by which DICOM clients find imaging studies follow their rules: they are made again of the same images.

The ImagingStudy stays as it is: this is about what it is found by at the DICOM doors.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from hayat_fhir.security.callers import UNRESTRICTED
from hayat_fhir.services.documents import Documents
from hayat_fhir.services.imaging_rows import imaging_study_row
from hayat_fhir.store.imaging_renewal import DueRow, ImagingRowRenewal
from hayat_fhir.store.index_renewal import Renewed
from hayat_fhir.store.instances import Instances
from hayat_fhir.store.resources import Resources


class ImagingRenewal:
    """Makes rows again."""

    def __init__(
        self, rows: ImagingRowRenewal, instances: Instances, documents: Documents, resources: Resources
    ) -> None:
        self._rows = rows
        self._instances = instances
        self._documents = documents
        self._resources = resources

    async def renew(self, *, everything: bool = False) -> AsyncGenerator[Renewed, None]:
        """Renew the outdated rows, batch by batch; with ``everything`` also those of the present rules.

        A study without images, or whose ImagingStudy is gone, has nothing to make a row of: it is refused.

        Raises:
            Unavailable: MongoDB does not answer; what has been renewed stays so.
        """
        async with aclosing(self._rows.batches(everything=everything)) as batches:
            async for batch in batches:
                done = 0
                refused: list[str] = []
                for due in batch:
                    made = await self._renewed(due)
                    if made is None:
                        refused.append(due.study)
                    else:
                        done += made
                yield Renewed(done, tuple(refused))

    async def _renewed(self, due: DueRow) -> bool | None:
        """Whether the row has been replaced; None where there is nothing to make it of."""
        instances = await self._instances.of_study(due.study)
        stored = await self._resources.read("ImagingStudy", due.imaging_study, UNRESTRICTED)
        if not instances or stored is None:
            return None
        details = await self._documents.details(instances)
        return await self._rows.replace(due, imaging_study_row(instances, stored, details))
