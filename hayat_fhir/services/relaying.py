"""Which relay passes the media of a consultation on, where its two sides do not reach each other."""

from __future__ import annotations

from hayat_fhir.errors import Forbidden
from hayat_fhir.security.callers import Caller
from hayat_fhir.security.peers import PeerIds
from hayat_fhir.services.consultations import Consultations
from hayat_fhir.store.consultations import Consultation
from hayat_fhir.store.consultations import Consultations as ConsultationRows
from hayat_fhir.store.tickets import Ticket

ROLE = "relay"


class Relaying:
    """Lets a consultation have one relay at a time."""

    def __init__(self, consultations: Consultations, rows: ConsultationRows, peers: PeerIds) -> None:
        self._consultations = consultations
        self._rows = rows
        self._peers = peers

    async def wanted(self, caller: Caller, id: str) -> Consultation:
        """The consultation for which the caller may ask for a relay.

        Raises:
            NotFound: The caller is no member.
            Forbidden: The caller was only invited.
            Conflict: The consultation is not active.
        """
        consultation = await self._consultations.join(caller, id)
        if caller.subject not in consultation.sides:
            raise Forbidden("a relay joins the doctor and the patient")
        return consultation

    def ticket(self, consultation: Consultation) -> Ticket:
        """The ticket of a new relay."""
        peer = self._peers.new(ROLE, consultation.id)
        return Ticket(peer, consultation.id, ROLE, "Device/relay", "Relay", ROLE)

    async def begin(self, consultation: Consultation, ticket: Ticket) -> bool:
        """Make a relay known in the place of the one that the consultation has; False where another came first.

        Raises:
            Unavailable: The database does not answer.
        """
        return await self._rows.relay(consultation.id, consultation.relay, ticket.peer) is not None

    async def end(self, ticket: Ticket) -> None:
        """This relay runs no more.

        Raises:
            Unavailable: The database does not answer.
        """
        await self._rows.relay(ticket.consultation, ticket.peer, None)
