"""OperationOutcome: what went wrong, where, and with which code; never with what was submitted.

https://hl7.org/fhir/R4/operationoutcome.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hayat_fhir.errors import Issue, Refusal


def operation_outcome(what: Refusal | Sequence[Issue]) -> dict[str, Any]:
    """The OperationOutcome of a refusal, or of any issues."""
    issues = what.issues if isinstance(what, Refusal) else what
    return {"resourceType": "OperationOutcome", "issue": [_issue(issue) for issue in issues]}


def _issue(issue: Issue) -> dict[str, Any]:
    shown: dict[str, Any] = {"severity": issue.severity, "code": issue.code}
    if issue.diagnostics:
        shown["diagnostics"] = issue.diagnostics
    if issue.expression:
        shown["expression"] = list(issue.expression)
    return shown
