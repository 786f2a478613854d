"""From a resource to its index entries, compartments and references.

The paths of all parameters of a type are grouped by their first JSON name once, so that indexing walks only what
a resource has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.search import date, number, quantity, reference, string, token, uri
from hayat_fhir.search.collecting import Collector
from hayat_fhir.search.entries import OF_MANY_PATIENTS, IndexEntries, key
from hayat_fhir.search.parameters import Path, SearchParameter, SearchParameters

_PRESENT = "\x1e"
_SECURITY_CONTEXT = Path(("securityContext",), "Reference", target="Patient")
"""What puts a Binary into a compartment, by no search parameter: https://hl7.org/fhir/R4/binary.html#security"""
_PRESENCE = frozenset({"token", "reference", "uri"})
BY_SERVER = frozenset({"_id", "_lastUpdated"})
"""Parameters that the store answers from the document itself: every resource has them, and no entries of them."""


def present_key(code: str) -> int:
    """The key of resources that have any value of a token, reference or uri parameter."""
    return key(code, _PRESENT)


@dataclass(frozen=True, slots=True)
class _Step:
    """One path of one parameter, after its first name."""

    parameter: SearchParameter
    path: Path
    rest: tuple[str, ...]
    joined: bool = False
    """Whether the parameter is others put together, and so is only sorted by."""

    has_systems: bool = True


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to do for one resource type."""

    by_name: Mapping[str, Sequence[_Step]]
    principal: str | None
    about: tuple[Path, ...]
    compartment: tuple[Path, ...]


class Indexer:
    """Computes entries; ``compartments`` maps a type to the parameters that link it to a patient."""

    def __init__(self, parameters: SearchParameters, compartments: Mapping[str, Sequence[str]], base_url: str) -> None:
        self._parameters = parameters
        self._compartments = compartments
        self._base_url = base_url
        self._plans: dict[str, _Plan] = {}

    def index(self, resource: Mapping[str, Any], id: str) -> IndexEntries:
        """The entries of a resource that will have this logical id.

        Raises:
            InvalidRequest: A date that is none; the issue says where.
        """
        plan = self._plan(resource["resourceType"])
        collector = Collector(tuple(self._patients(resource, id, plan.about)))
        for name, content in resource.items():
            for step in plan.by_name.get(name, ()):
                self._index(step, content, collector)
        return collector.entries(plan.principal)

    def compartments(self, resource: Mapping[str, Any], id: str) -> tuple[str, ...]:
        """The patients (``Patient/id``) in whose compartments a resource is; a Patient is in its own."""
        type = resource["resourceType"]
        if type == "Patient":
            return (f"Patient/{id}",)
        return tuple(sorted(set(self._patients(resource, id, self._plan(type).compartment))))

    def references(self, resource: Mapping[str, Any], parameter: str) -> list[str]:
        """What a reference parameter of the resource points to on this server (``Type/id``), for includes."""
        found = self._parameters.get(resource["resourceType"], parameter)
        if found is None or found.type != "reference":
            return []
        names = []
        for path in found.paths:
            for value in _values(resource, path):
                name = self._literal(value, path)
                if name is not None and ":" not in name and name.count("/") == 1:
                    names.append(name)
        return names

    def elements(self, type: str, parameter: str) -> tuple[str, ...]:
        """The elements at the top of a resource in which the values of a parameter stand."""
        found = self._parameters.get(type, parameter)
        return tuple(dict.fromkeys(path.steps[0] for path in found.paths)) if found is not None else ()

    def _plan(self, type: str) -> _Plan:
        plan = self._plans.get(type)
        if plan is None:
            plan = self._plans[type] = self._made(type)
        return plan

    def _made(self, type: str) -> _Plan:
        by_name: dict[str, list[_Step]] = {}
        parameters = self._parameters.of(type)
        joined = self._parameters.joined(type)
        for parameter in parameters.values():
            if not parameter.searchable or parameter.code in BY_SERVER:
                continue
            for path in parameter.paths:
                for name in _names(path):
                    step = _Step(parameter, path, path.steps[1:], parameter.code in joined, parameter.has_systems)
                    by_name.setdefault(name, []).append(step)
        about = None if type in OF_MANY_PATIENTS else parameters.get("patient") or parameters.get("subject")
        compartment = [parameters[code] for code in self._compartments.get(type, ()) if code in parameters]
        return _Plan(
            by_name,
            self._parameters.principal_date(type),
            about.paths if about is not None and about.type == "reference" else (),
            (_SECURITY_CONTEXT,) if type == "Binary" else tuple(path for one in compartment for path in one.paths),
        )

    def _patients(self, resource: Mapping[str, Any], id: str, paths: Sequence[Path]) -> Iterator[str]:
        if resource["resourceType"] == "Patient":
            yield f"Patient/{id}"
            return
        for path in paths:
            for value in _values(resource, path):
                name = self._literal(value, path)
                if name is not None and name.startswith("Patient/"):
                    yield name

    def _literal(self, value: Any, path: Path) -> str | None:  # noqa: ANN401 - a FHIR element
        if path.type == "Resource":
            return f"{value['resourceType']}/{value['id']}" if "id" in value else None
        name = reference.literal(value, self._base_url)
        if name is None or (path.target is not None and not name.startswith(f"{path.target}/")):
            return None
        return name

    def _index(self, step: _Step, content: Any, collector: Collector) -> None:  # noqa: ANN401 - a FHIR element
        parameter, path = step.parameter, step.path
        code, kind, found = parameter.code, parameter.type, False
        if step.joined:
            collector = collector.order_only()
        for value in _walk(content, step.rest, path):
            if value is None:
                continue
            found = True
            match kind:
                case "token":
                    token.index(code, value, path.type, collector, has_systems=step.has_systems)
                case "reference":
                    if path.type == "Resource":
                        value = self._literal(value, path)
                    if value is not None:
                        reference.index(code, value, self._base_url, path.target, collector)
                case "date":
                    self._index_date(code, value, path, collector)
                case "string":
                    string.index(code, value, path.type, collector)
                case "quantity":
                    quantity.index(code, value, path.type, collector)
                case "number":
                    number.index(code, value, path.type, collector)
                case "uri":
                    uri.index(code, value, collector)
        if found and kind in _PRESENCE:
            collector.equal(code, _PRESENT)

    def _index_date(self, code: str, value: Any, path: Path, collector: Collector) -> None:  # noqa: ANN401
        try:
            date.index(code, value, path.type, collector)
        except (ValueError, TypeError) as error:
            place = ".".join((*path.steps, *path.then))
            raise InvalidRequest("not a date that can be indexed", code="value", expression=[place]) from error


def _names(path: Path) -> tuple[str, ...]:
    """The JSON names a path may start with: ``deceased.exists()`` looks at both types of the choice."""
    if path.type != "exists":
        return (path.steps[0],)
    return tuple(f"{path.steps[0]}{suffix}" for suffix in ("", "Boolean", "DateTime"))


def _values(resource: Mapping[str, Any], path: Path) -> Iterator[Any]:
    if path.steps[0] in resource:
        yield from _walk(resource[path.steps[0]], path.steps[1:], path)


def _walk(content: Any, steps: Sequence[str], path: Path) -> Iterator[Any]:  # noqa: ANN401 - a FHIR element
    """The values at a path below ``content``, lists opened, filters applied."""
    level = content if type(content) is list else (content,)
    for step in steps:
        level = _below(level, step)
    if path.where is not None:
        level = [value for value in level if _holds(value, path.where)]
    for step in path.then:
        level = _below(level, step)
    yield from level[:1] if path.first else level


def _below(level: Sequence[Any], step: str) -> list[Any]:
    found: list[Any] = []
    for node in level:
        child = node.get(step) if type(node) is dict else None
        if type(child) is list:
            found += child
        elif child is not None:
            found.append(child)
    return found


def _holds(value: Any, where: tuple[str, str]) -> bool:  # noqa: ANN401 - a FHIR element
    name, wanted = where
    if type(value) is not dict:
        return False
    if name == "extension":
        return any(extension.get("url") == wanted for extension in value.get("extension", ()))
    return bool(value.get(name) == wanted)
