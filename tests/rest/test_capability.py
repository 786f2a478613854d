"""The CapabilityStatement and SMART configuration against what the door really does."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from hayat_fhir.errors import ConfigurationError, Forbidden, MethodNotAllowed
from hayat_fhir.rest.capability import check_promise
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.security.scopes import EVERYTHING

from .clients import patient, post

_FILE = Path(__file__).parents[2] / "conformance" / "capability.json"


@pytest.fixture
def promise() -> dict[str, Any]:
    """conformance/capability.json."""
    loaded: dict[str, Any] = json.loads(_FILE.read_text())
    return loaded


@pytest.fixture
async def statement(anonymous: httpx.AsyncClient) -> dict[str, Any]:
    """What the site answers at /fhir/metadata, without a token."""
    answer = await anonymous.get("/fhir/metadata")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/fhir+json"
    body: dict[str, Any] = answer.json()
    return body


async def test_the_statement_says_what_was_promised(
    statement: dict[str, Any], promise: dict[str, Any], base_url: str
) -> None:
    """Version, formats, base URL, date, and all R4 types but those that hold nothing."""
    assert statement["fhirVersion"] == "4.0.1"
    assert statement["implementation"]["url"] == base_url
    assert statement["date"] == promise["date"]
    rows = {row["type"]: row for row in statement["rest"][0]["resource"]}
    assert {"Patient", "Observation", "ImagingStudy", "AuditEvent"} <= rows.keys()
    codes = [row["code"] for row in rows["Patient"]["interaction"]]
    assert codes == promise["rest"]["resource"]["interaction"]
    assert {operation["name"] for operation in rows["Patient"]["operation"]} == {
        "break-glass",
        "everything",
        "fetch",
        "origins",
        "share",
        "sharing",
    }


async def test_the_statement_is_valid_fhir(statement: dict[str, Any], anonymous: httpx.AsyncClient) -> None:
    """It is a CapabilityStatement, and stays the same."""
    from hayat_fhir.definitions import load
    from hayat_fhir.fhir.validation import Validator

    tables = load()
    Validator(tables.elements, tables.bindings, tables.resource_types).validate(statement, type="CapabilityStatement")
    assert (await anonymous.get("/fhir/metadata")).json() == statement


def test_a_promise_that_is_not_kept_stops_the_start(promise: dict[str, Any]) -> None:
    """An interaction without a route is found out."""
    with pytest.raises(ConfigurationError, match="transaction"):
        check_promise(promise, [])


async def test_every_promised_parameter_is_understood(statement: dict[str, Any], doctor: httpx.AsyncClient) -> None:
    """:missing of each parameter of some types searches without an error."""
    rows = {row["type"]: row for row in statement["rest"][0]["resource"]}
    for type in ("Patient", "Observation", "DiagnosticReport", "ImagingStudy", "Encounter", "Practitioner"):
        for parameter in rows[type]["searchParam"]:
            if parameter["name"].startswith("_") or parameter["type"] == "composite":
                continue
            answer = await doctor.get(f"/{type}?{parameter['name']}:missing=true&_count=1")
            assert answer.status_code == 200, f"{type} {parameter['name']} {answer.text}"


async def test_every_promised_include_is_understood(statement: dict[str, Any], doctor: httpx.AsyncClient) -> None:
    """The includes and reverse includes of DiagnosticReport."""
    row = next(r for r in statement["rest"][0]["resource"] if r["type"] == "DiagnosticReport")
    for name, values in (("_include", row["searchInclude"]), ("_revinclude", row["searchRevInclude"])):
        for value in values:
            answer = await doctor.get(f"/DiagnosticReport?_count=1&{name}={value}")
            assert answer.status_code == 200, f"{name}={value} {answer.text}"


async def test_every_promised_interaction_is_there(
    statement: dict[str, Any], doctor: httpx.AsyncClient, staff: httpx.AsyncClient
) -> None:
    """Each code of a type is answered by something other than 404 or 405."""
    stored = await post(staff, patient())
    path = f"/Patient/{stored['id']}"
    calls = {
        "create": ("POST", "/Patient", patient()),
        "read": ("GET", path, None),
        "vread": ("GET", f"{path}/_history/1", None),
        "history-instance": ("GET", f"{path}/_history", None),
        "history-type": ("GET", "/Patient/_history?_count=1", None),
        "search-type": ("GET", "/Patient?_count=1", None),
        "update": ("PUT", path, {**stored, "birthDate": "1990-01-01"}),
        "patch": ("PATCH", path, [{"op": "add", "path": "/language", "value": "en"}]),
        "delete": ("DELETE", path, None),
    }
    row = next(r for r in statement["rest"][0]["resource"] if r["type"] == "Patient")
    assert {interaction["code"] for interaction in row["interaction"]} == calls.keys()
    for code, (method, url, body) in calls.items():
        headers = {"Content-Type": "application/json-patch+json" if code == "patch" else "application/fhir+json"}
        assert (await staff.request(method, url, json=body, headers=headers)).status_code < 300, code
    assert (await staff.get("/_history?_count=1")).status_code == 200
    of_system = {interaction["code"] for interaction in statement["rest"][0]["interaction"]}
    for bundle_type in of_system - {"history-system"}:
        answer = await doctor.post("/", json={"resourceType": "Bundle", "type": bundle_type})
        assert answer.status_code == 200, answer.text


async def test_smart_configuration(anonymous: httpx.AsyncClient, site_url: str) -> None:
    """Where and how a backend service signs in; the keys are there."""
    answer = await anonymous.get("/fhir/.well-known/smart-configuration")
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["token_endpoint"] == f"{site_url}/oauth/token"
    assert body["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert set(body["token_endpoint_auth_signing_alg_values_supported"]) == {"RS384", "ES384"}
    assert "client-confidential-asymmetric" in body["capabilities"]
    assert "plain" not in body["code_challenge_methods_supported"]
    keys = (await anonymous.get(body["jwks_uri"])).json()["keys"]
    assert keys
    assert all("d" not in key and key["kid"] for key in keys)


async def test_the_statement_and_the_policy_agree(statement: dict[str, Any]) -> None:
    """A type can be created through the door where, and only where, some role may create it."""
    for row in statement["rest"][0]["resource"]:
        promised = {"code": "create"} in row["interaction"]
        assert promised == any(_may_create(role, row["type"]) for role in Role if role is not Role.SITE), row["type"]


def _may_create(role: Role, type: str) -> bool:
    try:
        Policy().restriction(Caller(role, "x", scopes=EVERYTHING[role]), Interaction.CREATE, type)
    except (Forbidden, MethodNotAllowed):
        return False
    return True
