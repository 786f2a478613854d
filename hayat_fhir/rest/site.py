"""What the door is built on: the services that it calls, and what it tells about the site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hayat_fhir.fhir.subset import Subsets
from hayat_fhir.rest.health import ReadFigures, Ready
from hayat_fhir.rest.messages import Application
from hayat_fhir.search.parameters import SearchParameters
from hayat_fhir.services.authentication import Authentication
from hayat_fhir.services.authorization import Authorization
from hayat_fhir.services.bundles import Bundles
from hayat_fhir.services.conditional_writes import ConditionalWrites
from hayat_fhir.services.consents import Sharing
from hayat_fhir.services.emergency import Emergencies
from hayat_fhir.services.everything import Everything
from hayat_fhir.services.exchange import Exchange
from hayat_fhir.services.fetching import Fetching
from hayat_fhir.services.interactions import Interactions
from hayat_fhir.services.origins import Origins
from hayat_fhir.services.outbox import StaffOutbox
from hayat_fhir.services.partnership import Partnership
from hayat_fhir.services.quarantine import Quarantine
from hayat_fhir.services.refusals import Refusals
from hayat_fhir.services.searching import Searching
from hayat_fhir.services.statistics import Dashboard
from hayat_fhir.services.type_histories import TypeHistories
from hayat_fhir.services.verification import Verification


@dataclass(frozen=True, slots=True)
class Services:
    """What the door calls."""

    authentication: Authentication
    authorization: Authorization
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
    quarantine: Quarantine
    verification: Verification
    partnership: Partnership
    outbox: StaffOutbox
    dashboard: Dashboard
    refusals: Refusals
    origins: Origins
    ready: Ready
    figures: ReadFigures


@dataclass(frozen=True, slots=True)
class Site:
    """What the door tells about the site. ``url`` has no path: ``https://fhir.hospital.example``.

    ``capability`` is conformance/capability.json; ``types`` are the R4 resource types; ``jwks`` the public keys.
    """

    name: str
    url: str
    version: str
    types: frozenset[str]
    parameters: SearchParameters
    subsets: Subsets
    capability: Mapping[str, Any]
    jwks: Mapping[str, Any]
    doors: Mapping[str, Application] = field(default_factory=dict)
    """Further doors by their first path segment, ``dicomweb``: they get the guard, and keep their own answers."""
    websockets: Mapping[str, Application] = field(default_factory=dict)
    """Those of them that speak WebSocket too."""
    versioned_update: bool = False
    """Whether an update must name the version that it replaces."""
    origins: frozenset[str] = frozenset()
    """Whose pages may open WebSockets."""
