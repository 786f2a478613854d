"""DICOM peers as callers: a peer is its partner, and sees at the DICOM port what it sees at any other door."""

from __future__ import annotations

from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.services.consents import Consents
from hayat_fhir.store.partners import Partner


class PeerCallers:
    """Knows what has been shared with a peer."""

    def __init__(self, consents: Consents) -> None:
        self._consents = consents

    async def caller(self, peer: Partner, address: str) -> Caller:
        """The peer, which calls from this address.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        shared = await self._consents.shared_with(peer.id)
        return Caller(
            Role.PARTNER,
            peer.id,
            f"Organization/{peer.id}",
            peer.name,
            frozenset(peer.scopes),
            shared.patients,
            peer.id,
            address=address,
            limits=shared.limits,
        )
