"""URI parameters: equal, character by character.

https://hl7.org/fhir/R4/search.html#uri
"""

from __future__ import annotations

from hayat_fhir.search.collecting import Collector
from hayat_fhir.search.conditions import AnyKey
from hayat_fhir.search.entries import key
from hayat_fhir.search.escaping import unescaped


def index(code: str, value: str, collector: Collector) -> None:
    """Collect the entries of one URI; a canonical also without its version."""
    collector.equal(code, value)
    if "|" in value:
        collector.equal(code, value.partition("|")[0])
    collector.order(code, value)


def condition(code: str, text: str) -> AnyKey:
    """The resources with this URI."""
    return AnyKey((key(code, unescaped(text)),))
