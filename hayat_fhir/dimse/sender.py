"""Sending images as SCU: the bytes as they were received, in the transfer syntax in which they were received.

PS3.4 annex B.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pynetdicom import AE, _config, build_context

from hayat_fhir.errors import Unavailable, Unprocessable

_SUCCESS = 0x0000
_WARNINGS = frozenset({0xB000, 0xB006, 0xB007})
_OUT_OF_RESOURCES = range(0xA700, 0xA800)
_CONTEXTS = 128


@dataclass(frozen=True, slots=True)
class OutgoingImage:
    """One image to send: its file (PS3.10), and what to negotiate for it."""

    path: Path
    uid: str
    sop_class: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Destination:
    """A peer's DICOM port."""

    ae_title: str
    host: str
    port: int


def send(images: Sequence[OutgoingImage], destination: Destination, calling: str) -> int:
    """Send all images over one association (one for each 128 presentation contexts); how many were taken.

    Raises:
        Unavailable: The peer cannot be reached, or is short of resources: try again.
        Unprocessable: The peer refuses an image; its DIMSE status is in the issue.
    """
    _config.STORE_SEND_CHUNKED_DATASET = True
    _config.LOG_HANDLER_LEVEL = "none"
    contexts = sorted({(image.sop_class, image.transfer_syntax) for image in images})
    sent = 0
    for start in range(0, len(contexts), _CONTEXTS):
        batch = set(contexts[start : start + _CONTEXTS])
        wanted = [image for image in images if (image.sop_class, image.transfer_syntax) in batch]
        sent += _send(wanted, sorted(batch), destination, calling)
    return sent


def _send(
    images: Sequence[OutgoingImage], contexts: Sequence[tuple[str, str]], destination: Destination, calling: str
) -> int:
    ae = AE(ae_title=calling)
    ae.acse_timeout, ae.dimse_timeout, ae.network_timeout, ae.connection_timeout = 15, 60, 60, 5
    ae.requested_contexts = [build_context(sop_class, [syntax]) for sop_class, syntax in contexts]
    association = ae.associate(destination.host, destination.port, ae_title=destination.ae_title, max_pdu=0)
    if not association.is_established:
        if association.rejected_contexts and not association.accepted_contexts:
            raise Unprocessable("the partner accepts no kind of image that is to be sent")
        raise Unavailable("the partner's DICOM port cannot be reached, or rejects the association")
    try:
        for image in images:
            try:
                status = association.send_c_store(image.path)
            except ValueError as error:
                raise Unprocessable("the partner does not accept this kind of image") from error
            _check(status.get("Status") if status else None)
    finally:
        if association.is_established:
            association.release()
    return len(images)


def _check(status: int | None) -> None:
    if status is None:
        raise Unavailable("the partner's DICOM port did not answer")
    if status in _OUT_OF_RESOURCES:
        raise Unavailable(f"the partner's DICOM port answered 0x{status:04X}")
    if status != _SUCCESS and status not in _WARNINGS:
        raise Unprocessable(f"the partner's DICOM port answered 0x{status:04X}")
