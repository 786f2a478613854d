"""Who is let in to the signalling server, and stays there: whoever had a ticket, while their sign-in is good."""

from __future__ import annotations

from secrets import token_urlsafe

from hayat_fhir.errors import Forbidden, InvalidRequest
from hayat_fhir.security.callers import Caller
from hayat_fhir.security.peers import PeerIds
from hayat_fhir.services.consultations import Consultations
from hayat_fhir.store.accounts import Accounts
from hayat_fhir.store.consultations import Consultations as ConsultationRows
from hayat_fhir.store.ended_tokens import EndedTokens
from hayat_fhir.store.tickets import Ticket, Tickets


class Admission:
    """Gives tickets, takes them, and knows whether they still hold."""

    def __init__(
        self,
        consultations: Consultations,
        rows: ConsultationRows,
        tickets: Tickets,
        peers: PeerIds,
        accounts: Accounts,
        ended: EndedTokens,
    ) -> None:
        self._consultations = consultations
        self._rows = rows
        self._tickets = tickets
        self._peers = peers
        self._accounts = accounts
        self._ended = ended

    async def ticket(self, caller: Caller, id: str, peer: str | None = None) -> tuple[str, str]:
        """A peer id and the token with which the caller may connect under it to a consultation, once.

        ``peer``: one that the caller has had in this consultation.

        Raises:
            NotFound: The caller is no member.
            InvalidRequest: The peer id is not the caller's.
            Conflict: The consultation is not active.
        """
        consultation = await self._consultations.join(caller, id)
        if caller.reference is None:
            raise Forbidden("no resource stands for the caller")
        if peer is None:
            peer = self._peers.new(caller.subject, consultation.id)
        elif not self._peers.belongs(peer, caller.subject, consultation.id):
            raise InvalidRequest("the peer id is not yours", code="value")
        token = token_urlsafe(24)
        ticket = Ticket(
            peer,
            consultation.id,
            caller.subject,
            caller.reference,
            caller.name or "",
            caller.role,
            caller.epoch,
            caller.session or "",
        )
        await self._tickets.add(token, ticket)
        return peer, token

    async def admitted(self, token: str) -> Ticket | None:
        """Whom a token lets in, which it does once.

        None: nobody, no member any more, the consultation is over, or the ticket does not hold.

        Raises:
            Unavailable: The database does not answer.
        """
        ticket = await self._tickets.use(token)
        consultation = None if ticket is None else await self._rows.by_id(ticket.consultation)
        if ticket is None or consultation is None or consultation.member(ticket.account) is None:
            return None
        return ticket if consultation.state == "active" and await self.holds(ticket) else None

    async def holds(self, ticket: Ticket) -> bool:
        """Whether the sign-in with which a ticket was asked for is good: the same account, not disabled since.

        Raises:
            Unavailable: The database does not answer.
        """
        account = await self._accounts.by_id(ticket.account)
        if account is None or account.disabled or account.pending or account.epoch != ticket.epoch:
            return False
        return not await self._ended.ended(ticket.session)
