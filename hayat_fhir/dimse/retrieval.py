"""Retrieval (C-MOVE, C-GET) as SCP: the original bytes, streamed from disk.

PS3.4 C.4.2 and C.4.3, https://dicom.nema.org/medical/dicom/current/output/html/part04.html#sect_C.4.2
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode, encode
from pynetdicom.presentation import PresentationContext

from hayat_fhir.dicom.information_model import Query
from hayat_fhir.dimse.association import DoorAssociation
from hayat_fhir.dimse.entitlement import Entitlement
from hayat_fhir.dimse.event_loop import EventLoop
from hayat_fhir.dimse.identifiers import received
from hayat_fhir.dimse.query import KnownAs, top_of
from hayat_fhir.dimse.requestor import Requestor
from hayat_fhir.dimse.sender import batches
from hayat_fhir.dimse.service import Service, contexts
from hayat_fhir.dimse.suboperations import Outgoing, StoreUser, Tally, sent
from hayat_fhir.errors import Category, Forbidden, NotFound, Refusal
from hayat_fhir.security.callers import Caller
from hayat_fhir.services.imaging_retrieval import Chosen, ImagingRetrieval
from hayat_fhir.store.partners import Partner, Partners

_PENDING, _CANCELLED, _SUCCESS, _WARNING = 0xFF00, 0xFE00, 0x0000, 0xB000
_NOT_MATCHED, _NOT_SENT, _DESTINATION_UNKNOWN = 0xA701, 0xA702, 0xA801
_STATUS = {
    Category.INVALID: 0xA900,
    Category.FORBIDDEN: 0x0124,
    Category.NOT_FOUND: _DESTINATION_UNKNOWN,
    Category.TOO_LARGE: _NOT_MATCHED,
    Category.UNAVAILABLE: _NOT_MATCHED,
}
_UNABLE = 0xC000
_LONGEST_COMMENT = 64
Message = Any
"""pynetdicom's ``C_GET`` or ``C_MOVE``."""


class RetrievalProvider:
    """Answers C-GET and C-MOVE; images may be moved to partners."""

    def __init__(
        self,
        retrieval: ImagingRetrieval,
        known_as: KnownAs,
        loop: EventLoop,
        partners: Partners,
        requestor: Requestor,
    ) -> None:
        self._retrieval = retrieval
        self._known_as = known_as
        self._loop = loop
        self._partners = partners
        self._requestor = requestor

    def services(self, conformance: Mapping[str, Any]) -> list[Service]:
        """The services; ``conformance`` is conformance/dicom.json."""
        return [
            Service(contexts(conformance, "get"), {}, requests={"C-GET": self.get}),
            Service(contexts(conformance, "move"), {}, requests={"C-MOVE": self.move}),
        ]

    def get(self, association: DoorAssociation, message: Message, context: PresentationContext) -> None:
        """Send what is asked for over the association that asks."""
        answer = _Answers(association, message, context)
        try:
            caller = self._caller(association.peer, association.address)
            chosen = self._loop.wait(self._retrieval.choose(caller, answer.query()))
            tally = Tally(len(chosen.images))
            with (
                self._sending(caller, chosen, (association.peer, association.address)) as entitlement,
                StoreUser(association) as user,
            ):
                cancelled = _send(user, _outgoing(chosen), tally, answer, entitlement)
            self._end(caller, chosen, tally, answer, cancelled=cancelled)
        except Refusal as refusal:
            answer.refuse(refusal)

    def move(self, association: DoorAssociation, message: Message, context: PresentationContext) -> None:
        """Send what is asked for to the destination that is named."""
        answer = _Answers(association, message, context)
        try:
            asked = answer.query()
            destination = self._loop.wait(self._partners.by_ae_title(str(message.MoveDestination or "").strip()))
            if destination is None or destination.host is None or destination.port is None or destination.disabled:
                raise NotFound("the move destination is not known", expression=["MoveDestination"])
            caller = self._caller(association.peer, association.address)
            receiver = self._caller(destination, destination.host)
            chosen = self._loop.wait(self._retrieval.choose(caller, asked, receiver))
            tally = Tally(len(chosen.images) + len(chosen.withheld))
            tally.fail(chosen.withheld)
            parties = (association.peer, association.address), (destination, destination.host)
            with self._sending(caller, chosen, *parties) as entitlement:
                cancelled = self._move(association, chosen, destination, tally, answer, entitlement)
            self._end(caller, chosen, tally, answer, cancelled=cancelled)
        except Refusal as refusal:
            answer.refuse(refusal)

    def _move(
        self,
        association: DoorAssociation,
        chosen: Chosen,
        destination: Partner,
        tally: Tally,
        answer: _Answers,
        entitlement: Entitlement,
    ) -> bool:
        """Send over as many associations as the kinds of images need; whether it was cancelled."""
        originator = (str(association.requestor.ae_title).strip(), int(answer.message_id))
        images = _outgoing(chosen)
        for batch, offered in batches(images):
            ours = self._requestor.associate(destination, offered)
            if ours is None:
                tally.fail(image.uid for image in batch)
                continue
            try:
                with StoreUser(ours, originator) as user:
                    if _send(user, batch, tally, answer, entitlement):
                        return True
            finally:
                if ours.is_established:
                    ours.release()
        return False

    def _end(self, caller: Caller, chosen: Chosen, tally: Tally, answer: _Answers, *, cancelled: bool) -> None:
        if chosen.images:
            complete = not tally.failed and not cancelled
            self._loop.wait(self._retrieval.done(caller, chosen, complete=complete))
        if cancelled:
            answer.give(_CANCELLED, tally)
        elif tally.failed and not tally.completed and not tally.warned:
            answer.give(_NOT_SENT, tally)
        else:
            answer.give(_WARNING if tally.failed or tally.warned else _SUCCESS, tally)

    @contextmanager
    def _sending(self, caller: Caller, chosen: Chosen, *parties: tuple[Partner, str]) -> Iterator[Entitlement]:
        """Sending images to or for these peers at these addresses; that a refusal ended it is on record."""
        try:
            yield Entitlement(self._loop, partial(self._still, chosen, *parties))
        except Refusal:
            self._loop.wait(self._retrieval.done(caller, chosen, complete=False))
            raise

    async def _still(self, chosen: Chosen, *parties: tuple[Partner, str]) -> None:
        for peer, address in parties:
            known = await self._partners.by_id(peer.id)
            if known is None or known.disabled:
                raise Forbidden("the peer has been shut out")
            await self._retrieval.still(chosen, await self._known_as(known, address))

    def _caller(self, peer: Partner, address: str) -> Caller:
        return self._loop.wait(self._known_as(peer, address))


class _Answers:
    """The responses to one request."""

    def __init__(self, association: DoorAssociation, message: Message, context: PresentationContext) -> None:
        self._association = association
        self._message = message
        self._context = context
        self.message_id = message.MessageID

    @property
    def is_cancelled(self) -> bool:
        """Whether the peer does not want the rest, or is gone."""
        return self.message_id in self._association.dimse.cancel_req or not self._association.is_established

    def query(self) -> Query:
        """What is asked for.

        Raises:
            InvalidRequest: It is no identifier of the model.
        """
        syntax = self._context.transfer_syntax[0]
        encoded = self._message.Identifier

        return received(
            lambda: decode(encoded, syntax.is_implicit_VR, syntax.is_little_endian),
            top_of(str(self._context.abstract_syntax)),
        )[0]

    def give(self, status: int, tally: Tally) -> None:
        """One response with the counts, and at the end with what failed."""
        response = self._response(status)
        if status in {_PENDING, _CANCELLED}:
            response.NumberOfRemainingSuboperations = tally.remaining
        response.NumberOfCompletedSuboperations = tally.completed
        response.NumberOfFailedSuboperations = len(tally.failed)
        response.NumberOfWarningSuboperations = tally.warned
        if status != _PENDING and status != _SUCCESS:
            failed = Dataset()
            failed.FailedSOPInstanceUIDList = tally.failed
            syntax = self._context.transfer_syntax[0]
            response.Identifier = BytesIO(encode(failed, syntax.is_implicit_VR, syntax.is_little_endian) or b"")
        self._send(response)

    def refuse(self, refusal: Refusal) -> None:
        """The only response."""
        response = self._response(_STATUS.get(refusal.category, _UNABLE))
        response.ErrorComment = refusal.issues[0].diagnostics[:_LONGEST_COMMENT]
        self._send(response)

    def _response(self, status: int) -> Message:
        response = type(self._message)()
        response.MessageIDBeingRespondedTo = self.message_id
        response.AffectedSOPClassUID = self._message.AffectedSOPClassUID
        response.Status = status
        return response

    def _send(self, response: Message) -> None:
        if self._association.is_established:
            self._association.dimse.send_msg(response, self._context.context_id)


def _outgoing(chosen: Chosen) -> list[Outgoing]:
    return [
        Outgoing(image.uid, image.sop_class, image.transfer_syntax, path, image.offset, image.size)
        for image, path in chosen.images
    ]


def _send(
    user: StoreUser, images: Iterable[Outgoing], tally: Tally, answer: _Answers, entitlement: Entitlement
) -> bool:
    """Send images, and tell of each; whether the peer cancelled.

    Raises:
        Refusal: They may not be sent any more.
    """
    for image in images:
        if answer.is_cancelled:
            return True
        entitlement.check()
        tally.count(image.uid, sent(user, image))
        if tally.remaining:
            answer.give(_PENDING, tally)
    return False
