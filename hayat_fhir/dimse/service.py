"""What the DICOM door offers: service classes, each with its presentation contexts and the handlers of its messages.

PS3.4 (service classes), PS3.7 (messages). The abstract and transfer syntaxes stand in conformance/dicom.json.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pynetdicom.presentation import PresentationContext, build_context

from hayat_fhir.dimse.association import DoorAssociation, RequestHandler, StoreHandler
from hayat_fhir.store.partners import Partner

Event = Any
"""pynetdicom's ``evt.Event``."""
EventType = Any
"""pynetdicom's ``evt.InterventionEvent``, such as ``evt.EVT_C_FIND``."""
Handler = Callable[[Event, Partner], Any]
"""Answers one message of a peer; what it returns or yields is what pynetdicom asks of a handler of that event."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service class. Several may handle the same event: a message goes to the service of its abstract syntax.

    ``handlers`` run in the thread of the association; ``store`` takes the images of C-STORE, which are too large to be
    handed over whole; ``ended`` is called once when an association is over, whatever way it went.
    """

    contexts: tuple[PresentationContext, ...]
    handlers: Mapping[EventType, Handler]
    store: StoreHandler | None = None
    private: Callable[[str], PresentationContext | None] | None = None
    """What is offered for an abstract syntax of which this service has no context, such as a vendor's own."""
    requests: Mapping[str, RequestHandler] = field(default_factory=dict)
    """Answers messages of these types (``C-MOVE``) all by itself, where pynetdicom would decode what is sent."""
    ended: Callable[[DoorAssociation], None] | None = None


def contexts(conformance: Mapping[str, Any], table: str) -> tuple[PresentationContext, ...]:
    """The presentation contexts of a table of conformance/dicom.json, of its rows with the role ``scp``.

    The transfer syntaxes are, in the order of our preference, those used for ``storage``, or else for ``messages``.
    Rows that have the role ``scu`` as well may be asked for with either role (PS3.7 D.3.3.4), as a peer does that
    retrieves by C-GET.
    """
    syntaxes = transfer_syntaxes(conformance, "storage" if table == "storage" else "messages")
    made = []
    for row in conformance[table]:
        if "scp" in row["roles"]:
            context = build_context(row["uid"], syntaxes)
            if "scu" in row["roles"]:
                context.scu_role = context.scp_role = True
            made.append(context)
    return tuple(made)


def transfer_syntaxes(conformance: Mapping[str, Any], use: str) -> list[str]:
    """The transfer syntaxes for ``storage`` or ``messages``, in the order of our preference."""
    return [row["uid"] for row in conformance["transfer_syntaxes"] if use in row["uses"]]
