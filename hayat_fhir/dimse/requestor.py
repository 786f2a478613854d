"""Associations that this site asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pynetdicom import AE, _config
from pynetdicom.presentation import PresentationContext

from hayat_fhir.store.partners import Partner

Requested = Any
"""pynetdicom's ``Association``."""


def associate(
    partner: Partner,
    offered: Sequence[PresentationContext],
    calling: str,
    roles: Sequence[Any] = (),
    handlers: Sequence[tuple[Any, Any]] = (),
) -> Requested | None:
    """An association with a partner's DICOM port; None where it cannot be had.

    ``roles``: what this side asks to be beside SCU (PS3.7 D.3.3.4); ``handlers``: of pynetdicom's events.
    """
    if partner.ae_title is None or partner.host is None or partner.port is None or partner.disabled:
        return None
    _config.LOG_HANDLER_LEVEL = "none"
    ae = AE(ae_title=calling)
    ae.acse_timeout, ae.dimse_timeout, ae.network_timeout, ae.connection_timeout = 15, 60, 60, 5
    ae.requested_contexts = list(offered)
    association = ae.associate(
        partner.host,
        partner.port,
        ae_title=partner.ae_title,
        max_pdu=0,
        ext_neg=list(roles) or None,
        evt_handlers=list(handlers) or None,
    )
    return association if association.is_established else None
