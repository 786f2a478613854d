"""A record is its author's: no doctor writes one in another's name, nor changes or deletes what another one wrote.

What is signed stays signed: it is amended, and never becomes a draft again.
What came from another hospital has its author there. A doctor with the right ``records:amend`` may correct both.
"""

from __future__ import annotations

from typing import Any, Protocol

from hayat_fhir.errors import Conflict, Forbidden
from hayat_fhir.security.callers import Caller, Role

AMEND = "records:amend"
"""The right to change and delete records that others wrote."""

RIGHTS = frozenset({AMEND})
"""What a site may allow a person beyond the role."""

_RECORDS = frozenset({"DiagnosticReport"})
_DRAFTS = frozenset({"registered", "partial", "preliminary"})
_AUTHORS = {"DiagnosticReport": ("performer", "resultsInterpreter"), "Observation": ("performer",)}


class Old(Protocol):
    """The version that a write replaces."""

    @property
    def source(self) -> str | None:
        """The partner that contributed it."""

    @property
    def resource(self) -> dict[str, Any] | None:
        """Its content; None where it is deleted."""


def check_author(caller: Caller, type: str, new: dict[str, Any] | None, old: Old | None) -> None:
    """Return if this doctor may write this: judged on both versions (None: there is none).

    Raises:
        Forbidden: Another one is the author.
        Conflict: It would take back a signature.
    """
    if caller.role is not Role.DOCTOR or type not in _AUTHORS or AMEND in caller.rights:
        return
    before = None if old is None else old.resource
    if before is not None:
        authors = _authors(type, before)
        if type in _RECORDS and before.get("status") not in _DRAFTS and (new or before).get("status") in _DRAFTS:
            raise Conflict("what is signed does not become a draft again", expression=[f"{type}.status"])
        if (old is not None and old.source is not None) or (authors and caller.reference not in authors):
            raise Forbidden("only its author may change a record")
    if new is not None and type in _RECORDS:
        authors = _authors(type, new)
        if authors and caller.reference not in authors:
            raise Forbidden("a record is written in one's own name", expression=[f"{type}.performer"])


def _authors(type: str, resource: dict[str, Any]) -> set[str]:
    """The practitioners who answer for it."""
    references = (
        reference.get("reference", "").partition("/_history/")[0]
        for name in _AUTHORS[type]
        for reference in resource.get(name, ())
    )
    return {text for text in references if text.startswith("Practitioner/")}
