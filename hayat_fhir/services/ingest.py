"""Custody of an image: bytes fsynced, digest in the row, row durable; only then is it taken.

Runs in the threads of the DICOM door. Received bytes are never rewritten. What contradicts what is stored is
kept aside, not dropped and not merged.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256

from hayat_fhir.dicom.header import Header, file_header, read_header
from hayat_fhir.errors import Unprocessable
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.instances import IncomingInstances, Instance
from hayat_fhir.store.partners import Partner


class Taken(StrEnum):
    """What became of an image."""

    STORED = "stored"
    KNOWN = "known"
    """The same bytes were there already."""
    QUARANTINED = "quarantined"


OTHER_BYTES = "same SOP Instance UID, other bytes"
OTHER_PATIENT = "same study, other patient"


class Ingest:
    """Takes images in. ``report`` hears of each image that goes into quarantine: peer id, UID and reason."""

    def __init__(
        self,
        instances: IncomingInstances,
        blobs: Blobs,
        report: Callable[[str, str, str], None],
    ) -> None:
        self._instances = instances
        self._blobs = blobs
        self._report = report

    def take(self, data_set: bytes, transfer_syntax: str, sop_class: str, uid: str, peer: Partner) -> Taken:
        """Take one image into custody; when this returns, it is durable.

        ``sop_class`` and ``uid`` are those of the C-STORE request.

        Raises:
            InvalidRequest: The data set cannot be read, or a UID is malformed.
            Unprocessable: The data set is not the one that the request names.
            Unavailable: It cannot be made durable now.
        """
        header = read_header(data_set, transfer_syntax)
        if header.instance != uid or header.sop_class != sop_class:
            raise Unprocessable("the data set is not the one that the request names", expression=["SOPInstanceUID"])
        digest = sha256(data_set).hexdigest()
        known = self._instances.digest_of(uid)
        if known == digest:
            return Taken.KNOWN
        system = header.issuer_system(peer.patient_id_system or "")
        if known is not None:
            return self._set_aside(header, data_set, digest, system, peer, OTHER_BYTES)
        patient = self._instances.patient_of_study(header.study, system, header.patient_id)
        if patient != (system, header.patient_id):
            return self._set_aside(header, data_set, digest, system, peer, OTHER_PATIENT)
        instance = self._stored(header, data_set, digest, system, peer)
        if self._instances.add(instance):
            return Taken.STORED
        if self._instances.digest_of(uid) == digest:
            self._blobs.remove(instance.blob)
            return Taken.KNOWN
        self._instances.quarantine(instance, OTHER_BYTES)
        self._report(peer.id, uid, OTHER_BYTES)
        return Taken.QUARANTINED

    def _set_aside(
        self, header: Header, data_set: bytes, digest: str, system: str, peer: Partner, reason: str
    ) -> Taken:
        if not self._instances.is_quarantined(header.instance, digest):
            self._instances.quarantine(self._stored(header, data_set, digest, system, peer), reason)
            self._report(peer.id, header.instance, reason)
        return Taken.QUARANTINED

    def _stored(self, header: Header, data_set: bytes, digest: str, system: str, peer: Partner) -> Instance:
        prefix = file_header(header.sop_class, header.instance, header.transfer_syntax, peer.ae_title or "")
        return Instance(
            uid=header.instance,
            study=header.study,
            series=header.series,
            sop_class=header.sop_class,
            transfer_syntax=header.transfer_syntax,
            sha256=digest,
            size=len(data_set),
            blob=self._blobs.put([prefix, data_set]),
            offset=len(prefix),
            peer=peer.id,
            system=system,
            patient_id=header.patient_id,
            received=datetime.now(UTC),
            attributes=header.attributes,
        )
