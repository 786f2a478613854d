"""Parts of a resource, where a client asks for no more: ``_summary`` and ``_elements``.

What must be there by the standard stays, so that the part is a resource too; ``meta.tag`` says that it is a part.
https://hl7.org/fhir/R4/search.html#summary, https://hl7.org/fhir/R4/search.html#elements
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.plans import Plan, Plans

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
"""The tag of a part."""

_ALWAYS = frozenset({"id", "meta"})
_SUMMARIES = frozenset({"true", "text", "data"})


@dataclass(frozen=True, slots=True)
class Subset:
    """The part that is asked for: one of the summaries, or these elements by their names in the definition."""

    summary: str | None = None
    elements: frozenset[str] = frozenset()


class Subsets:
    """Cuts resources. ``summary``: the elements of a summary, by the path of the type or backbone element."""

    def __init__(self, plans: Plans, summary: Mapping[str, frozenset[str]]) -> None:
        self._plans = plans
        self._summary = summary

    def asked(self, type: str, summary: str | None, elements: str | None) -> Subset | None:
        """The part that these two parameters ask for; None: the whole resource.

        Raises:
            InvalidRequest: No such summary, an element that the type does not have, or both at a time.
        """
        if summary in {None, "false"}:
            return None if elements is None else Subset(elements=self._elements(type, elements))
        if summary not in _SUMMARIES or elements is not None:
            why = "not true, text, data, count or false, or not beside _elements"
            raise InvalidRequest(why, code="value", expression=["parameter: _summary"])
        return Subset(summary)

    def cut(self, resource: Mapping[str, Any], subset: Subset) -> dict[str, Any]:
        """The part of a resource."""
        plan = self._plans.plan(resource["resourceType"])
        match subset.summary:
            case "true":
                part = self._summarised(resource, plan)
            case "text":
                part = _kept(resource, plan, _ALWAYS | {"text"})
            case "data":
                part = {name: value for name, value in resource.items() if name != "text"}
            case _:
                part = _kept(resource, plan, _ALWAYS | subset.elements)
        meta = part.get("meta", {})
        return {**part, "meta": {**meta, "tag": [*meta.get("tag", ()), SUBSETTED]}}

    def _elements(self, type: str, text: str) -> frozenset[str]:
        plan = self._plans.plan(type)
        found = set()
        for name in text.split(","):
            plain = name.strip().removeprefix(f"{type}.")
            slot = plan.slots.get(plain)
            if slot is not None:
                found.add(slot.choice or plain)
            elif any(other.choice in {plain, f"{plain}[x]"} for other in plan.slots.values()):
                found.add(plain if plain.endswith("[x]") else f"{plain}[x]")
            else:
                why = "not elements of this type, by their names and separated by commas"
                raise InvalidRequest(why, code="value", expression=["parameter: _elements"])
        return frozenset(found)

    def _summarised(self, value: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
        """What of an object stands in a summary, and below it."""
        part = _kept(value, plan, self._summary.get(plan.path, frozenset(plan.slots)))
        for name, content in part.items():
            slot = plan.slots.get(name)
            if slot is None or slot.check is not None:
                continue
            items = content if isinstance(content, list) else [content]
            cut = [self._summarised(item, below) for item in items if (below := self._plans.below(slot, item))]
            part[name] = cut if isinstance(content, list) else cut[0]
        return part


def _kept(value: Mapping[str, Any], plan: Plan, names: frozenset[str]) -> dict[str, Any]:
    """The elements of these names, and those that must be there; with what stands beside a primitive."""
    part = {}
    for name, content in value.items():
        slot = plan.slots.get(name.removeprefix("_"))
        element = name if slot is None else slot.choice or name.removeprefix("_")
        required = element in plan.required or element in plan.required_choices
        if element in names or required or name == "resourceType":
            part[name] = content
    return part


def is_part(resource: Mapping[str, Any]) -> bool:
    """Whether a resource says of itself that it is a part: it must not replace the whole."""
    meta = resource.get("meta")
    tags = meta.get("tag") if isinstance(meta, dict) else None
    return isinstance(tags, list) and any(
        isinstance(tag, dict) and all(tag.get(key) == value for key, value in SUBSETTED.items()) for tag in tags
    )
