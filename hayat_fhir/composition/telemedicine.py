"""The room of telemedicine: who is there, who calls whom, and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from hayat_fhir.composition.foundation import Foundation
from hayat_fhir.composition.records import Records
from hayat_fhir.security.peers import PeerIds
from hayat_fhir.services.admission import Admission
from hayat_fhir.services.consultations import Consultations
from hayat_fhir.services.notifications import Notifications
from hayat_fhir.services.presence import Presence
from hayat_fhir.services.recordings import Recordings
from hayat_fhir.store.consultations import Consultations as ConsultationRows
from hayat_fhir.store.ended_tokens import EndedTokens
from hayat_fhir.store.presence import PresenceRows
from hayat_fhir.store.tickets import Tickets


@dataclass(frozen=True, kw_only=True)
class Telemedicine:
    """Presence, calls and their recordings."""

    presence: Presence
    consultations: Consultations
    admission: Admission
    notifications: Notifications
    recordings: Recordings
    peers: PeerIds


def telemedicine(base: Foundation, records: Records) -> Telemedicine:
    """Build it for this process, which is told apart from the others by a name that it draws."""
    settings, database, interactions = base.settings, base.database, records.interactions
    rows = ConsultationRows(database)
    presence = Presence(PresenceRows(database), uuid4().hex)
    peers = PeerIds(base.keys.secret("peer ids"))
    consultations = Consultations(rows, presence, interactions, base.auditing)
    return Telemedicine(
        presence=presence,
        consultations=consultations,
        admission=Admission(consultations, rows, Tickets(database), peers, base.accounts, EndedTokens(database)),
        notifications=Notifications(base.policy, base.resources),
        recordings=Recordings(
            rows,
            interactions,
            peers,
            settings.data_dir / "recordings",
            base.keys.secret("recordings"),
            settings.site_url,
        ),
        peers=peers,
    )
