"""Reference parameters: to a resource of this server, elsewhere, or by identifier.

https://hl7.org/fhir/R4/search.html#reference
"""

from __future__ import annotations

import re
from typing import Any

from hayat_fhir.fhir.references import parse
from hayat_fhir.search.collecting import Collector
from hayat_fhir.search.entries import key
from hayat_fhir.search.escaping import split, unescaped
from hayat_fhir.search.parameters import SearchParameter

_IDENTIFIER = "identifier"
_HERE = re.compile(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9.\-]{1,64}", re.ASCII)


def reference_key(code: str, reference: str) -> int:
    """The key of a parameter whose value is ``Type/id``, or an absolute URL."""
    return key(code, reference)


def literal(value: Any, base_url: str) -> str | None:  # noqa: ANN401 - a FHIR element
    """What a Reference or canonical names: ``Type/id`` on this server (``base_url``), an absolute URL elsewhere."""
    text = value.get("reference") if isinstance(value, dict) else value
    if not isinstance(text, str) or text.startswith("#"):
        return None
    if _HERE.fullmatch(text) is not None:
        return text
    parsed = parse(text)
    if parsed is None:
        return text
    if parsed.base is None or parsed.base == base_url:
        return f"{parsed.type}/{parsed.id}"
    return f"{parsed.base}/{parsed.type}/{parsed.id}"


def index(code: str, value: Any, base_url: str, target: str | None, collector: Collector) -> None:  # noqa: ANN401
    """Collect the entries of one reference; with ``target`` only where it points to that type."""
    name = literal(value, base_url)
    if name is not None and (target is None or f"/{name}".rsplit("/", 2)[-2] == target):
        collector.equal(code, name)
        if "|" in name:
            collector.equal(code, name.partition("|")[0])
        collector.order(code, name)
    identifier = value.get(_IDENTIFIER) if isinstance(value, dict) else None
    if isinstance(identifier, dict) and "value" in identifier:
        collector.equal(f"{code}:{_IDENTIFIER}", identifier["value"])
        collector.equal(f"{code}:{_IDENTIFIER}", f"{identifier.get('system', '')}|{identifier['value']}")


def identified(parameter: SearchParameter, text: str) -> int:
    """The key of the resources that refer by this identifier: ``value``, ``system|value`` or ``|value``.

    Raises:
        ValueError: Not an identifier.
    """
    system, *rest = split(text, "|")
    if len(rest) > 1 or not (system or any(rest)):
        raise ValueError("not an identifier")
    return key(f"{parameter.code}:{_IDENTIFIER}", system if not rest else f"{system}|{rest[0]}")


def named(parameter: SearchParameter, text: str, modifier: str | None, base_url: str) -> list[str]:
    """What a search value may name: one reference, or ``Type/id`` for each type the parameter can point to.

    Raises:
        ValueError: Not a reference, or an id without a type where any type may be meant.
    """
    text = unescaped(text)
    if not text or text.startswith("#"):
        raise ValueError("not a reference")
    name = literal(text, base_url)
    if name is not None and ("/" in name or ":" in name):
        if modifier is not None and f"/{name}".rsplit("/", 2)[-2] != modifier:
            raise ValueError("the reference is to another type than the modifier names")
        return [name]
    if modifier is not None:
        return [f"{modifier}/{text}"]
    path_targets = {path.target for path in parameter.paths if path.target is not None}
    targets = sorted(path_targets) or [target for target in parameter.targets if target != "*"]
    if not targets:
        raise ValueError("the type must be named")
    return [f"{target}/{text}" for target in targets]
