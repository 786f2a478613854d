"""The security context of a Binary: the resource on whose behalf it is there, and whose rules are its own.

A Binary carries no labels of the patient and no type of content that a Consent could name; its context does.
https://hl7.org/fhir/R4/binary.html#security
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hayat_fhir.fhir.references import parse

SECURITY_CONTEXT = "security-context"
"""Stands among the compartments of a Binary that has another context than a patient, followed by which; no reference
looks like it. Such a Binary is in no list: who may see it is told only where its context is looked at."""
_NAMED = f"{SECURITY_CONTEXT}:"


def context_of(resource: Mapping[str, Any]) -> str | None:
    """What a Binary names as its context, without a version; None where that is nothing, or a patient.

    A Binary of a patient is in the patient's compartment, which needs nothing more.
    """
    parsed = parse(str(resource.get("securityContext", {}).get("reference", "")))
    if parsed is None or (parsed.base is None and parsed.type == "Patient"):
        return None
    return f"{parsed.base}/{parsed.type}/{parsed.id}" if parsed.base else f"{parsed.type}/{parsed.id}"


def context_marks(resource: Mapping[str, Any]) -> tuple[str, ...]:
    """What stands among the compartments of this resource for its context."""
    context = context_of(resource) if resource.get("resourceType") == "Binary" else None
    return () if context is None else (SECURITY_CONTEXT, _NAMED + context)


def context_in(compartments: Iterable[str]) -> str | None:
    """The context that these compartments tell of, also of a version that is a deletion."""
    return next((mark.removeprefix(_NAMED) for mark in compartments if mark.startswith(_NAMED)), None)


def leaves_context(new: Mapping[str, Any], old: Mapping[str, Any] | None) -> bool:
    """Whether the new version of a Binary is not on behalf of what the old one was."""
    before = (old or {}).get("securityContext")
    return before is not None and new.get("securityContext") != before
