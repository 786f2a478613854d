"""String parameters: names, addresses and texts, whatever their case, accents and script variants.

https://hl7.org/fhir/R4/search.html#string
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from hayat_fhir.search.collecting import Collector
from hayat_fhir.search.conditions import AnyKey, Text
from hayat_fhir.search.entries import key
from hayat_fhir.search.escaping import unescaped

_PARTS = {
    "HumanName": ("text", "family", "given", "prefix", "suffix"),
    "Address": ("text", "line", "city", "district", "state", "country", "postalCode"),
}
_TURKISH = {0x131: "i", 0x130: "i"}
"""LATIN SMALL LETTER DOTLESS I and LATIN CAPITAL LETTER I WITH DOT ABOVE."""

_EXACT = "exact"
_LONGEST = 256
_REMEMBERED = 2**14


def index(code: str, value: Any, type: str, collector: Collector) -> None:  # noqa: ANN401 - a FHIR element
    """Collect the entries of one value of ``type``."""
    for text in _texts(value, type):
        normal = normalised(text)
        if normal:
            collector.text(code, normal)
            collector.equal(f"{code}:{_EXACT}", text)
            collector.order(code, normal)


def condition(code: str, text: str, modifier: str | None) -> AnyKey | Text:
    """The resources with a string that starts with, contains or equals the text.

    Raises:
        ValueError: Nothing to look for.
    """
    text = unescaped(text)
    if modifier == _EXACT:
        return AnyKey((key(f"{code}:{_EXACT}", text),))
    normal = normalised(text)
    if not normal:
        raise ValueError("nothing to look for")
    return Text(code, normal, "contains" if modifier == "contains" else "starts")


@lru_cache(_REMEMBERED)
def normalised(text: str) -> str:
    """Case, accents, punctuation variants and runs of white space taken out; the Turkish dotless i is an i."""
    plain = unicodedata.normalize("NFKD", text).translate(_TURKISH)
    plain = unicodedata.normalize("NFKD", plain.casefold())
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    return " ".join(plain.split())[:_LONGEST]


def _texts(value: Any, type: str) -> Iterator[str]:  # noqa: ANN401 - a FHIR element
    names = _PARTS.get(type)
    if names is None:
        if isinstance(value, str):
            yield value
        return
    for name in names:
        part = value.get(name, ())
        yield from (part,) if isinstance(part, str) else (item for item in part if item is not None)
