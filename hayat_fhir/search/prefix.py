"""Prefixes of ordered search values: eq, ne, gt, ge, lt, le, sa, eb, ap.

https://hl7.org/fhir/R4/search.html#prefix
"""

from __future__ import annotations

PREFIXES = frozenset({"eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap"})


def prefixed(text: str) -> tuple[str, str]:
    """The prefix (``eq`` where none stands) and the rest.

    Raises:
        ValueError: An unknown prefix.
    """
    if text[:1].isdigit() or text[:1] in {"-", "+", "."}:
        return "eq", text
    if text[:2] not in PREFIXES:
        raise ValueError("unknown prefix")
    return text[:2], text[2:]
