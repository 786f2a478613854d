"""JSON Patch, RFC 6902: a list of operations on a resource, all of which take effect, or none.

Pointers are those of RFC 6901. An array or object that an operation leaves empty is taken away in the end, for FHIR's
JSON has no empty ones. https://hl7.org/fhir/R4/http.html#patch
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from hayat_fhir.errors import InvalidRequest, Unprocessable

_MOST = 1000
_MOST_COPIED = 100_000
"""Values that the copies of one patch may make: copying into itself what was copied doubles it each time."""

_ESCAPE = re.compile(r"~(?![01])")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_MEMBERS = {
    "add": ("path", "value"),
    "remove": ("path",),
    "replace": ("path", "value"),
    "move": ("from", "path"),
    "copy": ("from", "path"),
    "test": ("path", "value"),
}
Pointer = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: ``source`` is where ``move`` and ``copy`` take from."""

    op: str
    path: Pointer
    source: Pointer = ()
    value: Any = None


def operations(document: object) -> tuple[Operation, ...]:
    """The operations of a patch document.

    Raises:
        InvalidRequest: It is none; the issue names the operation.
    """
    if not isinstance(document, list) or len(document) > _MOST:
        raise InvalidRequest(f"a JSON Patch is an array of at most {_MOST} operations", code="structure")
    return tuple(_operation(number, row) for number, row in enumerate(document))


def patched(resource: Mapping[str, Any], patch: tuple[Operation, ...]) -> dict[str, Any]:
    """The resource after all operations.

    Raises:
        Unprocessable: An operation does not fit the resource, a test fails, or what comes out is another resource.
    """
    root: dict[str, Any] = {"": copy.deepcopy(dict(resource))}
    copied = 0
    for number, operation in enumerate(patch):
        try:
            copied += _apply(root, operation)
        except (LookupError, TypeError, ValueError):
            _fail(number, "there is no such place, or it cannot hold this")
        except _TestFailed:
            _fail(number, "the value is not the one that the test asks for")
        if copied > _MOST_COPIED:
            _fail(number, "too much is copied")
    result = _pruned(root.get(""))
    if not isinstance(result, dict) or any(result.get(key) != resource.get(key) for key in ("resourceType", "id")):
        raise Unprocessable("a patch keeps the type and the id of a resource")
    return result


class _TestFailed(Exception):
    """The value at a place is not the one that a test operation names."""


def _operation(number: int, row: object) -> Operation:
    place = [f"[{number}]"]
    op = row.get("op") if isinstance(row, dict) else None
    if not isinstance(row, dict) or not isinstance(op, str) or op not in _MEMBERS:
        raise InvalidRequest("not an operation of RFC 6902", code="structure", expression=place)
    if any(name not in row for name in _MEMBERS[op]):
        raise InvalidRequest("a member of the operation is missing", code="required", expression=place)
    path, source = row["path"], row.get("from", "")
    for pointer in (path, source):
        if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")) or _ESCAPE.search(pointer):
            raise InvalidRequest("not a JSON pointer", code="value", expression=place)
    return Operation(op, _pointer(path), _pointer(source), row.get("value"))


def _pointer(text: str) -> Pointer:
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in text.split("/"))


def _apply(root: dict[str, Any], operation: Operation) -> int:
    """Let one operation take effect below ``root``; how many values it has copied."""
    match operation.op:
        case "add":
            _add(root, operation.path, copy.deepcopy(operation.value))
        case "remove":
            _remove(root, operation.path)
        case "replace":
            _remove(root, operation.path)
            _add(root, operation.path, copy.deepcopy(operation.value))
        case "test":
            if not _equal(_get(root, operation.path), operation.value):
                raise _TestFailed
        case "move":
            if operation.path[: len(operation.source)] == operation.source != operation.path:
                raise ValueError("into itself")
            _add(root, operation.path, _remove(root, operation.source))
        case _:
            found = _get(root, operation.source)
            _add(root, operation.path, copy.deepcopy(found))
            return _size(found)
    return 0


def _get(node: Any, path: Pointer) -> Any:  # noqa: ANN401 - any JSON value
    for step in path:
        node = node[_index(step, len(node) - 1)] if isinstance(node, list) else _member(node)[step]
    return node


def _add(root: dict[str, Any], path: Pointer, value: object) -> None:
    node = _get(root, path[:-1])
    if isinstance(node, list):
        node.insert(len(node) if path[-1] == "-" else _index(path[-1], len(node)), value)
    else:
        _member(node)[path[-1]] = value


def _remove(root: dict[str, Any], path: Pointer) -> Any:  # noqa: ANN401 - any JSON value
    node = _get(root, path[:-1])
    if isinstance(node, list):
        return node.pop(_index(path[-1], len(node) - 1))
    return _member(node).pop(path[-1])


def _member(node: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    if not isinstance(node, dict):
        raise TypeError("not an object")
    return node


def _index(step: str, last: int) -> int:
    if _INDEX.fullmatch(step) is None or int(step) > last:
        raise IndexError(step)
    return int(step)


def _equal(one: Any, other: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Equality of JSON: numbers by their value, true is no 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _size(value: object) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_size, children))


def _pruned(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Without arrays and objects that hold nothing."""
    if isinstance(value, dict):
        return {key: kept for key, child in value.items() if (kept := _pruned(child)) not in ({}, [])}
    if isinstance(value, list):
        return [kept for child in value if (kept := _pruned(child)) not in ({}, [])]
    return value


def _fail(number: int, why: str) -> NoReturn:
    raise Unprocessable(why, code="processing", expression=[f"[{number}]"])
