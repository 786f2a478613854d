"""Where a mapped value stands in a FHIR resource: a small closed path language, read and written without a trace.

``name``, ``name[0]`` (the first item), ``name[system=phone]`` (the first item of which ``system`` is ``phone``),
``name[@Practitioner]`` (the first reference to a Practitioner), joined by dots. What a path does not name is never
touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_STEP = re.compile(
    r"(?P<name>[A-Za-z]\w*)(?:\[(?:(?P<first>0)|@(?P<type>\w+)|(?P<key>\w+)=(?P<value>[^\[\]]+))\])?(?:\.|$)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: an element, the first of its items, or the first item of which ``select`` (name, value) is true.

    ``target``: the first item that is a reference to this resource type.
    """

    name: str
    first: bool = False
    select: tuple[str, str] | None = None
    target: str | None = None

    @property
    def repeats(self) -> bool:
        """Whether the element is an array."""
        return self.first or self.select is not None or self.target is not None


Path = tuple[Step, ...]


def parse(text: str) -> Path:
    """The steps of a path.

    Raises:
        ValueError: It is none.
    """
    steps: list[Step] = []
    place = 0
    while place < len(text):
        match = _STEP.match(text, place)
        if match is None:
            raise ValueError("not a path")
        select = (match["key"], match["value"]) if match["key"] else None
        steps.append(Step(match["name"], match["first"] is not None, select, match["type"]))
        place = match.end()
    if not steps or text.endswith("."):
        raise ValueError("not a path")
    return tuple(steps)


def get(resource: Any, path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """What stands at the path; None where nothing does."""
    node = resource
    for step in path:
        node = _at(node, step)
        if node is None:
            return None
    return node


def every(resource: Any, path: Path) -> list[Any]:  # noqa: ANN401 - any JSON value
    """All items of the element that the path leads to, whichever of them its last step names."""
    node = get(resource, path[:-1])
    found = node.get(path[-1].name) if isinstance(node, dict) else None
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def put(resource: dict[str, Any], path: Path, value: object) -> None:
    """Let ``value`` stand at the path, making what leads there; None takes away what stands there.

    What held nothing else is taken away with it.
    """
    if value is None:
        _remove(resource, path)
        return
    node = resource
    for step in path[:-1]:
        node = _made(node, step)
    last = path[-1]
    if not last.repeats:
        node[last.name] = value
        return
    items = node.setdefault(last.name, [])
    place = next(_places(items, last), None)
    if place is None:
        items.append(_selected(value, last))
    else:
        items[place] = _selected(value, last)


def _at(node: Any, step: Step) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(node, dict):
        return None
    found = node.get(step.name)
    if not step.repeats:
        return found
    if not isinstance(found, list):
        return None
    for item in found:
        if _meets(item, step):
            return item
    return None


def _places(items: Sequence[Any], step: Step) -> Iterator[int]:
    for place, item in enumerate(items):
        if _meets(item, step):
            yield place


def _meets(item: Any, step: Step) -> bool:  # noqa: ANN401 - any JSON value
    if step.first:
        return True
    if not isinstance(item, dict):
        return False
    if step.target is not None:
        return str(item.get("reference", "")).startswith(f"{step.target}/")
    return step.select is not None and item.get(step.select[0]) == step.select[1]


def _made(node: dict[str, Any], step: Step) -> dict[str, Any]:
    """The object at the step, made where there is none."""
    if not step.repeats:
        made: dict[str, Any] = node.setdefault(step.name, {})
        return made
    items: list[Any] = node.setdefault(step.name, [])
    place = next(_places(items, step), None)
    if place is None:
        items.append(_selected({}, step))
        place = len(items) - 1
    found: dict[str, Any] = items[place]
    return found


def _selected(value: Any, step: Step) -> Any:  # noqa: ANN401 - any JSON value
    """The item, which the step's own condition finds again."""
    if step.select is None or not isinstance(value, dict):
        return value
    return {step.select[0]: step.select[1], **value}


def _remove(node: Any, path: Path) -> None:  # noqa: ANN401 - any JSON value
    step, rest = path[0], path[1:]
    if not isinstance(node, dict) or step.name not in node:
        return
    found = node[step.name]
    if not step.repeats:
        if rest:
            _remove(found, rest)
        if not rest or found == {}:
            del node[step.name]
        return
    place = next(_places(found, step), None) if isinstance(found, list) else None
    if place is None:
        return
    if rest:
        _remove(found[place], rest)
    if not rest or found[place] in ({}, _selected({}, step)):
        del found[place]
    if not found:
        del node[step.name]
