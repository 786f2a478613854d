"""Transaction Bundles that are large enough for the processes of the models."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hayat_fhir.app import Site
from hayat_fhir.errors import InvalidRequest
from hayat_fhir.model_process import FEWEST
from hayat_fhir.security.callers import Caller, Role

_CALLER = Caller(Role.SITE, "test")
_COUNT = 3 * FEWEST
_SOON = 20


def _observation(**values: object) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "valueString": "a", **values}


async def test_large_bundle(site: Site) -> None:
    """The entry that does not fit its model is named and nothing is stored, whichever process found it."""
    entries = [{"resource": _observation(), "request": {"method": "POST", "url": "Observation"}} for _ in range(_COUNT)]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    bad = {**bundle, "entry": [*entries]}
    bad["entry"][100] = {**entries[100], "resource": _observation(valueInteger=1)}
    worse = {**bad, "entry": [*bad["entry"]]}
    worse["entry"][150] = {**entries[150], "resource": _observation(status="none")}
    for _ in range(_SOON):
        for wrong in (bad, worse):
            with pytest.raises(InvalidRequest) as refusal:
                await site.bundles.process(_CALLER, wrong)
            assert refusal.value.issues[0].expression[0] == "Bundle.entry[100]"
        await asyncio.sleep(0.3)
    assert await site.database.collection("Observation").count_documents({}) == 0
    stored = await site.bundles.process(_CALLER, bundle)
    assert {entry["response"]["status"] for entry in stored["entry"]} == {"201"}
    assert await site.database.collection("Observation").count_documents({}) == _COUNT
