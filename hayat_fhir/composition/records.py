"""The room of the records: what FHIR clients read, write and search."""

from __future__ import annotations

from dataclasses import dataclass

from hayat_fhir.composition.foundation import Foundation
from hayat_fhir.fhir.plans import Plans
from hayat_fhir.fhir.subset import Subsets
from hayat_fhir.fhir.validation import Validator
from hayat_fhir.model_process import ModelProcesses
from hayat_fhir.services.bundles import Bundles
from hayat_fhir.services.chaining import Chaining
from hayat_fhir.services.conditional import Conditional
from hayat_fhir.services.conditional_writes import ConditionalWrites
from hayat_fhir.services.consents import Recipients
from hayat_fhir.services.drafting import Drafting
from hayat_fhir.services.everything import Everything
from hayat_fhir.services.interactions import Interactions
from hayat_fhir.services.patient_deletion import PatientDeletion
from hayat_fhir.services.safeguards import Safeguards
from hayat_fhir.services.searching import Searching
from hayat_fhir.services.security_contexts import SecurityContexts
from hayat_fhir.services.transactions import Transactions
from hayat_fhir.services.type_histories import TypeHistories
from hayat_fhir.store.claims import Claims
from hayat_fhir.store.earlier_versions import EarlierVersions
from hayat_fhir.store.type_history import TypeHistory


@dataclass(frozen=True, kw_only=True)
class Records:
    """The interactions of FHIR, and what they are made of."""

    subsets: Subsets
    drafting: Drafting
    conditional: Conditional
    interactions: Interactions
    conditional_writes: ConditionalWrites
    searching: Searching
    transactions: Transactions
    bundles: Bundles
    everything: Everything
    histories: TypeHistories
    earlier_versions: EarlierVersions


def records(base: Foundation, models: ModelProcesses) -> Records:
    """Build them; ``models`` are the processes that check large Bundles."""
    settings, loaded = base.settings, base.definitions
    resources, policy, auditing, parameters = base.resources, base.policy, base.auditing, base.parameters
    tables = loaded.elements, loaded.bindings, loaded.resource_types
    drafting = Drafting(Validator(*tables), base.indexer, policy, versioned_update=settings.versioned_update)
    conditional = Conditional(resources, Claims(base.database), policy, parameters, settings.fhir_url)
    safeguards = Safeguards(
        contexts=SecurityContexts(resources, policy, settings.fhir_url),
        recipients=Recipients(base.partners),
        patients=PatientDeletion(resources, tuple(loaded.compartments)),
    )
    interactions = Interactions(resources, policy, drafting, conditional, auditing, safeguards)
    conditional_writes = ConditionalWrites(interactions, conditional, drafting)
    cursor_secret = base.keys.secret("page cursors")
    subsets = Subsets(Plans(*tables), loaded.summary)
    searching = Searching(
        resources,
        policy,
        parameters,
        base.indexer,
        auditing,
        Chaining(resources, policy, base.indexer),
        subsets,
        cursor_secret,
        settings.fhir_url,
    )
    transactions = Transactions(
        resources, policy, drafting, conditional, auditing, models, safeguards, settings.fhir_url
    )
    return Records(
        subsets=subsets,
        drafting=drafting,
        conditional=conditional,
        interactions=interactions,
        conditional_writes=conditional_writes,
        searching=searching,
        transactions=transactions,
        bundles=Bundles(interactions, conditional_writes, searching, transactions, settings.fhir_url),
        everything=Everything(resources, policy, auditing, parameters, tuple(loaded.compartments), cursor_secret),
        histories=TypeHistories(TypeHistory(base.database), policy, auditing, cursor_secret),
        earlier_versions=EarlierVersions(base.database),
    )
