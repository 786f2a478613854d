"""Proof that a partner has what it was sent: it vouches for it by storage commitment, or it is read back.

PS3.4 annex J (storage commitment) and C.4.3 (C-GET).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from threading import Event
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import build_context, build_role, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet

from hayat_fhir.dimse.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE, REQUEST, outcome, referenced
from hayat_fhir.dimse.requestor import Requestor
from hayat_fhir.errors import Refusal
from hayat_fhir.store.commitments import Reference
from hayat_fhir.store.partners import Partner

_SUCCESS, _PROCESSING_FAILURE = 0x0000, 0x0110
_STAY = 15.0
"""Seconds for which the association stays, for the partner to answer there."""
_TICK = 0.1
_MOST_CONTEXTS = 120
Heard = Callable[[str, list[str], dict[str, int]], bool]
"""Takes a report: transaction, what is committed, what failed and why; whether it was asked for."""


def new_transaction() -> str:
    """A Transaction UID."""
    return str(generate_uid())


def ask(
    partner: Partner,
    requestor: Requestor,
    transaction: str,
    references: Sequence[Reference],
    heard: Heard,
    answered: Callable[[], bool],
) -> bool:
    """Ask a partner to vouch for these instances, and stay for its answer a while; False where it does not do that.

    ``heard`` takes the report if it comes over the same association; ``answered`` tells whether it has come at all.
    """
    report = _Report(heard)
    handlers = [(evt.EVT_N_EVENT_REPORT, report.take), (evt.EVT_PDU_SENT, report.sent)]
    association = requestor.associate(partner, [build_context(PUSH_MODEL)], handlers=handlers)
    if association is None:
        return False
    try:
        information = Dataset()
        information.TransactionUID = transaction
        information.ReferencedSOPSequence = [referenced(*one) for one in references]
        status, _ = association.send_n_action(information, REQUEST, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        if status.get("Status") != _SUCCESS:
            return False
        deadline = time.monotonic() + _STAY
        while association.is_established and time.monotonic() < deadline:
            if (answered() and not report.begun) or report.acknowledged.wait(_TICK):
                break
        return True
    finally:
        if association.is_established:
            association.release()


class _Report:
    """A report over the association on which it was asked for, which may not end before the report is acknowledged.

    A release between the report and its response would leave the partner without one: it would report again.
    """

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._taken = False
        self.begun = False
        self.acknowledged = Event()

    def take(self, event: Any) -> tuple[int, None]:  # noqa: ANN401 - pynetdicom's
        """Answer the report."""
        self.begun = True
        try:
            asked = self._heard(*outcome(event.event_information))
        except Refusal:
            asked = False
        self._taken = True
        return _SUCCESS if asked else _PROCESSING_FAILURE, None

    def sent(self, _: Any) -> None:  # noqa: ANN401 - pynetdicom's
        """A PDU has gone out; the first one after the report is its response."""
        if self._taken:
            self.acknowledged.set()


@dataclass(frozen=True, slots=True)
class Wanted:
    """One image to read back: where it is in its study, and how it was sent."""

    study: str
    series: str
    uid: str
    sop_class: str
    transfer_syntax: str


def read_back(partner: Partner, requestor: Requestor, images: Sequence[Wanted]) -> dict[str, str]:
    """The SHA-256 of the data sets of those images that the partner gives back, in the syntax in which they went."""
    digests: dict[str, str] = {}
    sent = {image.uid: image.transfer_syntax for image in images}

    def take(event: Any) -> int:  # noqa: ANN401 - pynetdicom's
        uid = str(event.request.AffectedSOPInstanceUID)
        if str(event.context.transfer_syntax) == sent.get(uid):
            digests[uid] = sha256(event.request.DataSet.getbuffer()).hexdigest()
        return _SUCCESS

    kinds = sorted({(image.sop_class, image.transfer_syntax) for image in images})[:_MOST_CONTEXTS]
    offered = [build_context(StudyRootQueryRetrieveInformationModelGet)]
    offered += [build_context(sop_class, [syntax]) for sop_class, syntax in kinds]
    roles = [build_role(sop_class, scp_role=True) for sop_class in sorted({one for one, _ in kinds})]
    association = requestor.associate(partner, offered, roles, [(evt.EVT_C_STORE, take)])
    if association is None:
        return digests
    try:
        for (study, series), uids in _by_series(images).items():
            identifier = Dataset()
            identifier.QueryRetrieveLevel = "IMAGE"
            identifier.StudyInstanceUID, identifier.SeriesInstanceUID = study, series
            identifier.SOPInstanceUID = uids
            for _ in association.send_c_get(identifier, StudyRootQueryRetrieveInformationModelGet):
                pass
    except (ValueError, RuntimeError):  # the partner does not take C-GET, or is gone
        return digests
    finally:
        if association.is_established:
            association.release()
    return digests


def _by_series(images: Sequence[Wanted]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for image in images:
        found.setdefault((image.study, image.series), []).append(image.uid)
    return found
