"""Documents among the images of a study: whoever may not see the resource made of one does not get the object either.

A Structured Report says what its DiagnosticReport says, an encapsulated document and a selection what their
DocumentReference does. So a security label of that resource, and what the patient's Consent says of its type, hold for
the object as well, at every door. Where no resource could be made of an object, what may be seen of that type in the
place of its study decides. Studies without documents cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from hayat_fhir.dicom import key_objects
from hayat_fhir.dicom.encapsulated_document import MEDIA
from hayat_fhir.dicom.structured_report import PREFIX
from hayat_fhir.errors import Forbidden
from hayat_fhir.security.callers import Caller, Restriction
from hayat_fhir.security.consent import Terms
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.imaging_study import STUDY_SYSTEM
from hayat_fhir.store.documents import source_mark
from hayat_fhir.store.imaging_documents import ImagingDocumentRows
from hayat_fhir.store.instances import Instances

Admit = Callable[[str], Restriction | None]
"""The restriction of a resource type; None where nothing of it may be seen."""


_SHAREABLE = Restriction(everything=True)


class Object(Protocol):
    """What must be known of an image, which may be a document."""

    @property
    def uid(self) -> str:
        """SOP Instance UID."""

    @property
    def sop_class(self) -> str:
        """SOP Class UID."""

    @property
    def peer(self) -> str:
        """The partner that sent it."""

    @property
    def document(self) -> str | None:
        """The resource that was made of it."""


O = TypeVar("O", bound=Object)  # noqa: E741 - an object


def document_type(sop_class: str) -> str | None:
    """The type of the resource that says the same as an object of this SOP class; None: it is an image."""
    if sop_class.startswith(PREFIX):
        return "DocumentReference" if sop_class == key_objects.SOP_CLASS else "DiagnosticReport"
    return "DocumentReference" if sop_class in MEDIA else None


class DocumentVisibility:
    """Tells the objects apart."""

    def __init__(self, rows: ImagingDocumentRows, policy: Policy) -> None:
        self._rows = rows
        self._policy = policy

    def of(self, caller: Caller, interaction: Interaction) -> Admit:
        """What a caller may see of a resource type."""

        def admit(type: str) -> Restriction | None:
            try:
                return self._policy.restriction(caller, interaction, type)
            except Forbidden:
                return None

        return admit

    async def shown(self, objects: Sequence[O], admit: Admit, marks: Sequence[str]) -> list[O]:
        """The images among these objects of one study, and the documents that may be seen as well.

        ``marks`` are those of its ImagingStudy, which may be seen.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        documents = [one for one in objects if document_type(one.sop_class) is not None]
        if not documents:
            return list(objects)
        made = {one.uid: [one.document] for one in documents if one.document is not None}
        made |= await self._identified([one for one in documents if one.document is None])
        seen = await self._rows.visible({reference for several in made.values() for reference in several}, admit)
        withheld = {
            one.uid
            for one in documents
            if not (seen.issuperset(made[one.uid]) if one.uid in made else _admits(admit, one, marks))
        }
        return [one for one in objects if one.uid not in withheld]

    async def _identified(self, documents: Sequence[Object]) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for type in sorted({str(document_type(one.sop_class)) for one in documents}):
            senders = {one.uid: one.peer for one in documents if document_type(one.sop_class) == type}
            found |= await self._rows.identified(type, STUDY_SYSTEM, senders)
        return found


class SharedDocuments:
    """Tells which documents do not go along with the images of a share."""

    def __init__(self, visibility: DocumentVisibility, instances: Instances) -> None:
        self._visibility = visibility
        self._instances = instances

    async def withheld(self, studies: Sequence[str], terms: Terms) -> frozenset[str]:
        """The UIDs of those whose resource is labelled restricted, or of a type that the patient denies the partner.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        found: set[str] = set()
        for study in studies:
            rows = await self._instances.located(study)
            shown = await self._visibility.shown(rows, lambda type: _SHAREABLE if terms.allow(type) else None, ())
            found |= {row.uid for row in rows} - {row.uid for row in shown}
        return frozenset(found)


def _admits(admit: Admit, document: Object, marks: Sequence[str]) -> bool:
    """Whether a resource of the document's type could be seen where its study is."""
    restriction = admit(str(document_type(document.sop_class)))
    if restriction is None:
        return False
    own = {*restriction.compartments, *map(source_mark, restriction.sources)}
    return restriction.everything or not own.isdisjoint(marks)
