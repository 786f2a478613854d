"""The structure of R4 resources, checked against the table of all elements (conformance/r4/elements.json).

Two passes: ``fits`` says at once that a resource is right, as nearly all are; ``issues`` says what is wrong with one
that does not. The second is the authority; a test holds the first to it.
https://hl7.org/fhir/R4/json.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hayat_fhir.errors import Issue
from hayat_fhir.fhir.plans import Plan, Plans, Slot

_CONTAINER_ONLY = ("contained", "meta.versionId", "meta.lastUpdated", "meta.security")
"""What only the resource that contains another may say (constraints dom-2, dom-4, dom-5)."""
_ONLY_ID = frozenset({"id"})
"""What alone leaves an element empty (constraint ele-1)."""


class Structure:
    """Checks resources against the elements, required bindings and a few constraints of R4."""

    def __init__(
        self, elements: Mapping[str, str], bindings: Mapping[str, frozenset[str]], resource_types: frozenset[str]
    ) -> None:
        self._plans = Plans(elements, bindings, resource_types)

    def fits(self, resource: Mapping[str, Any]) -> bool:
        """Whether a resource is certainly right. False only says that ``issues`` must look."""
        type = resource.get("resourceType")
        if not isinstance(type, str) or type not in self._plans.resource_types:
            return False
        return self._fits(resource, self._plans.plan(type))

    def issues(self, resource: Mapping[str, Any]) -> Iterator[Issue]:
        """What is wrong with a resource: where (FHIRPath) and which code, never the value."""
        type = resource.get("resourceType")
        if not isinstance(type, str) or type not in self._plans.resource_types:
            yield Issue("structure", "not a resource type of R4", ("resourceType",))
            return
        yield from self._object(resource, self._plans.plan(type), type)

    def _fits(self, value: Mapping[str, Any], plan: Plan) -> bool:
        slots = plan.slots
        if not value.keys() >= plan.required or (not plan.is_resource and value.keys() <= _ONLY_ID):
            return False
        chosen: tuple[str, ...] = ()
        for name, content in value.items():
            slot = slots.get(name)
            if slot is None:
                if name == "resourceType" and plan.is_resource:
                    continue
                return False
            if slot.choice is not None:
                if slot.choice in chosen:
                    return False
                chosen = (*chosen, slot.choice)
            if not slot.many:
                if not self._item_fits(content, slot):
                    return False
            elif type(content) is not list or not content:
                return False
            else:
                for item in content:
                    if not self._item_fits(item, slot):
                        return False
        if plan.is_extension and ("extension" in value) == bool(chosen):
            return False
        return not plan.required_choices or plan.required_choices <= set(chosen)

    def _item_fits(self, item: Any, slot: Slot) -> bool:  # noqa: ANN401 - any JSON value
        if slot.check is not None:
            if slot.codes is not None:
                return type(item) is str and item in slot.codes
            return slot.check(item)
        if type(item) is not dict:
            return False
        plan = self._plans.below(slot, item)
        if plan is None or not self._fits(item, plan):
            return False
        if slot.contained and any(_misplaced(item)):
            return False
        return slot.codes is None or _is_bound(item, slot.codes)

    def _object(self, value: Mapping[str, Any], plan: Plan, at: str, *, named: bool = False) -> Iterator[Issue]:
        """What is wrong with an object; ``named`` where it gives a primitive beside it no more than an id."""
        if not plan.is_resource and value.keys() <= _ONLY_ID and not named:
            yield Issue("structure", "an object must not be empty", (at,))
        chosen: dict[str, str] = {}
        for name, content in value.items():
            slot = plan.slots.get(name)
            if slot is None:
                yield from self._other(name, content, value, plan, at)
                slot = plan.slots.get(name[1:]) if name.startswith("_") else None
                if slot is not None and slot.choice is not None:
                    chosen.setdefault(slot.choice, name[1:])
                continue
            if slot.choice is not None and chosen.setdefault(slot.choice, name) != name:
                yield Issue("structure", "only one of the types of a choice may stand", (f"{at}.{name}",))
            yield from self._content(content, slot, f"{at}.{name}", value.get(f"_{name}"))
        for name in sorted(plan.required):
            if name not in value and f"_{name}" not in value:
                yield Issue("required", "a required element is missing", (f"{at}.{name}",))
        for choice in sorted(plan.required_choices - chosen.keys()):
            yield Issue("required", "a required element is missing", (f"{at}.{choice}",))
        if plan.is_extension and ("extension" in value) == bool(chosen):
            yield Issue("invariant", "an extension has either a value or extensions", (at,))

    def _other(self, name: str, content: object, owner: Mapping[str, Any], plan: Plan, at: str) -> Iterator[Issue]:
        """A name that is no element: ``_name`` extends a primitive; anything else is unknown."""
        if name == "resourceType" and plan.is_resource:
            return
        slot = plan.slots.get(name[1:]) if name.startswith("_") else None
        if slot is None or slot.check is None:
            yield Issue("structure", "unknown element", (f"{at}.{_shown(name)}",))
            return
        place, values = f"{at}.{name[1:]}", owner.get(name[1:])
        if not slot.many:
            yield from self._extension_of_primitive(content, values, place)
            return
        if not isinstance(content, list) or not content:
            yield Issue("structure", "the extensions of a repeating element are a non-empty array", (place,))
            return
        if isinstance(values, list) and len(values) != len(content):
            yield Issue("structure", "values and their extensions differ in number", (place,))
        for number, item in enumerate(content):
            if item is not None or _at(values, number) is None:
                yield from self._extension_of_primitive(item, _at(values, number), f"{place}[{number}]")

    def _extension_of_primitive(self, item: object, value: object, at: str) -> Iterator[Issue]:
        if isinstance(item, dict):
            yield from self._object(item, self._plans.plan("Element"), at, named=bool(item) and value is not None)
        else:
            yield Issue("structure", "the extension of a primitive must be an object", (at,))

    def _content(self, content: object, slot: Slot, at: str, extensions: object) -> Iterator[Issue]:
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
            if item is not None or _at(extensions, number) is None or slot.check is None:
                yield from self._item(item, slot, f"{at}[{number}]")

    def _item(self, item: object, slot: Slot, at: str) -> Iterator[Issue]:
        if slot.check is not None:
            yield from self._primitive(item, slot, slot.check(item), at)
            return
        if not isinstance(item, dict):
            yield Issue("structure", "this element is an object", (at,))
            return
        plan = self._plans.below(slot, item)
        if plan is None:
            yield Issue("structure", "not a resource type of R4", (f"{at}.resourceType",))
            return
        yield from self._object(item, plan, at)
        if slot.contained:
            for path in _misplaced(item):
                yield Issue("invariant", "not allowed in a contained resource", (f"{at}.{path}",))
        if slot.codes is not None and not _is_bound(item, slot.codes):
            yield Issue("code-invalid", "no code of the required value set", (at,))

    def _primitive(self, item: object, slot: Slot, passes: bool, at: str) -> Iterator[Issue]:
        if not passes and slot.type == "xhtml" and isinstance(item, str):
            yield Issue("invalid", "the narrative is not one well-formed div of inert formatting", (at,))
        elif not passes:
            yield Issue("value", "not a value of this element's type", (at,))
        elif slot.codes is not None and item not in slot.codes:
            yield Issue("code-invalid", "not a code of the required value set", (at,))


def _misplaced(resource: Mapping[str, Any]) -> Iterable[str]:
    """The paths in a contained resource that only its container may have."""
    meta = resource.get("meta")
    present = {*resource, *(f"meta.{name}" for name in meta)} if isinstance(meta, dict) else resource.keys()
    return (path for path in _CONTAINER_ONLY if path in present)


def _is_bound(value: Mapping[str, Any], codes: frozenset[str]) -> bool:
    """Whether a Coding or CodeableConcept has a code of its value set, or says by extension why it has none."""
    codings = value.get("coding") if "coding" in value else [value]
    if not isinstance(codings, list) or ("extension" in value and value.keys() <= {"id", "extension"}):
        return True
    return any(isinstance(one, dict) and f"{one.get('system')}|{one.get('code')}" in codes for one in codings)


def _at(items: object, number: int) -> object:
    """What stands at a place of an array, if this is one and that long; otherwise None."""
    return items[number] if isinstance(items, list) and number < len(items) else None


def _shown(name: str) -> str:
    """A name that a client made up, as far as it is a name: it might carry anything."""
    return name if name.isascii() and name.isidentifier() and len(name) <= 64 else "?"
