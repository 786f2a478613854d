"""``ImagingStudy/{id}/$verify``: whether images and reports are those that their sender has vouched for."""

from __future__ import annotations

from typing import Any

from hayat_fhir.rest.messages import Answer, Request
from hayat_fhir.services.verification import Checked, Verdict, Verification


class StudyVerification:
    """Handler of ``/fhir/ImagingStudy/{id}/$verify``."""

    def __init__(self, verification: Verification) -> None:
        self._verification = verification

    async def verify(self, request: Request) -> Answer:
        """GET: a Parameters resource with ``verified``, one ``manifest`` for each, and the ``unsigned`` instances."""
        request.only()
        verdict = await self._verification.verify(request.caller, request.names["id"])
        return request.answer(200, _parameters(verdict))


def _parameters(verdict: Verdict) -> dict[str, Any]:
    """``signature``: good, bad or unknown; ``result`` of an instance or a resource: verified, altered or missing."""
    parameters: list[dict[str, Any]] = [{"name": "verified", "valueBoolean": verdict.verified}]
    parameters += [{"name": "manifest", "part": _manifest(one)} for one in verdict.manifests]
    parameters += [{"name": "unsigned", "valueOid": f"urn:oid:{uid}"} for uid in verdict.unsigned]
    return {"resourceType": "Parameters", "parameter": parameters}


def _manifest(one: Checked) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [
        {"name": "signer", "valueUri": one.signer},
        {"name": "signature", "valueCode": str(one.signature)},
        {"name": "recorded", "valueInstant": one.when},
    ]
    for uid, result in one.instances.items():
        told = [{"name": "uid", "valueOid": f"urn:oid:{uid}"}, {"name": "result", "valueCode": str(result)}]
        parts.append({"name": "instance", "part": told})
    for reference, result in one.resources.items():
        resource = {"name": "reference", "valueReference": {"reference": reference}}
        parts.append({"name": "resource", "part": [resource, {"name": "result", "valueCode": str(result)}]})
    return parts
