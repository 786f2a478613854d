"""Custody of an image: bytes fsynced, digest in the row, row durable; only when all this is so is it taken.

Runs in the threads of whoever receives: the DICOM door's, or those of another door. Received bytes are never
rewritten. What contradicts what is stored is kept aside, not dropped and not merged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import BinaryIO, cast

from hayat_fhir.dicom.character_sets import LATIN_1
from hayat_fhir.dicom.demographics import differing, of_image
from hayat_fhir.dicom.header import Header, file_header, is_uid, read_file_header, read_plain_header
from hayat_fhir.errors import InvalidRequest, TooLarge, Unavailable, Unprocessable
from hayat_fhir.store.blob_reconciliation import Named
from hayat_fhir.store.blobs import Blobs, Bytes
from hayat_fhir.store.incoming_instances import IncomingInstances
from hayat_fhir.store.instances import Instance
from hayat_fhir.store.partners import Partner
from hayat_fhir.store.quarantine import DEMOGRAPHICS, OTHER_BYTES, OTHER_PATIENT

LARGEST = 2**32 - 2
"""Bytes of the largest data set that is taken."""
_HEAD = 64 * 1024
"""Bytes of a file that are kept in memory as well: most headers lie within."""


class Taken(StrEnum):
    """What became of an image."""

    STORED = "stored"
    KNOWN = "known"
    """The same bytes were there already."""
    QUARANTINED = "quarantined"


class Arrival:
    """An object on its way in: ``write`` its data set as it comes, then hand it to ``Ingest.take``, or ``discard`` it.

    ``sop_class`` and ``uid`` are what the sender's request names; the data set has yet to agree. ``study`` and
    ``series`` are the data set's, once it has been taken.
    """

    def __init__(self, blobs: Blobs, transfer_syntax: str, sop_class: str, uid: str, peer: Partner) -> None:
        if not (is_uid(uid) and is_uid(sop_class)):
            raise InvalidRequest("a UID is missing or malformed", code="value", expression=["SOPInstanceUID"])
        prefix = file_header(sop_class, uid, transfer_syntax, peer.ae_title or "")
        self.transfer_syntax, self.sop_class, self.uid, self.peer = transfer_syntax, sop_class, uid, peer
        self.study, self.series = "", ""
        self.offset = len(prefix)
        self.blob = blobs.receive()
        self._digest = sha256()
        self._head = bytearray(prefix)
        self._plain: Header | None = None
        self.blob.write(prefix)

    @property
    def size(self) -> int:
        """Bytes of the data set so far."""
        return self.blob.size - self.offset

    @property
    def digest(self) -> str:
        """The SHA-256 of the data set so far."""
        return self._digest.hexdigest()

    def write(self, data: Bytes) -> None:
        """The next bytes of the data set.

        Raises:
            TooLarge: There are more than may be.
            Unavailable: The disk is full or fails.
        """
        if self.size + len(data) > LARGEST:
            raise TooLarge("the data set is too large")
        self._digest.update(data)
        self.blob.write(data)
        if len(self._head) < _HEAD:
            self._head += data[: _HEAD - len(self._head)]
            if len(self._head) == _HEAD:
                self._plain = _read_ahead(self._head, self.transfer_syntax)

    def header(self, character_set: str) -> Header:
        """The header of the data set, which is complete; text is in this character set where it does not say.

        Raises:
            InvalidRequest: It cannot be read, or an identifying UID is missing or malformed.
        """
        if self._plain is not None:
            return self._plain
        if len(self._head) == self.blob.size:
            plain = read_plain_header(self._head, self.transfer_syntax, is_whole=True)
            if plain is not None:
                return plain
        with self.blob.mapped() as file:
            return read_file_header(cast("BinaryIO", file), self.transfer_syntax, character_set)

    def discard(self) -> None:
        """Leave nothing behind; harmless once it has been taken."""
        self.blob.discard()


class Ingest:
    """Takes images in. ``report`` hears of each image that goes into quarantine: peer id, UID and reason.

    ``character_set`` is what text is taken to be in that declares none and is not UTF-8.
    """

    def __init__(
        self,
        instances: IncomingInstances,
        blobs: Blobs,
        report: Callable[[str, str, str], None],
        character_set: str = LATIN_1,
    ) -> None:
        self._instances = instances
        self._blobs = blobs
        self._report = report
        self._character_set = character_set

    def begin(self, transfer_syntax: str, sop_class: str, uid: str, peer: Partner) -> Arrival:
        """An image is about to arrive.

        Raises:
            InvalidRequest: A UID of the request is malformed.
            Unavailable: It cannot be stored now.
        """
        return Arrival(self._blobs, transfer_syntax, sop_class, uid, peer)

    def take(self, arrival: Arrival, study: str | None = None) -> Taken:
        """Take an image that has arrived into custody; when this returns, it is durable.

        ``study``: the one that it must be of.

        Raises:
            InvalidRequest: The data set cannot be read, or a UID is malformed.
            Unprocessable: The data set is not the one that the request names.
            Unavailable: It cannot be made durable now.
        """
        try:
            return self._taken(arrival, study)
        except BaseException:
            arrival.discard()
            raise

    def _taken(self, arrival: Arrival, study: str | None) -> Taken:
        arrival.blob.link()
        header = arrival.header(self._character_set)
        if study not in {None, header.study}:
            raise Unprocessable(
                "the data set is not of the study that the request names", expression=["StudyInstanceUID"]
            )
        if header.instance != arrival.uid or header.sop_class != arrival.sop_class:
            raise Unprocessable("the data set is not the one that the request names", expression=["SOPInstanceUID"])
        arrival.study, arrival.series = header.study, header.series
        instance = _instance(arrival, header)
        instance, reason, differs = self._identified(instance)
        if reason is not None:
            return self._set_aside(arrival, instance, reason, differs)
        before = self._add(arrival, instance)
        if before is None:
            arrival.blob.settle()
            return Taken.STORED
        if before.sha256 == instance.sha256:
            self._blobs.make_durable(before.blob)
            arrival.discard()
            return Taken.KNOWN
        return self._set_aside(arrival, instance, OTHER_BYTES)

    def _add(self, arrival: Arrival, instance: Instance) -> Named | None:
        """Make row and file durable side by side; the row that was there before, where there was one."""
        try:
            adding = self._instances.add(instance)
            try:
                arrival.blob.sync()
            finally:
                is_new = adding.result()
            before = None if is_new else self._before(instance)
        except BaseException:
            arrival.blob.leave()
            raise
        return before

    def _before(self, instance: Instance) -> Named | None:
        """The row with this UID; None where it is this one, of an attempt whose answer did not come."""
        kept = self._instances.kept(instance.uid)
        if kept is None:
            raise Unavailable("the instance has just been taken back")
        return None if kept.blob == instance.blob else kept

    def _identified(self, instance: Instance) -> tuple[Instance, str | None, Sequence[str]]:
        """The instance as its patient's, and what speaks against that: a reason, and in what demographics differ."""
        identities = self._instances.identities
        owner = identities.owner(instance.study, instance.system, instance.patient_id)
        if (owner.system, owner.patient_id) != (instance.system, instance.patient_id):
            if owner.entry is None:
                return instance, OTHER_PATIENT, ()
            return replace(instance, system=owner.system, patient_id=owner.patient_id, admitted=owner.entry), None, ()
        if not instance.patient_id:
            return instance, None, ()
        said = of_image(instance.attributes)
        differs = differing(identities.patient(owner, said).demographics, said)
        if not differs:
            return instance, None, ()
        known = identities.patient(owner, said, afresh=True)
        for entry, variant in known.variants:
            if not differing(variant, said):
                return replace(instance, admitted=entry), None, ()
        differs = differing(known.demographics, said)
        return instance, DEMOGRAPHICS if differs else None, differs

    def _set_aside(self, arrival: Arrival, instance: Instance, reason: str, differs: Sequence[str] = ()) -> Taken:
        """Keep it in quarantine; the bytes that are stored already, by a decision, are known."""
        arrival.blob.sync()
        kept = self._instances.kept(instance.uid)
        if kept is not None and kept.sha256 == instance.sha256:
            self._blobs.make_durable(kept.blob)
            arrival.discard()
            return Taken.KNOWN
        if self._instances.is_quarantined(instance.uid, instance.sha256) or not self._instances.quarantine(
            instance, reason, differs
        ):
            arrival.discard()
        else:
            arrival.blob.settle()
            self._report(arrival.peer.id, instance.uid, reason)
        return Taken.QUARANTINED


def _read_ahead(head: bytearray, transfer_syntax: str) -> Header | None:
    """The header within the first bytes, while the sender sends the rest; None where it cannot be read alone."""
    try:
        return read_plain_header(head, transfer_syntax, is_whole=False)
    except InvalidRequest:
        return None


def _instance(arrival: Arrival, header: Header) -> Instance:
    return Instance(
        uid=header.instance,
        study=header.study,
        series=header.series,
        sop_class=header.sop_class,
        transfer_syntax=header.transfer_syntax,
        sha256=arrival.digest,
        size=arrival.size,
        blob=arrival.blob.key,
        offset=arrival.offset,
        peer=arrival.peer.id,
        system=header.issuer_system(arrival.peer.patient_id_system or ""),
        patient_id=header.patient_id,
        received=datetime.now(UTC),
        attributes=header.attributes,
    )
