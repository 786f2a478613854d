"""What may stand where in a resource: the rows of conformance/r4/elements.json, ready to be walked along.

Each type and backbone element becomes a plan when it is first met, so that a process pays for the types it sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hayat_fhir.fhir.primitives import CHECKS, Check

_SYSTEM_TYPES = "http://hl7.org/fhirpath/"
ANY_RESOURCE = "Resource"


@dataclass(frozen=True, slots=True)
class Slot:
    """What may stand under one JSON name: a primitive, which has a ``check``, or a structure, which has a ``target``.

    ``choice`` is the element's name where the JSON name is one of several, such as ``value[x]``; ``codes`` those of a
    required binding; ``target`` the path of the plan below, or ``Resource`` where the resource itself says which;
    ``contained`` marks where a resource stands that may hold no other.
    """

    element: str
    type: str
    many: bool
    choice: str | None
    check: Check | None
    codes: frozenset[str] | None
    target: str
    contained: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """The slots of one type by JSON name, and what must be there: names, and choices."""

    path: str
    is_resource: bool
    is_extension: bool
    slots: Mapping[str, Slot]
    required: frozenset[str]
    required_choices: frozenset[str]


class Plans:
    """The plans of all types, made when they are first asked for."""

    def __init__(
        self, elements: Mapping[str, str], bindings: Mapping[str, frozenset[str]], resource_types: frozenset[str]
    ) -> None:
        self.resource_types = resource_types
        self._bindings = bindings
        self._children: dict[str, list[tuple[str, str]]] = {}
        for path, row in elements.items():
            parent, _, name = path.rpartition(".")
            self._children.setdefault(parent, []).append((name, row))
        self._plans: dict[str, Plan] = {}

    def plan(self, path: str) -> Plan:
        """The plan of a type or of a backbone element's path."""
        plan = self._plans.get(path)
        if plan is None:
            plan = self._plans[path] = self._made(path)
        return plan

    def below(self, slot: Slot, value: Mapping[str, object]) -> Plan | None:
        """The plan of an object in a slot; None where it should be a resource and is of no type of R4."""
        if slot.target != ANY_RESOURCE:
            return self.plan(slot.target)
        type = value.get("resourceType")
        return self.plan(type) if isinstance(type, str) and type in self.resource_types else None

    def has(self, type: str, steps: Sequence[tuple[str, bool]]) -> bool:
        """Whether these names lead to an element of a type, each of them an array (True) or not as it says."""
        plan: Plan | None = self.plan(type)
        for name, many in steps:
            slot = plan.slots.get(name) if plan is not None else None
            if slot is None or slot.many != many:
                return False
            plan = None if slot.check is not None or slot.target == ANY_RESOURCE else self.plan(slot.target)
        return True

    def _made(self, path: str) -> Plan:
        slots: dict[str, Slot] = {}
        required: set[str] = set()
        choices: set[str] = set()
        for name, row in self._children[path]:
            cardinality, _, types = row.partition(" ")
            least, _, most = cardinality.partition("..")
            choice = name if name.endswith("[x]") else None
            for type in types.split("|"):
                json_name = name if choice is None else f"{name[:-3]}{type[0].upper()}{type[1:]}"
                slots[json_name] = self._slot(f"{path}.{name}", type, most != "1", choice)
            if least != "0":
                (required if choice is None else choices).add(name)
        is_resource = path in self.resource_types
        return Plan(path, is_resource, path == "Extension", slots, frozenset(required), frozenset(choices))

    def _slot(self, element: str, type: str, many: bool, choice: str | None) -> Slot:
        type = "string" if type.startswith(_SYSTEM_TYPES) else type
        target = type[1:] if type.startswith("#") else element if type in {"BackboneElement", "Element"} else type
        return Slot(
            element,
            type,
            many,
            choice,
            CHECKS.get(type),
            self._bindings.get(element),
            target,
            element.endswith(".contained"),
        )
