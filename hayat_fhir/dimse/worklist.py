"""Modality worklist (C-FIND) as SCP.

PS3.4 annex K, https://dicom.nema.org/medical/dicom/current/output/html/part04.html#chapter_K
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import evt

from hayat_fhir.dicom.matching import conditions
from hayat_fhir.dimse.event_loop import EventLoop
from hayat_fhir.dimse.identifiers import asked_for, status, with_charset
from hayat_fhir.dimse.query import CANCELLED, MOST_MATCHES, OUT_OF_RESOURCES, PENDING, KnownAs, refused
from hayat_fhir.dimse.service import Event, Service, contexts
from hayat_fhir.errors import InvalidRequest, Refusal
from hayat_fhir.services.worklist import Wanted, Worklist
from hayat_fhir.store.partners import Partner

_STEPS = "ScheduledProcedureStepSequence"
_NOT_MATCHED = frozenset({"SpecificCharacterSet"})
_MOST_KEYS = 512


class WorklistProvider:
    """Answers worklist queries; ``most``: matches of one query, after which it is answered 0xA700."""

    def __init__(self, worklist: Worklist, known_as: KnownAs, loop: EventLoop, most: int = MOST_MATCHES) -> None:
        self._worklist = worklist
        self._known_as = known_as
        self._loop = loop
        self._most = most

    def service(self, conformance: Mapping[str, Any]) -> Service:
        """The service; ``conformance`` is conformance/dicom.json."""
        return Service(contexts(conformance, "worklist"), {evt.EVT_C_FIND: self.find})

    def find(self, event: Event, peer: Partner) -> Iterator[tuple[Dataset | int, Dataset | None]]:
        """The answers to one C-FIND."""
        try:
            yield from self._answers(event, peer)
        except Refusal as refusal:
            yield refused(refusal), None

    def _answers(self, event: Event, peer: Partner) -> Iterator[tuple[Dataset | int, Dataset | None]]:
        identifier, wanted, asked = _received(event)
        caller = self._loop.wait(self._known_as(peer, event.assoc.address))
        given = 0
        for entries in self._loop.each(self._worklist.find(caller, peer.ae_title or "", wanted, asked)):
            for entry in entries:
                if event.is_cancelled:
                    yield CANCELLED, None
                    return
                if given == self._most:
                    yield OUT_OF_RESOURCES, None
                    return
                given += 1
                yield status(PENDING), _answer(entry, identifier)


def _received(event: Event) -> tuple[Dataset, Wanted, str]:
    """The identifier, its conditions, and how it stands in the audit trail.

    Raises:
        InvalidRequest: It cannot be read.
        TooLarge: A key has too many values.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            identifier: Dataset = event.identifier
            identifier.decode()
            elements = [("", element) for element in identifier if element.VR != "SQ"]
            for item in identifier.get(_STEPS) or ():
                elements += [("step/", element) for element in item if element.VR != "SQ"]
            keys = [
                (f"{at}{element.tag:08X}", str(element.VR), element.value, element.keyword)
                for at, element in elements
                if element.keyword and element.keyword not in _NOT_MATCHED
            ]
    except Exception as error:  # pydicom raises whatever a stranger's bytes make it
        raise InvalidRequest("the identifier cannot be read", code="structure") from error
    if len(keys) > _MOST_KEYS:
        raise InvalidRequest("the identifier has too many keys", code="too-long")
    wanted = {place: found for place, vr, value, keyword in keys if (found := conditions(vr, value, keyword))}
    asked = "&".join(f"{keyword}={str(value)[:256]}" for place, _, value, keyword in keys if place in wanted)
    return identifier, wanted, asked


def _answer(entry: Mapping[str, Any], identifier: Dataset) -> Dataset:
    """What was asked for of an entry."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return with_charset(Dataset.from_json(asked_for(entry, identifier)), entry, identifier)
