"""What the tests of the door send: small valid resources, and one call that must succeed."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import httpx

SYSTEM = "urn:oid:2.16.840.1.113883.4.330.792"


def patient(family: str = "Canary", **elements: object) -> dict[str, Any]:
    """A Patient with an identifier of its own."""
    return {
        "resourceType": "Patient",
        "identifier": [{"system": SYSTEM, "value": uuid4().hex}],
        "name": [{"family": family}],
        "gender": "female",
        **elements,
    }


def practitioner(value: str) -> dict[str, Any]:
    """A Practitioner with this identifier."""
    return {
        "resourceType": "Practitioner",
        "identifier": [{"system": SYSTEM, "value": value}],
        "name": [{"family": "Canary"}],
    }


def observation(patient_id: str, value: str = "1.5", **elements: object) -> str:
    """A body weight, as JSON text, so that the digits of ``value`` stay."""
    resource = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": f"Patient/{patient_id}"},
        "effectiveDateTime": "2026-11-20",
        "valueQuantity": {"value": "@", "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
        **elements,
    }
    return json.dumps(resource).replace('"@"', value)


def transaction(*entries: dict[str, Any], type: str = "transaction") -> dict[str, Any]:
    """A Bundle of request entries."""
    return {"resourceType": "Bundle", "type": type, "entry": list(entries)}


def entry(method: str, url: str, resource: dict[str, Any] | None = None, **request: str) -> dict[str, Any]:
    """A request entry; a POST has a urn:uuid as its fullUrl."""
    row: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        row["resource"] = resource
    if method == "POST":
        row["fullUrl"] = f"urn:uuid:{uuid4()}"
    return row


async def post(client: httpx.AsyncClient, resource: dict[str, Any] | str) -> dict[str, Any]:
    """Create a resource; what the server stored."""
    text = resource if isinstance(resource, str) else json.dumps(resource)
    type = json.loads(text)["resourceType"]
    answer = await client.post(f"/{type}", content=text, headers={"Content-Type": "application/fhir+json"})
    assert answer.status_code == 201, answer.text
    stored: dict[str, Any] = answer.json()
    return stored


def issues(answer: httpx.Response) -> list[dict[str, Any]]:
    """The issues of an OperationOutcome."""
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome", body
    found: list[dict[str, Any]] = body["issue"]
    return found


def ids(bundle: dict[str, Any]) -> list[str]:
    """The ids of a Bundle's matches, in order."""
    return [
        row["resource"]["id"]
        for row in bundle.get("entry", ())
        if row.get("search", {}).get("mode", "match") == "match"
    ]


def link(bundle: dict[str, Any], relation: str) -> str | None:
    """The URL of a Bundle's link."""
    return next((row["url"] for row in bundle["link"] if row["relation"] == relation), None)
