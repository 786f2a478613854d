"""``Patient/$sharing``: which partner hospital may see what of a patient, and by which Consent."""

from __future__ import annotations

from typing import Any

from hayat_fhir.rest.messages import Answer, Request
from hayat_fhir.services.consents import Sharing, Standing

_TYPES = "http://hl7.org/fhir/resource-types"


class PatientSharing:
    """Handler of ``/fhir/Patient/{id}/$sharing``."""

    def __init__(self, sharing: Sharing) -> None:
        self._sharing = sharing

    async def state(self, request: Request) -> Answer:
        """GET: a Parameters resource with one ``partner`` for each registered hospital."""
        request.only()
        standings = await self._sharing.of(request.caller, request.names["id"])
        return request.answer(
            200, {"resourceType": "Parameters", "parameter": [_partner(standing) for standing in standings]}
        )


def _partner(standing: Standing) -> dict[str, Any]:
    """``decision``: permit or deny; ``basis``: consent, share or none; ``class``: all that is permitted, if not all."""
    said = standing.terms
    basis = "consent" if said is not None else "share" if standing.shared else "none"
    organization = {"reference": f"Organization/{standing.partner.id}", "display": standing.partner.name}
    part: list[dict[str, Any]] = [
        {"name": "organization", "valueReference": organization},
        {"name": "decision", "valueCode": "permit" if standing.permitted else "deny"},
        {"name": "basis", "valueCode": basis},
    ]
    if said is not None and standing.permitted:
        only = sorted((said.only or frozenset()) - said.but)
        part += [{"name": "class", "valueCoding": {"system": _TYPES, "code": code}} for code in only]
        part += [{"name": "except", "valueCoding": {"system": _TYPES, "code": code}} for code in sorted(said.but)]
    part += [
        {"name": "consent", "valueReference": {"reference": f"{consent.reference}/_history/{consent.version}"}}
        for consent in standing.consents
    ]
    return {"name": "partner", "part": part}
