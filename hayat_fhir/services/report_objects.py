"""What a report says, as objects of the study that it is about. Pure.

Nothing in them follows from how often the report was stored, or from when they are made.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from hayat_fhir.dicom.composed_object import Composed, Referenced
from hayat_fhir.dicom.plain_pdf import plain_pdf
from hayat_fhir.dicom.report_document import (
    CONCLUSIONS,
    FINDINGS,
    ReportText,
    portable_document,
    selection,
    text_report,
)
from hayat_fhir.store.instances import Instance
from hayat_fhir.store.records import Stored

_MOST_EVIDENCE = 2000
"""Images to which a document refers."""
_LONGEST_LINE = 10_000
_COMPLETE = frozenset({"final", "amended", "corrected", "appended"})


def objects_of(
    images: Sequence[Instance], reports: Sequence[Stored], history: Mapping[str, Stored]
) -> dict[str, list[Composed]]:
    """For each report, by its reference, the objects that say what it says."""
    first = min(images, key=lambda one: (one.received, one.uid))
    evidence = [_referenced(one) for one in images[:_MOST_EVIDENCE]]
    made: dict[str, list[Composed]] = {}
    for report in reports:
        text = _text(report.resource or {}, history, first.received)
        documents = [text_report(first.attributes, first.study, text, evidence)]
        documents += [
            portable_document(first.attributes, first.study, text, content, evidence) for content in _pdfs(report, text)
        ]
        made[report.reference] = documents
    return made


def selected(images: Sequence[Instance], documents: Sequence[Composed]) -> Composed:
    """The selection of the images and of the documents that belong to them."""
    first = min(images, key=lambda one: (one.received, one.uid))
    moment = max(one.received for one in images)
    chosen = [_referenced(one) for one in images[:_MOST_EVIDENCE]]
    chosen += [Referenced(one.study, one.series, one.sop_class, one.uid) for one in documents]
    return selection(first.attributes, first.study, moment, chosen)


def _text(resource: Mapping[str, Any], history: Mapping[str, Stored], otherwise: datetime) -> ReportText:
    """What a report says, as text: what was found, and what is concluded; ``otherwise``: when, if it does not tell."""
    results = [history.get(str(one.get("reference"))) for one in resource.get("result", ())]
    findings = [line for one in results if one is not None for line in _observed(one.resource or {})]
    for form in resource.get("presentedForm", ()):
        if str(form.get("contentType", "")).startswith("text/plain") and form.get("data"):
            findings += b64decode(form["data"]).decode("utf-8", "replace").splitlines()
    conclusions = str(resource.get("conclusion", "")).splitlines()
    conclusions += [_concept(one) for one in resource.get("conclusionCode", ())]
    performers = [*resource.get("resultsInterpreter", ()), *resource.get("performer", ())]
    moment = resource.get("issued") or resource.get("effectiveDateTime")
    return ReportText(
        title=(_concept(resource.get("code", {})) or "Report")[:64],
        moment=_moment(str(moment), otherwise),
        complete=resource.get("status") in _COMPLETE,
        final=resource.get("status") in _COMPLETE,
        author=next((str(one["display"]) for one in performers if one.get("display")), ""),
        sections=((FINDINGS, _lines(findings)), (CONCLUSIONS, _lines(conclusions))),
    )


def _observed(observation: Mapping[str, Any]) -> list[str]:
    name = _concept(observation.get("code", {}))
    quantity = observation.get("valueQuantity")
    value = observation.get("valueString") or _concept(observation.get("valueCodeableConcept", {}))
    if isinstance(quantity, Mapping):
        value = f"{quantity.get('value', '')} {quantity.get('unit', quantity.get('code', ''))}".strip()
    return [f"{name}: {value}" if name and value else str(value or name)]


def _concept(concept: Mapping[str, Any]) -> str:
    codings = concept.get("coding", ())
    return str(concept.get("text") or next((c.get("display") or c.get("code", "") for c in codings), ""))


def _lines(lines: Sequence[str]) -> list[str]:
    return [line.strip()[:_LONGEST_LINE] for line in lines if line.strip()]


def _moment(said: str, otherwise: datetime) -> datetime:
    """A FHIR dateTime; ``otherwise`` where it is none, or only a year or a month."""
    try:
        return datetime.fromisoformat(said)
    except ValueError:
        return otherwise


def _pdfs(report: Stored, text: ReportText) -> list[bytes]:
    """The PDFs that a report has; where it has none, one of its text."""
    forms = (report.resource or {}).get("presentedForm", ())
    found = [b64decode(one["data"]) for one in forms if one.get("contentType") == "application/pdf" and one.get("data")]
    if found:
        return found
    lines = [line for (_, _, heading), lines in text.sections if lines for line in (heading, *lines, "")]
    made = plain_pdf(text.title, [*([text.author, ""] if text.author else []), *lines])
    return [] if made is None else [made]


def _referenced(one: Instance) -> Referenced:
    return Referenced(one.study, one.series, one.sop_class, one.uid)
