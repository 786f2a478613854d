"""What every room of a site stands on: its settings, definitions, keys and database, and who has done what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hayat_fhir.definitions import Definitions
from hayat_fhir.search.indexing import Indexer
from hayat_fhir.search.parameters import SearchParameters
from hayat_fhir.security.keys import SiteKeys
from hayat_fhir.security.policy import Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.refusals import Refusals
from hayat_fhir.store.accounts import Accounts
from hayat_fhir.store.audit_events import AuditLog
from hayat_fhir.store.database import Database
from hayat_fhir.store.partners import Partners
from hayat_fhir.store.resources import Resources

if TYPE_CHECKING:
    from hayat_fhir.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Foundation:
    """Used in every room."""

    settings: Settings
    definitions: Definitions
    parameters: SearchParameters
    indexer: Indexer
    keys: SiteKeys
    database: Database
    resources: Resources
    accounts: Accounts
    partners: Partners
    policy: Policy
    auditing: Auditing
    refusals: Refusals


def foundation(
    settings: Settings, definitions: Definitions, keys: SiteKeys, database: Database, log: AuditLog
) -> Foundation:
    """Build it on an open database.

    Raises:
        ConfigurationError: The table of search parameters is malformed.
    """
    types = definitions.resource_types
    parameters = SearchParameters(definitions.search_parameters, types)
    dates = {type: code for type in types if (code := parameters.principal_date(type)) is not None}
    indexer = Indexer(parameters, definitions.compartments, settings.fhir_url)
    auditing = Auditing(log, indexer, settings.site_name)
    return Foundation(
        settings=settings,
        definitions=definitions,
        parameters=parameters,
        indexer=indexer,
        keys=keys,
        database=database,
        resources=Resources(database, dates),
        accounts=Accounts(database),
        partners=Partners(database),
        policy=Policy(),
        auditing=auditing,
        refusals=Refusals(auditing),
    )
