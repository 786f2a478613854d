"""The OpenAPI description of the legacy routes, made from the mapping files that they run.

https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hayat_fhir.mapping.document import DocumentMapping, Field
from hayat_fhir.security.legacy_access import PEOPLE, RULES, Action, Entity

_TEXT = {"type": "string"}
_REF = "#/components/schemas/"
_ID = {"type": "string", "pattern": "^[A-Za-z0-9.\\-]{1,64}$"}
_MOMENT = {"type": "string", "format": "date-time"}
_FAILURES = {
    "400": "The request is malformed; the message names the field.",
    "401": "No token, or one that is not valid.",
    "403": "The role does not allow this.",
    "404": "No such document, or none that the caller may know of.",
    "429": "Too many requests.",
}
_FORMS = {"doctor"}
_SIGN_IN = {"email": _TEXT, "password": _TEXT, "code": {**_TEXT, "description": "Of the second factor, where set."}}
_ORDERED = frozenset({"date", "datetime", "number"})


def description(mappings: Mapping[str, DocumentMapping], site_url: str, version: str) -> dict[str, Any]:
    """The whole description."""
    schemas: dict[str, Any] = {"Failure": _failure()}
    paths: dict[str, Any] = {}
    for entity in Entity:
        mapping = mappings[entity]
        schemas[entity.value] = _read_schema(mapping)
        schemas[f"{entity}New"] = _write_schema(mapping, creating=True)
        schemas[f"{entity}Change"] = _write_schema(mapping, creating=False)
        paths[f"/{entity}"] = {"get": _list(entity, mapping), "post": _create(entity)}
        paths[f"/{entity}/{{id}}"] = {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": _TEXT}],
            "get": _operation(entity, Action.READ, "200", _one({"anyOf": [_ref(entity), _many(_ref(entity))]})),
            "put": {
                **_operation(entity, Action.UPDATE, "200", _one(_updated(entity))),
                "requestBody": _body(entity, "Change"),
            },
            "delete": {
                **_operation(entity, Action.DELETE, "204", None),
                "parameters": [_parameter("reason", {**_TEXT, "minLength": 1, "maxLength": 500})],
            },
        }
        if entity in PEOPLE:
            paths |= _desk_paths(entity)
    paths |= _session_paths()
    return {
        "openapi": "3.1.0",
        "info": {"title": "Hayat FHIR /api/v1", "version": version},
        "servers": [{"url": f"{site_url}/api/v1"}],
        "security": [{"bearer": []}, {"header": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "header": {"type": "apiKey", "in": "header", "name": "x-acess-token"},
            },
        },
    }


def _desk_paths(entity: Entity) -> dict[str, Any]:
    """What the staff do with somebody's entry, beside the legacy routes."""
    id = {"parameters": [{"name": "id", "in": "path", "required": True, "schema": _TEXT}]}
    correction = _operation(entity, Action.CORRECT, "200", _one(_ref(entity)))
    access = {**_operation(entity, Action.CORRECT, "204", None), "operationId": f"access_{entity}"}
    disabled = {
        "type": "object",
        "additionalProperties": False,
        "required": ["disabled"],
        "properties": {"disabled": {"type": "boolean"}},
    }
    body = {"required": True, "content": {"application/json": {"schema": disabled}}}
    return {
        f"/{entity}/{{id}}/correction": {**id, "put": {**correction, "requestBody": _body(entity, "Change")}},
        f"/{entity}/{{id}}/access": {**id, "put": {**access, "requestBody": body}},
    }


def _operation(entity: Entity, action: Action, status: str, schema: dict[str, Any] | None) -> dict[str, Any]:
    roles = ", ".join(sorted(RULES[entity, action])).replace("*", " (self)")
    answer: dict[str, Any] = {"description": "Done."}
    if schema is not None:
        answer["content"] = {"application/json": {"schema": schema}}
    return {
        "operationId": f"{action}_{entity}",
        "tags": [entity.value],
        "summary": f"{action} {entity}: {roles}",
        "responses": {status: answer, **_failures(*_FAILURES)},
    }


def _list(entity: Entity, mapping: DocumentMapping) -> dict[str, Any]:
    names = [name for name in mapping.names if mapping.fields.get(name)]
    parameters = [
        _parameter("sort", {**_TEXT, "examples": [f"-{next(iter(names))}"]}),
        _parameter("fields", {**_TEXT, "examples": ["name"]}),
        _parameter("page", {"type": "integer", "minimum": 1}),
        _parameter("limit", {"type": "integer", "minimum": 1, "maximum": 1000}),
    ]
    for field in mapping.fields.values():
        if field.search is not None:
            parameters.append(_parameter(field.name, {**_value_schema(field), "maxLength": 1000}))
            if field.type in _ORDERED - {"number"}:
                parameters += [
                    _parameter(f"{field.name}[{operator}]", {"type": "string", "format": "date"})
                    for operator in ("gte", "gt", "lte", "lt")
                ]
    schema = _enveloped({"type": "array", "items": _ref(entity)})
    return {**_operation(entity, Action.LIST, "200", schema), "parameters": parameters}


def _create(entity: Entity) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["status", "data"],
        "properties": {"status": {"const": "success"}, "data": _ref(entity)},
    }
    found = _operation(entity, Action.CREATE, "201", schema)
    found["responses"] |= _failures("409", "413", "415")
    return {**found, "requestBody": _body(entity, "New")}


def _body(entity: Entity, kind: str) -> dict[str, Any]:
    schema = {"$ref": f"{_REF}{entity}{kind}"}
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if entity in _FORMS:
        content["multipart/form-data"] = {"schema": schema}
    return {"required": True, "content": content}


def _session_paths() -> dict[str, Any]:
    session = {"type": "object", "required": ["user", "token"], "properties": {"user": _TEXT, "token": _TEXT}}
    paths: dict[str, Any] = {}
    for role in ("patient", "doctor", "staff"):
        paths[f"/{role}/login"] = {"post": _open(f"login_{role}", _SIGN_IN, ("email", "password"), "200", session)}
    created = {"type": "object", "required": ["status", "data"], "properties": {"data": _ref(Entity.PATIENT)}}
    register = _open("register_patient", {}, (), "201", created)
    register["requestBody"] = _body(Entity.PATIENT, "New")
    register["responses"] |= _failures("409")
    paths["/patient/register"] = {"post": register}
    who = {"type": "object", "required": ["id", "type"], "properties": {"id": _TEXT, "type": _TEXT, "name": _TEXT}}
    paths["/auth"] = {"get": {**_open("whoami", {}, (), "200", who), "security": [{"bearer": []}, {"header": []}]}}
    del paths["/auth"]["get"]["requestBody"]
    return paths


def _open(
    name: str, properties: dict[str, Any], required: tuple[str, ...], status: str, schema: dict[str, Any]
) -> dict[str, Any]:
    """An operation that needs no token."""
    body = {"type": "object", "additionalProperties": False, "properties": properties, "required": list(required)}
    return {
        "operationId": name,
        "tags": ["session"],
        "security": [],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            status: {"description": "Done.", "content": {"application/json": {"schema": schema}}},
            **_failures("400", "401", "413", "415", "429"),
        },
    }


def _failures(*statuses: str) -> dict[str, Any]:
    more = {
        "409": "There is an account with this e-mail address.",
        "413": "The body is too large.",
        "415": "The body is of another media type.",
    }
    content = {"application/json": {"schema": {"$ref": f"{_REF}Failure"}}}
    texts = {**_FAILURES, **more}
    return {status: {"description": texts[status], "content": content} for status in (*statuses, "413", "415", "409")}


def _failure() -> dict[str, Any]:
    error = {"type": "object", "properties": {"field": _TEXT, "code": _TEXT, "message": _TEXT}}
    properties = {"status": {"const": "fail"}, "message": _TEXT, "errors": {"type": "array", "items": error}}
    return {"type": "object", "required": ["status", "message"], "properties": properties}


def _read_schema(mapping: DocumentMapping) -> dict[str, Any]:
    properties: dict[str, Any] = {"_id": _ID, "id": _ID}
    for field in mapping.fields.values():
        if field.write_only:
            continue
        if field.populated:
            inner = dict.fromkeys(("_id", "id", *field.populated), _TEXT)
            _place(properties, field.name, {"type": "object", "required": list(inner), "properties": inner})
        else:
            _place(properties, field.name, _value_schema(field, reading=True))
    return {"type": "object", "required": ["_id", "id"], "properties": properties}


def _write_schema(mapping: DocumentMapping, *, creating: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for field in mapping.fields.values():
        if field.name == "photo" or (field.name == "password" and not creating):
            continue
        _place(properties, field.name, _value_schema(field))
    found: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties}
    if creating:
        found["required"] = [field.name for field in mapping.fields.values() if field.required]
    return found


def _place(properties: dict[str, Any], name: str, schema: dict[str, Any]) -> None:
    outer, _, inner = name.partition(".")
    if not inner:
        properties[outer] = schema
        return
    held = properties.setdefault(outer, {"type": "object", "additionalProperties": False, "properties": {}})
    held["properties"][inner] = schema


def _value_schema(field: Field, *, reading: bool = False) -> dict[str, Any]:
    match field.type:
        case "number":
            return {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
        case "date":
            return _MOMENT if reading else {"type": "string", "format": "date"}
        case "datetime":
            return _MOMENT
        case "id":
            return _ID
        case _:
            found: dict[str, Any] = {"type": "string"}
            if field.enum and not reading:
                found["enum"] = list(field.enum)
            elif not reading:
                found["maxLength"] = field.longest
            return found


def _enveloped(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["status", "result", "DateTime", "data"],
        "properties": {
            "status": {"const": "success"},
            "result": {"type": "integer"},
            "DateTime": _MOMENT,
            "data": data,
        },
    }


def _one(schema: dict[str, Any]) -> dict[str, Any]:
    return _enveloped(schema)


def _updated(entity: Entity) -> dict[str, Any]:
    if entity is Entity.DOCTOR:
        return _ref(entity)
    return {"type": "object", "required": [entity.value], "properties": {entity.value: _ref(entity)}}


def _many(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


def _ref(entity: Entity) -> dict[str, Any]:
    return {"$ref": f"{_REF}{entity}"}


def _parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}
