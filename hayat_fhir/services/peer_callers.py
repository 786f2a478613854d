"""DICOM peers as callers: a peer is its partner, and sees at the DICOM port what it sees at any other door."""

from __future__ import annotations

from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.store.grants import Grants
from hayat_fhir.store.partners import Partner


class PeerCallers:
    """Knows what has been shared with a peer."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants

    async def caller(self, peer: Partner, address: str) -> Caller:
        """The peer, which calls from this address.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        return Caller(
            Role.PARTNER,
            peer.id,
            f"Organization/{peer.id}",
            peer.name,
            frozenset(peer.scopes),
            await self._grants.patients(peer.id),
            peer.id,
            address=address,
        )
