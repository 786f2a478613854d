"""Verification (C-ECHO): a peer learns that the door answers, and this site that a partner's does. PS3.4 annex A."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pynetdicom import build_context, evt
from pynetdicom.sop_class import Verification

from hayat_fhir.dimse.requestor import Requestor
from hayat_fhir.dimse.service import Service, contexts
from hayat_fhir.errors import Unavailable, Unprocessable
from hayat_fhir.store.partners import Partner

_SUCCESS = 0x0000
_ANSWER_PATIENCE = 10.0


def verification(conformance: Mapping[str, Any]) -> Service:
    """The service; ``conformance`` is conformance/dicom.json."""
    return Service(contexts(conformance, "verification"), {evt.EVT_C_ECHO: lambda event, peer: _SUCCESS})


class PartnerVerification:
    """Asks partners' DICOM ports whether they answer."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    async def echo(self, partner: Partner) -> None:
        """Return if the partner answers C-ECHO.

        Raises:
            Unavailable: Nothing takes a connection there, or no answer comes.
            Unprocessable: It fails at TLS, refuses the association, or C-ECHO; the DIMSE status is in the issue.
        """
        await asyncio.to_thread(self._echo, partner)

    def _echo(self, partner: Partner) -> None:
        association = self._requestor.association(partner, [build_context(Verification)])
        try:
            association.dimse_timeout = _ANSWER_PATIENCE
            status = association.send_c_echo().get("Status")
        finally:
            association.release()
        if status is None:
            raise Unavailable("no answer to C-ECHO came")
        if status != _SUCCESS:
            raise Unprocessable(f"C-ECHO was answered with 0x{status:04X}")
