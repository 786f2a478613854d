"""Sending images as SCU: the bytes as they were received, in the transfer syntax in which they were received.

PS3.4 annex B.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pynetdicom import build_context
from pynetdicom.presentation import PresentationContext

from hayat_fhir.dimse.requestor import Requested, Requestor
from hayat_fhir.dimse.suboperations import SUCCESS, WARNINGS, Outgoing, StoreUser
from hayat_fhir.dimse.transcoding import TARGETS
from hayat_fhir.errors import Unavailable, Unprocessable
from hayat_fhir.store.partners import Partner

_OUT_OF_RESOURCES = range(0xA700, 0xA800)
_MOST_CONTEXTS = 128
NOT_TAKEN = 0x0122
"""What stands for the status of an image of which the partner takes no form: SOP class not supported."""
Report = Callable[[Outgoing, int], None]
"""Hears of each image and the status with which it was answered."""


def was_taken(status: int) -> bool:
    """Whether this status of a C-STORE says that the image is stored."""
    return status == SUCCESS or status in WARNINGS


def send(
    images: Sequence[Outgoing], partner: Partner, requestor: Requestor, before: Callable[[], None], report: Report
) -> None:
    """Send all images, over one association for each 128 presentation contexts; one that is refused stops no other.

    ``before`` is called before each image, and ends it all by what it raises.

    Raises:
        Unavailable: The partner cannot be reached, or is short of resources: try again.
        Refusal: From ``before``.
    """
    short: int | None = None
    for batch, offered in batches(images):
        association = _association(partner, offered, requestor)
        try:
            with StoreUser(association) as user:
                for image in batch:
                    before()
                    status = _status(user, image)
                    if status in _OUT_OF_RESOURCES:
                        short = status
                    else:
                        report(image, status)
        finally:
            if association.is_established:
                association.release()
    if short is not None:
        raise Unavailable(f"the partner's DICOM port answered 0x{short:04X}")


def _association(partner: Partner, offered: Sequence[PresentationContext], requestor: Requestor) -> Requested:
    """An association; that it is refused may change as well."""
    try:
        return requestor.association(partner, offered)
    except Unprocessable as refusal:
        raise Unavailable(refusal.issues[0].diagnostics) from refusal


def _status(user: StoreUser, image: Outgoing) -> int:
    try:
        return user.send(image)
    except Unprocessable:
        return NOT_TAKEN


def batches(images: Sequence[Outgoing]) -> list[tuple[list[Outgoing], list[PresentationContext]]]:
    """The images by associations, each with the contexts to ask for: the stored syntax, and what all peers speak."""
    by_class: dict[str, list[Outgoing]] = {}
    for image in images:
        by_class.setdefault(image.sop_class, []).append(image)
    made: list[tuple[list[Outgoing], list[PresentationContext]]] = [([], [])]
    for sop_class, members in by_class.items():
        stored = {image.transfer_syntax for image in members}
        offered = [build_context(sop_class, [syntax]) for syntax in sorted(stored)]
        offered += [build_context(sop_class, [syntax]) for syntax in TARGETS if syntax not in stored]
        if len(made[-1][1]) + len(offered) > _MOST_CONTEXTS:
            made.append(([], []))
        made[-1][0].extend(members)
        made[-1][1].extend(offered)
    return [(batch, offered) for batch, offered in made if batch]
