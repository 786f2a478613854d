"""The structure of R4 resources, checked against the table of all elements (conformance/r4/elements.json).

Each type and backbone element becomes a plan, made when it is first met: what may stand under which JSON name.
https://hl7.org/fhir/R4/json.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hayat_fhir.errors import Issue
from hayat_fhir.fhir.narrative import is_safe
from hayat_fhir.fhir.primitives import CHECKS, Check

_SYSTEM_TYPES = "http://hl7.org/fhirpath/"


@dataclass(frozen=True, slots=True)
class _Slot:
    """What may stand under one JSON name: a primitive (``check``), or a structure (``plan``)."""

    element: str
    many: bool
    check: Check | None
    codes: frozenset[str] | None
    plan: Callable[[Any], _Plan | None] | None


@dataclass(frozen=True, slots=True)
class _Plan:
    """The slots of one type by JSON name, and the groups of names of which one must be there."""

    path: str
    slots: Mapping[str, _Slot]
    required: tuple[tuple[str, ...], ...]


class Structure:
    """Checks resources against the elements and required bindings of R4."""

    def __init__(
        self, elements: Mapping[str, str], bindings: Mapping[str, frozenset[str]], resource_types: frozenset[str]
    ) -> None:
        self._bindings = bindings
        self._resource_types = resource_types
        self._children: dict[str, list[tuple[str, str]]] = {}
        for path, row in elements.items():
            parent, _, name = path.rpartition(".")
            self._children.setdefault(parent, []).append((name, row))
        self._plans: dict[str, _Plan] = {}

    def issues(self, resource: Mapping[str, Any]) -> Iterator[Issue]:
        """What is wrong with a resource: where (FHIRPath) and which code, never the value."""
        type = resource.get("resourceType")
        if type not in self._resource_types:
            yield Issue("structure", "not a resource type of R4", ("resourceType",))
            return
        yield from self._object(resource, self._plan(str(type)), str(type))

    def _plan(self, path: str) -> _Plan:
        plan = self._plans.get(path)
        if plan is None:
            plan = self._plans[path] = self._made(path)
        return plan

    def _made(self, path: str) -> _Plan:
        slots: dict[str, _Slot] = {}
        required: list[tuple[str, ...]] = []
        for name, row in self._children[path]:
            cardinality, _, types = row.partition(" ")
            least, _, most = cardinality.partition("..")
            names = []
            for type in types.split("|"):
                json_name = name if not name.endswith("[x]") else f"{name[:-3]}{type[0].upper()}{type[1:]}"
                names.append(json_name)
                slots[json_name] = self._slot(f"{path}.{name}", type, most != "1")
            if least != "0":
                required.append(tuple(names))
        return _Plan(path, slots, tuple(required))

    def _slot(self, element: str, type: str, many: bool) -> _Slot:
        type = "string" if type.startswith(_SYSTEM_TYPES) else type
        if type in CHECKS:
            return _Slot(element, many, CHECKS[type], self._bindings.get(element), None)
        if type == "Resource":
            return _Slot(element, many, None, None, self._resource_plan)
        target = type[1:] if type.startswith("#") else element if type in {"BackboneElement", "Element"} else type
        return _Slot(element, many, None, None, lambda _: self._plan(target))

    def _resource_plan(self, value: Mapping[str, Any]) -> _Plan | None:
        type = value.get("resourceType")
        return self._plan(type) if isinstance(type, str) and type in self._resource_types else None

    def _object(self, value: Mapping[str, Any], plan: _Plan, at: str) -> Iterator[Issue]:
        if not value:
            yield Issue("structure", "an object must not be empty", (at,))
        slots = plan.slots
        chosen: dict[str, str] = {}
        for name, content in value.items():
            slot = slots.get(name)
            if slot is None:
                yield from self._other(name, content, value, plan, at)
                continue
            if slot.element.endswith("[x]") and chosen.setdefault(slot.element, name) != name:
                yield Issue("structure", "only one of the types of a choice may stand", (f"{at}.{name}",))
            yield from self._slot_issues(content, slot, f"{at}.{name}", f"_{name}" in value)
        for names in plan.required:
            if not any(name in value or f"_{name}" in value for name in names):
                wanted = names[0] if len(names) == 1 else plan.slots[names[0]].element.rpartition(".")[2]
                yield Issue("required", "a required element is missing", (f"{at}.{wanted}",))

    def _other(self, name: str, content: object, owner: Mapping[str, Any], plan: _Plan, at: str) -> Iterator[Issue]:
        """A name that is no element: ``_name`` extends a primitive; anything else is unknown."""
        if name == "resourceType" and plan.path in self._resource_types:
            return
        slot = plan.slots.get(name[1:]) if name.startswith("_") else None
        if slot is None or slot.check is None:
            yield Issue("structure", "unknown element", (f"{at}.{_shown(name)}",))
            return
        items = content if slot.many and isinstance(content, list) else [content]
        for number, item in enumerate(items):
            place = f"{at}.{name[1:]}[{number}]" if slot.many else f"{at}.{name[1:]}"
            if item is None and slot.many:
                continue
            if not isinstance(item, dict):
                yield Issue("structure", "the extension of a primitive must be an object", (place,))
            else:
                yield from self._object(item, self._plan("Element"), place)
        values = owner.get(name[1:])
        if slot.many and isinstance(values, list) and isinstance(content, list) and len(values) != len(content):
            yield Issue("structure", "values and their extensions differ in number", (f"{at}.{name[1:]}",))

    def _slot_issues(self, content: object, slot: _Slot, at: str, extended: bool) -> Iterator[Issue]:
        if not slot.many:
            if isinstance(content, list):
                yield Issue("structure", "this element does not repeat", (at,))
            else:
                yield from self._item(content, slot, at)
            return
        if not isinstance(content, list) or not content:
            yield Issue("structure", "this element is a non-empty array", (at,))
            return
        for number, item in enumerate(content):
            if item is not None or not extended or slot.check is None:
                yield from self._item(item, slot, f"{at}[{number}]")

    def _item(self, item: object, slot: _Slot, at: str) -> Iterator[Issue]:
        if slot.check is not None:
            if not slot.check(item):
                yield Issue("value", "not a value of this element's type", (at,))
            elif slot.codes is not None and item not in slot.codes:
                yield Issue("code-invalid", "not a code of the required value set", (at,))
            elif slot.element == "Narrative.div" and not is_safe(str(item)):
                yield Issue("invalid", "the narrative holds more than inert formatting", (at,))
            return
        if not isinstance(item, dict):
            yield Issue("structure", "this element is an object", (at,))
            return
        plan = slot.plan(item) if slot.plan is not None else None
        if plan is None:
            yield Issue("structure", "not a resource type of R4", (f"{at}.resourceType",))
            return
        yield from self._object(item, plan, at)


def _shown(name: str) -> str:
    """A name that a client made up, as far as it is a name: it might carry anything."""
    return name if name.isascii() and name.isidentifier() and len(name) <= 64 else "?"
