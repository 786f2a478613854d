"""``/fhir/Organization/$partners`` and what belongs to it: partner hospitals, for the staff.

Each partner is a Parameters resource: what is registered beside its Organization and Endpoint, keys by name only, and
the certificate of its DICOM port by its SHA-256; that can be given in PEM as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hayat_fhir.errors import InvalidRequest, Refusal
from hayat_fhir.fhir.json import parse
from hayat_fhir.rest.messages import Answer, Pairs, Request
from hayat_fhir.rest.operations import operation_parameters
from hayat_fhir.rest.routes import Action, Route
from hayat_fhir.security.certificates import certificate_digest
from hayat_fhir.services.partner_details import PartnerDetails
from hayat_fhir.services.partnership import Partnership, Tried
from hayat_fhir.store.partners import Partner

_FIELDS = {
    "name": "name",
    "fhir-url": "fhir_url",
    "client-id": "client_id",
    "jwks": "jwks",
    "jwks-url": "jwks_url",
    "ae-title": "ae_title",
    "host": "host",
    "port": "port",
    "tls": "tls",
    "certificate": "certificate",
    "patient-id-system": "patient_id_system",
}
"""Parameters to fields of PartnerDetails."""
_FIXED = frozenset({"name", "client-id"})
"""What is said once, when the partner is registered."""
_KEYS = {"jwks", "jwks-url", "revoke-keys"}
_LONGEST = 2048
_LONGEST_CERTIFICATE = 64 * 1024
_JWKS_BYTES = 64 * 1024
_MOST_PORTS = 65535


class PartnerOperations:
    """Handlers of the operations on partners."""

    def __init__(self, partnership: Partnership) -> None:
        self._partnership = partnership

    def routes(self) -> list[Route]:
        """Where they are; they go before the routes of types."""
        listed = Action("$partners", self.list), Action("$partners", self.register)
        return [
            Route("Organization/$partners", {"GET": listed[0], "POST": listed[1]}),
            Route("Organization/{id}/$partner", {"POST": Action("$partner", self.change)}),
            Route("Organization/{id}/$test-connection", {"POST": Action("$test-connection", self.test)}),
        ]

    async def list(self, request: Request) -> Answer:
        """GET: all partners, by name."""
        request.only()
        partners = await self._partnership.list(request.caller)
        entries = [{"resource": shown(partner)} for partner in partners]
        return request.answer(200, {"resourceType": "Bundle", "type": "collection", "entry": entries})

    async def register(self, request: Request) -> Answer:
        """POST ``name`` and what else is known of the partner: 201, and the partner as it is registered."""
        given = await operation_parameters(request)
        scopes = tuple(value for name, value in given if name == "scope")
        found = _fields([pair for pair in given if pair[0] != "scope"], {*_FIELDS})
        if not found.get("name"):
            raise InvalidRequest("a partner needs a name", code="required", expression=["name"])
        if scopes:
            found["scopes"] = scopes
        return request.answer(201, shown(await self._partnership.register(request.caller, PartnerDetails(**found))))

    async def change(self, request: Request) -> Answer:
        """POST what is to be changed; ``disabled``, or ``revoke-keys``: the partner as it is then."""
        given = await operation_parameters(request)
        switches = {name: _switch(value, name) for name, value in given if name in {"disabled", "revoke-keys"}}
        changes = _fields([pair for pair in given if pair[0] not in switches], _FIELDS.keys() - _FIXED)
        if sum(name in _KEYS for name, _ in given) > 1:
            raise InvalidRequest("give one of jwks, jwks-url and revoke-keys", code="value")
        if switches.get("revoke-keys") or {"jwks", "jwks_url"} & changes.keys():
            changes = {"jwks": None, "jwks_url": None, **changes}
        partner = await self._partnership.change(
            request.caller, request.names["id"], changes, disabled=switches.get("disabled")
        )
        return request.answer(200, shown(partner))

    async def test(self, request: Request) -> Answer:
        """POST: what became of trying the partner's doors."""
        _fields(await operation_parameters(request), set())
        tried = await self._partnership.test(request.caller, request.names["id"])
        return request.answer(200, {"resourceType": "Parameters", "parameter": [_trial(one) for one in tried]})


def shown(partner: Partner) -> dict[str, Any]:
    """A partner as Parameters; of its keys the names and algorithms."""
    values: list[tuple[str, str, Any]] = [
        ("client-id", "valueString", partner.client_id),
        ("fhir-url", "valueUrl", partner.fhir_url),
        ("jwks-url", "valueUrl", partner.jwks_url),
        ("ae-title", "valueString", partner.ae_title),
        ("host", "valueString", partner.host),
        ("port", "valueInteger", partner.port),
        ("tls", "valueBoolean", partner.tls if partner.ae_title else None),
        ("certificate", "valueString", partner.certificate),
        ("patient-id-system", "valueUri", partner.patient_id_system),
        *(("scope", "valueString", scope) for scope in partner.scopes),
        *(("key", "valueString", name) for name in _key_names(partner)),
        ("disabled", "valueBoolean", partner.disabled),
    ]
    organization = {"reference": f"Organization/{partner.id}", "display": partner.name}
    parameters: list[dict[str, Any]] = [{"name": "organization", "valueReference": organization}]
    parameters += [{"name": name, type: value} for name, type, value in values if value is not None]
    return {"resourceType": "Parameters", "id": partner.id, "parameter": parameters}


def _key_names(partner: Partner) -> Sequence[str]:
    rows = (partner.jwks or {}).get("keys", [])
    return [f"{row['kid']} ({row.get('kty', '')})" for row in rows if isinstance(row, dict) and row.get("kid")]


def _trial(tried: Tried) -> dict[str, Any]:
    part = [{"name": "outcome", "valueCode": tried.outcome}]
    if tried.detail:
        part.append({"name": "detail", "valueString": tried.detail})
    return {"name": tried.door, "part": part}


def _fields(given: Pairs, names: set[str]) -> dict[str, Any]:
    """Parameters, each at most once, as fields of PartnerDetails; an empty one takes a detail away."""
    found: dict[str, Any] = {}
    for name, value in given:
        if name not in names or _FIELDS[name] in found:
            raise InvalidRequest(f"the parameters are {', '.join(sorted(names)) or 'none'}, each once", code="value")
        found[_FIELDS[name]] = _value(name, value) if value or name == "tls" else None
    return found


def _value(name: str, value: str) -> Any:  # noqa: ANN401 - as the field is
    if name == "jwks":
        try:
            return parse(value.encode(), limit=_JWKS_BYTES)
        except Refusal as refusal:
            raise InvalidRequest("jwks is not JSON", code="structure", expression=["jwks"]) from refusal
    if name == "certificate" and len(value) <= _LONGEST_CERTIFICATE:
        return certificate_digest(value)
    if len(value) > _LONGEST:
        raise InvalidRequest(f"a detail has at most {_LONGEST} characters", code="too-long", expression=[name])
    if name == "port":
        if not (value.isascii() and value.isdecimal()) or not 1 <= int(value[:6]) <= _MOST_PORTS:
            raise InvalidRequest("a port is a number from 1 to 65535", code="value", expression=["port"])
        return int(value)
    if name == "tls":
        return _switch(value, name)
    return value


def _switch(value: str, name: str) -> bool:
    if value not in {"true", "false"}:
        raise InvalidRequest("this is true or false", code="value", expression=[name])
    return value == "true"
