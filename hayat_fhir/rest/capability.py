"""``/fhir/metadata``: the CapabilityStatement, from conformance/capability.json and from what is really there.

The promise in that file is checked against the route table at start, so that the two cannot drift apart.
https://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hayat_fhir.errors import ConfigurationError
from hayat_fhir.rest.routes import Route
from hayat_fhir.search.parameters import SearchParameter, SearchParameters
from hayat_fhir.security.policy import TypeClass, class_of

_FILE = "conformance/capability.json"
_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_WIDEST = 40
"""A reference to more types than this is listed as an include, but not as a reverse include of each of them."""


def offered(routes: Iterable[Route]) -> dict[str, frozenset[str]]:
    """The interaction codes of a route table by level: ``system``, ``resource`` and ``operation``."""
    found: dict[str, set[str]] = {"system": set(), "resource": set(), "operation": set()}
    for route in routes:
        for action in route.actions.values():
            if action.code.startswith("$"):
                owner, slash, _ = route.template.partition("/")
                found["operation"].add(f"{owner if slash else ''}{action.code}")
            elif route.template.startswith("{type}"):
                found["resource"].add(action.code)
            elif not route.public:
                found["system"].update(action.code.split("+"))
    return {level: frozenset(codes) for level, codes in found.items()}


def check_promise(promise: Mapping[str, Any], routes: Iterable[Route]) -> None:
    """Compare the promise with the routes.

    Raises:
        ConfigurationError: They differ.
    """
    rest = promise["rest"]
    there = offered(routes)
    promised = {
        "system": frozenset(rest["interaction"]),
        "resource": frozenset(rest["resource"]["interaction"]),
        "operation": frozenset(f"{row.get('resource', '')}${row['name']}" for row in rest["operation"]),
    }
    for level, codes in promised.items():
        if codes != there[level]:
            differing = ", ".join(sorted(codes ^ there[level]))
            raise ConfigurationError(f"{_FILE}: rest, {level}: promise and routes differ in {differing}")


def statement(
    promise: Mapping[str, Any],
    routes: Sequence[Route],
    parameters: SearchParameters,
    types: Iterable[str],
    *,
    base_url: str,
    token_url: str,
    site: str,
    version: str,
) -> dict[str, Any]:
    """The CapabilityStatement of this site.

    Raises:
        ConfigurationError: The promise differs from the routes.
    """
    check_promise(promise, routes)
    rest = promise["rest"]
    stored = sorted(type for type in types if class_of(type) is not TypeClass.UNSTORED)
    searchable = {type: [p for p in parameters.of(type).values() if p.searchable] for type in stored}
    reverse = _reverse_includes(searchable)
    kept = {key: value for key, value in promise.items() if value and key not in {"rest", "software"}}
    return {
        **kept,
        "publisher": site,
        "software": {**promise["software"], "version": version},
        "implementation": {"description": site, "url": base_url},
        "rest": [
            {
                "mode": rest["mode"],
                "documentation": rest["documentation"],
                "security": _security(rest["security"], token_url),
                "resource": [
                    _resource(type, rest, found, reverse.get(type, []), base_url) for type, found in searchable.items()
                ],
                "interaction": [{"code": code} for code in rest["interaction"]],
                "operation": _operations(rest, None, base_url),
            }
        ],
    }


def _security(promise: Mapping[str, Any], token_url: str) -> dict[str, Any]:
    extension = {"url": _OAUTH_URIS, "extension": [{"url": "token", "valueUri": token_url}]}
    return {"extension": [extension], **promise}


def _resource(
    type: str,
    rest: Mapping[str, Any],
    parameters: Sequence[SearchParameter],
    reverse: Sequence[str],
    base_url: str,
) -> dict[str, Any]:
    read_only = rest["readOnly"]
    row = {**rest["resource"], **(read_only if class_of(type) in read_only["classes"] else {})}
    row.pop("classes", None)
    interactions = row.pop("interaction")
    operations = _operations(rest, type, base_url)
    forward = sorted(f"{type}:{p.code}" for p in parameters if p.type == "reference")
    entry = {
        "type": type,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{type}",
        "interaction": [{"code": code} for code in interactions],
        **row,
        "searchInclude": forward,
        "searchRevInclude": sorted(reverse),
        "searchParam": [
            {"name": p.code, "definition": p.url, "type": p.type} for p in sorted(parameters, key=lambda p: p.code)
        ],
        "operation": operations,
    }
    return {key: value for key, value in entry.items() if value != []}


def _operations(rest: Mapping[str, Any], type: str | None, base_url: str) -> list[dict[str, str]]:
    """The operations on a type; None: on the system."""
    return [
        {key: value.replace("{base}", base_url) for key, value in operation.items() if key != "resource"}
        for operation in rest["operation"]
        if operation.get("resource") == type
    ]


def _reverse_includes(searchable: Mapping[str, Sequence[SearchParameter]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for type, parameters in searchable.items():
        for parameter in parameters:
            if parameter.type == "reference" and len(parameter.targets) <= _WIDEST:
                for target in parameter.targets:
                    found.setdefault(target, []).append(f"{type}:{parameter.code}")
    return found
