"""Storage commitment push model: as SCP for peers, and the door to the answers of partners.

A peer that stays on its association gets the report there; any other gets it over an association of its own, until it
has taken it. PS3.4 J.3, https://dicom.nema.org/medical/dicom/current/output/html/part04.html#sect_J.3
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import structlog
from pydicom.dataset import Dataset
from pynetdicom import build_context, build_role
from pynetdicom.dsutils import decode
from pynetdicom.presentation import PresentationContext
from structlog.typing import FilteringBoundLogger

from hayat_fhir.dimse.association import DoorAssociation
from hayat_fhir.dimse.event_loop import EventLoop
from hayat_fhir.dimse.query import KnownAs
from hayat_fhir.dimse.requestor import Requestor
from hayat_fhir.dimse.service import Service, contexts
from hayat_fhir.errors import Category, InvalidRequest, Refusal
from hayat_fhir.services.storage_commitment import StorageCommitment
from hayat_fhir.store.commitments import Commitment, Reference
from hayat_fhir.store.partners import Partner, Partners

PUSH_MODEL = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
REQUEST = 1
"""The only action type."""
_COMPLETE, _FAILURES = 1, 2
_SUCCESS, _NO_SUCH_ACTION, _NO_SUCH_EVENT, _NO_SUCH_INSTANCE = 0x0000, 0x0123, 0x0113, 0x0112
_STATUS = {
    Category.INVALID: 0x0115,
    Category.CONFLICT: 0x0210,
    Category.FORBIDDEN: 0x0124,
    Category.UNAVAILABLE: 0x0213,
}
_FAILED = 0x0110
_LINGER = 0.5
"""Seconds that a peer has to leave its association before the report is sent there."""
_SLICE = 0.05
_POLL = 1.0


class CommitmentProvider:
    """Takes requests, delivers the reports, and takes those of partners."""

    def __init__(
        self,
        commitment: StorageCommitment,
        known_as: KnownAs,
        loop: EventLoop,
        partners: Partners,
        requestor: Requestor,
    ) -> None:
        self._commitment = commitment
        self._known_as = known_as
        self._loop = loop
        self._partners = partners
        self._requestor = requestor
        self._log: FilteringBoundLogger = structlog.get_logger("hayat_fhir.dimse")

    def service(self, conformance: Mapping[str, Any]) -> Service:
        """The service; ``conformance`` is conformance/dicom.json."""
        return Service(
            contexts(conformance, "commitment"),
            {},
            requests={"N-ACTION": self.requested, "N-EVENT-REPORT": self.reported},
        )

    def requested(self, association: DoorAssociation, message: Any, context: PresentationContext) -> None:  # noqa: ANN401 - pynetdicom's
        """Answer an N-ACTION, and report over the same association if the peer stays."""
        made: Commitment | None = None
        try:
            if message.RequestedSOPInstanceUID != PUSH_MODEL_INSTANCE:
                status = _NO_SUCH_INSTANCE
            elif message.ActionTypeID != REQUEST:
                status = _NO_SUCH_ACTION
            else:
                transaction, references = _asked(message.ActionInformation, context)
                caller = self._loop.wait(self._known_as(association.peer, association.address))
                made = self._loop.wait(self._commitment.request(caller, transaction, references))
                status = _SUCCESS
        except Refusal as refusal:
            status = _STATUS.get(refusal.category, _FAILED)
        response = type(message)()
        response.MessageIDBeingRespondedTo = message.MessageID
        response.AffectedSOPClassUID = message.RequestedSOPClassUID
        response.AffectedSOPInstanceUID = message.RequestedSOPInstanceUID
        response.ActionTypeID = message.ActionTypeID
        response.Status = status
        association.dimse.send_msg(response, context.context_id)
        if made is not None:
            taken = _stays(association) and _report(association, made)
            self._loop.wait((self._commitment.delivered if taken else self._commitment.undelivered)(made))

    def reported(self, association: DoorAssociation, message: Any, context: PresentationContext) -> None:  # noqa: ANN401 - pynetdicom's
        """Answer an N-EVENT-REPORT of a partner."""
        try:
            if message.EventTypeID not in {_COMPLETE, _FAILURES}:
                status = _NO_SUCH_EVENT
            else:
                caller = self._loop.wait(self._known_as(association.peer, association.address))
                said = outcome(_read(message.EventInformation, context))
                asked = self._loop.wait(self._commitment.report(caller, *said))
                status = _SUCCESS if asked else _FAILED
        except Refusal as refusal:
            status = _STATUS.get(refusal.category, _FAILED)
        response = type(message)()
        response.MessageIDBeingRespondedTo = message.MessageID
        response.AffectedSOPClassUID = message.AffectedSOPClassUID
        response.AffectedSOPInstanceUID = message.AffectedSOPInstanceUID
        response.EventTypeID = message.EventTypeID
        response.Status = status
        association.dimse.send_msg(response, context.context_id)

    async def run(self) -> None:
        """Deliver reports that are due, until cancelled."""
        while True:
            try:
                commitment = await self._commitment.due()
                if commitment is None:
                    await asyncio.sleep(_POLL)
                    continue
                peer = await self._partners.by_id(commitment.peer)
                if peer is not None and await asyncio.to_thread(self._deliver, commitment, peer):
                    await self._commitment.delivered(commitment)
                elif not await self._commitment.undelivered(commitment):
                    self._log.warning("commitment not reported", peer=commitment.peer)
            except Refusal as refusal:
                self._log.warning("commitments deferred", code=refusal.issues[0].code)
                await asyncio.sleep(_POLL)

    def _deliver(self, commitment: Commitment, peer: Partner) -> bool:
        roles = [build_role(PUSH_MODEL, scu_role=False, scp_role=True)]
        association = self._requestor.associate(peer, [build_context(PUSH_MODEL)], roles)
        if association is None:
            return False
        try:
            return _report(association, commitment)
        finally:
            if association.is_established:
                association.release()


def outcome(information: Dataset) -> tuple[str, list[str], dict[str, int]]:
    """Transaction UID of a report, what is committed, and what failed with which reason.

    Raises:
        InvalidRequest: It cannot be read.
    """
    try:
        committed = [str(one.ReferencedSOPInstanceUID) for one in information.get("ReferencedSOPSequence") or ()]
        failed = {
            str(one.ReferencedSOPInstanceUID): int(one.get("FailureReason") or _FAILED)
            for one in information.get("FailedSOPSequence") or ()
        }
        return str(information.get("TransactionUID") or ""), committed, failed
    except Exception as error:  # pydicom raises whatever a stranger's bytes make it
        raise InvalidRequest("the report cannot be read", code="structure") from error


def _asked(encoded: Any, context: PresentationContext) -> tuple[str, list[Reference]]:  # noqa: ANN401 - pynetdicom's
    """Transaction UID and references of a request.

    Raises:
        InvalidRequest: It cannot be read.
    """
    information = _read(encoded, context)
    try:
        return str(information.get("TransactionUID") or ""), [
            (str(one.get("ReferencedSOPClassUID") or ""), str(one.get("ReferencedSOPInstanceUID") or ""))
            for one in information.get("ReferencedSOPSequence") or ()
        ]
    except Exception as error:  # pydicom raises whatever a stranger's bytes make it
        raise InvalidRequest("the request cannot be read", code="structure") from error


def _read(encoded: Any, context: Any) -> Dataset:  # noqa: ANN401 - pynetdicom's
    syntax = context.transfer_syntax[0]
    try:
        found: Dataset = decode(encoded, syntax.is_implicit_VR, syntax.is_little_endian)
    except Exception as error:  # pydicom raises whatever a stranger's bytes make it
        raise InvalidRequest("the data set cannot be read", code="structure") from error
    return found


def _stays(association: DoorAssociation) -> bool:
    """Whether the peer waits on its association, rather than to leave it or to ask for more."""
    deadline = time.monotonic() + _LINGER
    while time.monotonic() < deadline and association.is_established:
        association.dul.pump(_SLICE)
        if association.dul.peek_next_pdu() is not None or not association.dimse.msg_queue.empty():
            return False
    return bool(association.is_established)


def _report(association: Any, commitment: Commitment) -> bool:  # noqa: ANN401 - pynetdicom's
    """Send the report; whether the peer took it."""
    information = Dataset()
    information.TransactionUID = commitment.transaction
    information.ReferencedSOPSequence = [referenced(sop_class, uid) for sop_class, uid in commitment.committed]
    if commitment.failed:
        information.FailedSOPSequence = [referenced(*one) for one in commitment.failed]
    event = _FAILURES if commitment.failed else _COMPLETE
    try:
        status, _ = association.send_n_event_report(information, event, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    except (ValueError, RuntimeError):
        return False
    return bool(status.get("Status") == _SUCCESS)


def referenced(sop_class: str, uid: str, reason: int | None = None) -> Dataset:
    """An item of a sequence of references, with the reason why it failed."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
    if reason is not None:
        item.FailureReason = reason
    return item
