"""A report as objects that every PACS keeps: Basic Text SR, encapsulated PDF, and a selection of what goes together.

PS3.3 A.35.1 (Basic Text SR), A.45.1 (Encapsulated PDF), A.35.4 (Key Object Selection). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID

from hayat_fhir.dicom.composed_object import Composed, Referenced, code, evidence, finished, of_study, sop_reference

BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
_TITLE = ("18748-4", "LN", "Diagnostic imaging report")
FINDINGS = ("121070", "DCM", "Findings")
CONCLUSIONS = ("121076", "DCM", "Conclusions")
_TEXT_OF = {FINDINGS: ("121071", "DCM", "Finding"), CONCLUSIONS: ("121077", "DCM", "Conclusion")}
_SELECTED = ("113005", "DCM", "For Report Attachment")
_LONGEST_TITLE = 64


@dataclass(frozen=True, slots=True)
class ReportText:
    """What a report says. ``sections``: headings, each with its paragraphs; ``author``: a name for people."""

    title: str
    moment: datetime
    complete: bool
    final: bool
    author: str
    sections: Sequence[tuple[tuple[str, str, str], Sequence[str]]]


def text_report(attributes: Mapping[str, Any], study: str, text: ReportText, images: Sequence[Referenced]) -> Composed:
    """The report as a Basic Text SR, with the images as its evidence."""
    made = of_study(attributes, study)
    made.CompletionFlag = "COMPLETE" if text.complete else "PARTIAL"
    made.VerificationFlag = "UNVERIFIED"
    made.PreliminaryFlag = "FINAL" if text.final else "PRELIMINARY"
    made.ReferencedPerformedProcedureStepSequence = []
    made.PerformedProcedureCodeSequence = []
    if images:
        made.PertinentOtherEvidenceSequence = evidence(images)
    if text.author.strip("^= "):
        made.AuthorObserverSequence = [_author(text.author)]
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = code(*_TITLE)
    made.ContentSequence = [_section(concept, paragraphs) for concept, paragraphs in text.sections if paragraphs]
    return finished(made, BASIC_TEXT_SR, "SR", text.moment)


def portable_document(
    attributes: Mapping[str, Any], study: str, text: ReportText, content: bytes, images: Sequence[Referenced]
) -> Composed:
    """A PDF of the report as an object of the study."""
    made = of_study(attributes, study)
    made.ConversionType, made.BurnedInAnnotation = "SYN", "YES"
    made.AcquisitionDateTime = ""
    made.DocumentTitle = text.title
    made.ConceptNameCodeSequence = code(*_TITLE)
    if images:
        made.SourceInstanceSequence = [sop_reference(one) for one in images]
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    made.EncapsulatedDocumentLength = len(content)
    return finished(made, ENCAPSULATED_PDF, "DOC", text.moment)


def selection(attributes: Mapping[str, Any], study: str, moment: datetime, chosen: Sequence[Referenced]) -> Composed:
    """A Key Object Selection: images and documents that belong together (PS3.16 TID 2010)."""
    made = of_study(attributes, study)
    made.ReferencedPerformedProcedureStepSequence = []
    made.CurrentRequestedProcedureEvidenceSequence = evidence(chosen)
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = code(*_SELECTED)
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "2010"
    made.ContentTemplateSequence = [template]
    made.ContentSequence = [_chosen(one) for one in chosen]
    return finished(made, KEY_OBJECTS, "KO", moment)


def _chosen(one: Referenced) -> Dataset:
    item = Dataset()
    name = UID(one.sop_class).name
    is_image = "Image Storage" in name or "Video" in name
    item.RelationshipType, item.ValueType = "CONTAINS", "IMAGE" if is_image else "COMPOSITE"
    item.ReferencedSOPSequence = [sop_reference(one)]
    return item


def _section(concept: tuple[str, str, str], paragraphs: Sequence[str]) -> Dataset:
    section = Dataset()
    section.RelationshipType, section.ValueType = "CONTAINS", "CONTAINER"
    section.ConceptNameCodeSequence = code(*concept)
    section.ContinuityOfContent = "SEPARATE"
    section.ContentSequence = []
    for paragraph in paragraphs:
        item = Dataset()
        item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
        item.ConceptNameCodeSequence = code(*_TEXT_OF[concept])
        item.TextValue = paragraph
        section.ContentSequence.append(item)
    return section


def _author(name: str) -> Dataset:
    item = Dataset()
    *given, family = name.replace("^", " ").replace("=", " ").split()
    item.ObserverType, item.PersonName = "PSN", f"{family}^{' '.join(given)}"[:_LONGEST_TITLE].rstrip("^")
    item.InstitutionName, item.InstitutionCodeSequence, item.PersonIdentificationCodeSequence = "", [], []
    return item
