"""Modality performed procedure step (N-CREATE, N-SET) as SCP.

PS3.4 F.7, https://dicom.nema.org/medical/dicom/current/output/html/part04.html#sect_F.7
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from pynetdicom.dsutils import decode
from pynetdicom.presentation import PresentationContext

from hayat_fhir.dimse.association import DoorAssociation
from hayat_fhir.dimse.event_loop import EventLoop
from hayat_fhir.dimse.query import KnownAs
from hayat_fhir.dimse.service import Service, contexts
from hayat_fhir.errors import Category, InvalidRequest, Refusal
from hayat_fhir.services.procedure_steps import ProcedureRecords
from hayat_fhir.store.procedure_steps import Attributes

_SUCCESS, _FAILED = 0x0000, 0x0110
_STATUS = {
    Category.INVALID: 0x0106,
    Category.NOT_FOUND: 0x0112,
    Category.CONFLICT: 0x0111,
    Category.FORBIDDEN: 0x0124,
    Category.TOO_LARGE: 0x0213,
    Category.UNAVAILABLE: 0x0213,
}
_MISSING = 0x0120
_OVER = 0xA710
"""Error ID: the step may no longer be updated (PS3.4 F.7.2.2.2)."""


class ProcedureStepProvider:
    """Takes what modalities say of their steps."""

    def __init__(self, records: ProcedureRecords, known_as: KnownAs, loop: EventLoop) -> None:
        self._records = records
        self._known_as = known_as
        self._loop = loop

    def service(self, conformance: Mapping[str, Any]) -> Service:
        """The service; ``conformance`` is conformance/dicom.json."""
        return Service(contexts(conformance, "mpps"), {}, requests={"N-CREATE": self.create, "N-SET": self.set})

    def create(self, association: DoorAssociation, message: Any, context: PresentationContext) -> None:  # noqa: ANN401 - pynetdicom's
        """Answer an N-CREATE."""
        uid = str(message.AffectedSOPInstanceUID or "")
        response = _response(message, message.AffectedSOPClassUID, uid)
        try:
            caller = self._loop.wait(self._known_as(association.peer, association.address))
            self._loop.wait(self._records.create(caller, uid, _read(message.AttributeList, context)))
        except Refusal as refusal:
            _refuse(response, refusal)
        association.dimse.send_msg(response, context.context_id)

    def set(self, association: DoorAssociation, message: Any, context: PresentationContext) -> None:  # noqa: ANN401 - pynetdicom's
        """Answer an N-SET."""
        uid = str(message.RequestedSOPInstanceUID or "")
        response = _response(message, message.RequestedSOPClassUID, uid)
        try:
            caller = self._loop.wait(self._known_as(association.peer, association.address))
            self._loop.wait(self._records.set(caller, uid, _read(message.ModificationList, context)))
        except Refusal as refusal:
            _refuse(response, refusal)
        association.dimse.send_msg(response, context.context_id)


def _response(message: Any, sop_class: str, uid: str) -> Any:  # noqa: ANN401 - pynetdicom's
    response = type(message)()
    response.MessageIDBeingRespondedTo = message.MessageID
    response.AffectedSOPClassUID = sop_class
    if uid:
        response.AffectedSOPInstanceUID = uid
    response.Status = _SUCCESS
    return response


def _refuse(response: Any, refusal: Refusal) -> None:  # noqa: ANN401 - pynetdicom's
    response.Status = _STATUS.get(refusal.category, _FAILED)
    if refusal.issues[0].code == "required":
        response.Status = _MISSING
    if refusal.category is Category.UNPROCESSABLE:
        response.ErrorID = _OVER
    response.ErrorComment = refusal.issues[0].diagnostics[:64]


def _read(encoded: Any, context: PresentationContext) -> Attributes:  # noqa: ANN401 - pynetdicom's
    """The attributes as DICOM JSON.

    Raises:
        InvalidRequest: They cannot be read.
    """
    syntax = context.transfer_syntax[0]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = decode(encoded, syntax.is_implicit_VR, syntax.is_little_endian)
            dataset.decode()
            found: Attributes = dataset.to_json_dict(suppress_invalid_tags=True)
    except Exception as error:  # pydicom raises whatever a stranger's bytes make it
        raise InvalidRequest("the attributes cannot be read", code="structure") from error
    return found
