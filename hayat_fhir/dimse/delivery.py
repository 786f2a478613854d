"""Delivering the images of studies to a partner, byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hayat_fhir.dimse.sender import Destination, OutgoingImage, send
from hayat_fhir.errors import Unprocessable
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.instances import Instances
from hayat_fhir.store.partners import Partner


class ImageDelivery:
    """Finds the images of studies and sends them; ``ae_title`` is this site's."""

    def __init__(self, instances: Instances, blobs: Blobs, ae_title: str) -> None:
        self._instances = instances
        self._blobs = blobs
        self._ae_title = ae_title

    async def send(self, partner: Partner, studies: Sequence[str]) -> int:
        """Send all images of these studies; how many.

        Raises:
            Unavailable: The partner cannot be reached: try again.
            Unprocessable: The partner has no DICOM port, or refuses an image.
        """
        if partner.ae_title is None or partner.host is None or partner.port is None:
            raise Unprocessable("the partner has no DICOM port")
        images = [
            OutgoingImage(self._blobs.path(row.blob), row.uid, row.sop_class, row.transfer_syntax)
            for study in studies
            for row in await self._instances.of_study(study)
        ]
        if not images:
            return 0
        destination = Destination(partner.ae_title, partner.host, partner.port)
        return await asyncio.to_thread(send, images, destination, self._ae_title)
