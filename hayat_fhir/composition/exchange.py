"""The room of the exchange: partner hospitals, what goes to them and comes from them, and how the staff follows it."""

from __future__ import annotations

from dataclasses import dataclass

from hayat_fhir.composition.access import Access
from hayat_fhir.composition.foundation import Foundation
from hayat_fhir.composition.imaging import Imaging
from hayat_fhir.composition.records import Records
from hayat_fhir.dimse.delivery import ImageDelivery
from hayat_fhir.dimse.requestor import Requestor
from hayat_fhir.dimse.tls import ClientTls
from hayat_fhir.dimse.verification import PartnerVerification
from hayat_fhir.rest.outbound import PartnerClient
from hayat_fhir.services.document_visibility import SharedDocuments
from hayat_fhir.services.exchange import Exchange
from hayat_fhir.services.fetching import Fetching
from hayat_fhir.services.origins import Origins
from hayat_fhir.services.outbox import StaffOutbox
from hayat_fhir.services.partnership import PartnerDoors, Partnership
from hayat_fhir.services.statistics import Dashboard
from hayat_fhir.store.arrivals import Arrivals
from hayat_fhir.store.outbox import Outbox
from hayat_fhir.store.statistics import Statistics


@dataclass(frozen=True, kw_only=True)
class Exchanges:
    """Shares, fetches and the partners themselves."""

    outbox: Outbox
    exchange: Exchange
    fetching: Fetching
    partnership: Partnership
    staff_outbox: StaffOutbox
    dashboard: Dashboard
    origins: Origins


def exchanges(base: Foundation, records: Records, access: Access, imaging: Imaging, client: PartnerClient) -> Exchanges:
    """Build them; ``client`` speaks to partners."""
    settings, database, resources = base.settings, base.database, base.resources
    policy, auditing, partners = base.policy, base.auditing, base.partners
    outbox = Outbox(database)
    requestor = Requestor(settings.ae_title, ClientTls(*settings.dicom_tls_client))
    return Exchanges(
        outbox=outbox,
        exchange=Exchange(
            base_url=settings.fhir_url,
            resources=resources,
            policy=policy,
            auditing=auditing,
            everything=records.everything,
            outbox=outbox,
            partners=partners,
            grants=access.grants,
            consents=access.consents,
            binding=imaging.binding,
            fhir=client,
            imaging=ImageDelivery(database, imaging.instances, imaging.blobs, requestor),
            documents=SharedDocuments(imaging.document_visibility, imaging.instances),
        ),
        fetching=Fetching(resources, policy, auditing, partners, access.consents, client),
        partnership=Partnership(
            access.registration,
            partners,
            policy,
            auditing,
            PartnerDoors(client, PartnerVerification(requestor)),
        ),
        staff_outbox=StaffOutbox(outbox, policy, auditing),
        dashboard=Dashboard(Statistics(database), Arrivals(database), imaging.blobs.disk, policy, auditing),
        origins=Origins(resources, imaging.instances, partners, policy, auditing),
    )
