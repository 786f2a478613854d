"""The composition root: every object is built here, once, from the settings; opened and closed in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from hayat_fhir import definitions
from hayat_fhir.definitions import Definitions
from hayat_fhir.dimse.delivery import ImageDelivery
from hayat_fhir.dimse.verification import PartnerVerification
from hayat_fhir.fhir.plans import Plans
from hayat_fhir.fhir.subset import Subsets
from hayat_fhir.fhir.validation import Validator
from hayat_fhir.imaging_process import ImagingProcesses
from hayat_fhir.imaging_services import imaging_services
from hayat_fhir.mapping_files import compiled_mappings
from hayat_fhir.model_process import ModelProcesses
from hayat_fhir.rest.outbound import PartnerClient
from hayat_fhir.search.indexing import Indexer
from hayat_fhir.search.parameters import SearchParameters
from hayat_fhir.security.keys import SiteKeys
from hayat_fhir.security.passwords import Passwords
from hayat_fhir.security.peers import PeerIds
from hayat_fhir.security.policy import Policy
from hayat_fhir.security.second_factor import SecondFactor
from hayat_fhir.security.tokens import AccessToken, verify_access
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.authentication import Authentication
from hayat_fhir.services.authorization import Authorization
from hayat_fhir.services.binding import Binding
from hayat_fhir.services.bundles import Bundles
from hayat_fhir.services.chaining import Chaining
from hayat_fhir.services.conditional import Conditional
from hayat_fhir.services.conditional_writes import ConditionalWrites
from hayat_fhir.services.consents import Consents, Sharing
from hayat_fhir.services.consultations import Consultations
from hayat_fhir.services.credentials import Credentials
from hayat_fhir.services.drafting import Drafting
from hayat_fhir.services.emergency import Emergencies
from hayat_fhir.services.everything import Everything
from hayat_fhir.services.exchange import Exchange
from hayat_fhir.services.fetching import Fetching
from hayat_fhir.services.front_desk import FrontDesk
from hayat_fhir.services.imaging_query import ImagingQuery
from hayat_fhir.services.imaging_visibility import ImagingVisibility
from hayat_fhir.services.ingest import Ingest
from hayat_fhir.services.interactions import Interactions
from hayat_fhir.services.legacy_reading import LegacyReading
from hayat_fhir.services.legacy_writing import LegacyWriting
from hayat_fhir.services.notifications import Notifications
from hayat_fhir.services.origins import Origins
from hayat_fhir.services.outbox import StaffOutbox
from hayat_fhir.services.partnership import PartnerDoors, Partnership
from hayat_fhir.services.password_hashing import PasswordHashing
from hayat_fhir.services.people import People
from hayat_fhir.services.presence import Presence
from hayat_fhir.services.procedure_steps import Procedures
from hayat_fhir.services.projection import Projection
from hayat_fhir.services.quarantine import Quarantine
from hayat_fhir.services.recordings import Recordings
from hayat_fhir.services.refusals import Refusals
from hayat_fhir.services.registration import Registration
from hayat_fhir.services.reindexing import Reindexing
from hayat_fhir.services.retrieval import Retrieval
from hayat_fhir.services.searching import Searching
from hayat_fhir.services.sign_in import SignIn
from hayat_fhir.services.statistics import Dashboard
from hayat_fhir.services.storing import Storing
from hayat_fhir.services.transactions import Transactions
from hayat_fhir.services.type_histories import TypeHistories
from hayat_fhir.services.verification import Verification
from hayat_fhir.settings import Settings
from hayat_fhir.store.accounts import Accounts
from hayat_fhir.store.arrivals import Arrivals
from hayat_fhir.store.assertions import Assertions
from hayat_fhir.store.audit_events import AuditLog
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.claims import Claims
from hayat_fhir.store.consultations import Consultations as ConsultationRows
from hayat_fhir.store.database import Database, ThreadedDatabase, connect, connect_sync
from hayat_fhir.store.ended_tokens import EndedTokens
from hayat_fhir.store.grants import Grants
from hayat_fhir.store.image_metadata import ImageMetadata
from hayat_fhir.store.images import Images
from hayat_fhir.store.imaging_studies import ImagingStudyRows
from hayat_fhir.store.index_renewal import IndexRenewal
from hayat_fhir.store.instances import IncomingInstances, Instances
from hayat_fhir.store.manifests import Manifests
from hayat_fhir.store.mongod import EmbeddedMongod, attach
from hayat_fhir.store.outbox import Outbox
from hayat_fhir.store.partners import Partners
from hayat_fhir.store.photos import Photos
from hayat_fhir.store.presence import PresenceRows
from hayat_fhir.store.procedure_steps import ProcedureSteps
from hayat_fhir.store.resources import Resources
from hayat_fhir.store.statistics import Statistics
from hayat_fhir.store.throttles import Throttles
from hayat_fhir.store.tickets import Tickets
from hayat_fhir.store.type_history import TypeHistory


@dataclass(frozen=True, slots=True)
class Site:
    """One site's services, ready to be called."""

    settings: Settings
    definitions: Definitions
    parameters: SearchParameters
    subsets: Subsets
    keys: SiteKeys
    database: Database
    accounts: Accounts
    partners: Partners
    outbox: Outbox
    instances: Instances
    authentication: Authentication
    authorization: Authorization
    auditing: Auditing
    refusals: Refusals
    interactions: Interactions
    conditional_writes: ConditionalWrites
    searching: Searching
    bundles: Bundles
    everything: Everything
    histories: TypeHistories
    exchange: Exchange
    fetching: Fetching
    sharing: Sharing
    emergencies: Emergencies
    projection: Projection
    imaging_visibility: ImagingVisibility
    procedures: Procedures
    reindexing: Reindexing
    quarantine: Quarantine
    binding: Binding
    verification: Verification
    retrieval: Retrieval
    imaging_query: ImagingQuery
    storing: Storing
    imaging_processes: ImagingProcesses
    registration: Registration
    partnership: Partnership
    staff_outbox: StaffOutbox
    dashboard: Dashboard
    origins: Origins
    sign_in: SignIn
    credentials: Credentials
    legacy_reading: LegacyReading
    legacy_writing: LegacyWriting
    front_desk: FrontDesk
    photos: Photos
    presence: Presence
    consultations: Consultations
    notifications: Notifications
    recordings: Recordings
    peers: PeerIds


@asynccontextmanager
async def open_site(settings: Settings, database_name: str = "hayat") -> AsyncIterator[Site]:
    """Build a site on its database: the one in the settings, the one that runs, or one started for the moment.

    Raises:
        ConfigurationError: A definition, mapping or key file is wrong, or there is no MongoDB to be had.
    """
    loaded = definitions.load()
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with AsyncExitStack() as stack:
        url = await _mongodb_url(settings, stack)
        database = connect(url, database_name)
        stack.push_async_callback(database.close)
        if settings.mongodb_url is not None:
            await database.check_server()
        log = AuditLog(database)
        stack.push_async_callback(log.drain)
        keys = SiteKeys.load_or_create(settings.secrets_dir)
        client = PartnerClient(settings.fhir_url, keys.client_assertion)
        stack.push_async_callback(client.close)
        models = ModelProcesses()
        stack.push_async_callback(models.close)
        incoming = connect_sync(url, database_name)
        stack.callback(incoming.client.close)
        imaging_processes = ImagingProcesses(character_set=settings.character_set)
        stack.push_async_callback(imaging_processes.close)
        site = _built(settings, loaded, keys, database, log, client, models, imaging_processes, incoming)
        stack.push_async_callback(site.refusals.close)
        yield site


async def _mongodb_url(settings: Settings, stack: AsyncExitStack) -> str:
    if settings.mongodb_url is not None:
        return settings.mongodb_url.get_secret_value()
    running = attach(settings.data_dir)
    if running is not None:
        return running
    mongod = EmbeddedMongod(settings.data_dir)
    url = mongod.start()
    stack.callback(mongod.stop)
    return url


def _built(
    settings: Settings,
    loaded: Definitions,
    keys: SiteKeys,
    database: Database,
    log: AuditLog,
    client: PartnerClient,
    models: ModelProcesses,
    imaging_processes: ImagingProcesses,
    incoming: ThreadedDatabase,
) -> Site:
    mappings = compiled_mappings(loaded)
    parameters = SearchParameters(loaded.search_parameters, loaded.resource_types)
    dates = {type: code for type in loaded.resource_types if (code := parameters.principal_date(type)) is not None}
    indexer = Indexer(parameters, loaded.compartments, settings.fhir_url)
    policy = Policy()
    resources = Resources(database, dates)
    accounts, partners, grants = Accounts(database), Partners(database), Grants(database)
    consents = Consents(resources, grants)
    ended = EndedTokens(database)
    auditing = Auditing(log, indexer, settings.site_name)
    refusals = Refusals(auditing)
    drafting = Drafting(
        Validator(loaded.elements, loaded.bindings, loaded.resource_types),
        indexer,
        policy,
        versioned_update=settings.versioned_update,
    )
    conditional = Conditional(resources, Claims(database), policy, parameters, settings.fhir_url)
    interactions = Interactions(resources, policy, drafting, conditional, auditing)
    conditional_writes = ConditionalWrites(interactions, conditional, drafting)
    cursor_secret = keys.secret("page cursors")
    subsets = Subsets(Plans(loaded.elements, loaded.bindings, loaded.resource_types), loaded.summary)
    chaining = Chaining(resources, policy, indexer)
    searching = Searching(
        resources, policy, parameters, indexer, auditing, chaining, subsets, cursor_secret, settings.fhir_url
    )
    transactions = Transactions(
        resources, policy, drafting, conditional, auditing, settings.own_patient_id_system, models
    )
    everything = Everything(resources, policy, auditing, tuple(loaded.compartments), cursor_secret)
    outbox = Outbox(database)
    authorization = Authorization(
        issuer=settings.site_url,
        token_endpoint=f"{settings.site_url}/oauth/token",
        keys=keys,
        partners=partners,
        assertions=Assertions(database),
        fetch=client,
        auditing=auditing,
        refusals=refusals,
        ttl=settings.access_token_seconds,
        session_ttl=settings.session_seconds,
    )
    hashing = PasswordHashing(Passwords())
    second_factor = SecondFactor(keys.secret("second factor"), settings.site_name)
    people = People(accounts, resources, hashing)
    registration = Registration(
        interactions, accounts, partners, people, settings.own_patient_id_system, authorization, searching
    )
    reading = LegacyReading(
        mappings.documents,
        resources,
        policy,
        parameters,
        indexer,
        auditing,
        accounts,
        settings.fhir_url,
        settings.default_photo_url,
    )
    presence, tickets = Presence(PresenceRows(database), uuid4().hex), Tickets(database)
    peers = PeerIds(keys.secret("peer ids"))
    writing = LegacyWriting(reading, resources, transactions, drafting, people, auditing, ConsultationRows(database))
    instances, blobs = Instances(database), Blobs(settings.data_dir / "blobs", settings.disk_reserve_mb << 20)

    binding = Binding(instances, resources, interactions, keys, settings.site_name, settings.fhir_url)
    verification = Verification(
        interactions=interactions,
        conditional=conditional,
        resources=resources,
        instances=instances,
        partners=partners,
        manifests=Manifests(database),
        policy=policy,
        keys=keys,
        public_keys=authorization,
        base_url=settings.fhir_url,
    )
    imaging = imaging_services(
        settings, loaded, mappings.tables, database, blobs, interactions, conditional, policy, auditing, verification
    )

    def verify(token: str) -> AccessToken:
        return verify_access(token, keys, issuer=settings.site_url)

    return Site(
        settings=settings,
        definitions=loaded,
        parameters=parameters,
        subsets=subsets,
        keys=keys,
        database=database,
        accounts=accounts,
        partners=partners,
        outbox=outbox,
        instances=instances,
        authentication=Authentication(verify, accounts, partners, consents, ended),
        authorization=authorization,
        auditing=auditing,
        refusals=refusals,
        interactions=interactions,
        searching=searching,
        conditional_writes=conditional_writes,
        bundles=Bundles(interactions, conditional_writes, searching, transactions, settings.fhir_url),
        everything=everything,
        histories=TypeHistories(TypeHistory(database), policy, auditing, cursor_secret),
        emergencies=Emergencies(
            resources, policy, auditing, accounts, authorization.emergency, tuple(loaded.compartments)
        ),
        sharing=Sharing(consents, partners, resources, policy, auditing),
        exchange=Exchange(
            base_url=settings.fhir_url,
            resources=resources,
            policy=policy,
            auditing=auditing,
            everything=everything,
            outbox=outbox,
            partners=partners,
            grants=grants,
            consents=consents,
            binding=binding,
            fhir=client,
            imaging=ImageDelivery(database, instances, blobs, settings.ae_title),
        ),
        fetching=Fetching(resources, policy, auditing, partners, consents, client),
        projection=imaging.projection,
        quarantine=imaging.quarantine,
        binding=binding,
        verification=verification,
        imaging_visibility=ImagingVisibility(ImagingStudyRows(database)),
        procedures=Procedures(ProcedureSteps(database), interactions),
        reindexing=Reindexing(IndexRenewal(database), indexer.index),
        retrieval=Retrieval(
            instances, blobs, ImagingStudyRows(database), ImageMetadata(database), imaging_processes, policy, auditing
        ),
        imaging_query=ImagingQuery(ImagingStudyRows(database), Images(database), policy, auditing),
        imaging_processes=imaging_processes,
        storing=Storing(
            Ingest(IncomingInstances(incoming), blobs, lambda *_: None, settings.character_set),
            partners,
            policy,
            auditing,
            settings.own_patient_id_system,
        ),
        registration=registration,
        staff_outbox=StaffOutbox(outbox, policy, auditing),
        dashboard=Dashboard(Statistics(database), Arrivals(database), blobs.disk, policy, auditing),
        origins=Origins(resources, instances, partners, policy, auditing),
        partnership=Partnership(
            registration, partners, policy, auditing, PartnerDoors(client, PartnerVerification(settings.ae_title))
        ),
        sign_in=SignIn(
            accounts,
            people,
            hashing,
            second_factor,
            Throttles(database),
            ended,
            auditing,
            authorization.session,
        ),
        credentials=Credentials(accounts, hashing, second_factor, auditing),
        legacy_reading=reading,
        legacy_writing=writing,
        front_desk=FrontDesk(reading.mappings, writing, resources, transactions, people, auditing),
        photos=Photos(database),
        presence=presence,
        consultations=Consultations(ConsultationRows(database), tickets, presence, interactions, auditing, peers),
        notifications=Notifications(policy, resources),
        recordings=Recordings(
            ConsultationRows(database),
            interactions,
            peers,
            settings.data_dir / "recordings",
            keys.secret("recordings"),
            settings.site_url,
        ),
        peers=peers,
    )
