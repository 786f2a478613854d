"""The table of everything below ``/fhir``."""

from __future__ import annotations

from hayat_fhir.fhir.json import serialize
from hayat_fhir.rest.capability import statement
from hayat_fhir.rest.emergency import BreakGlass
from hayat_fhir.rest.fetching import PatientFetch
from hayat_fhir.rest.histories import Histories
from hayat_fhir.rest.instances import Instances
from hayat_fhir.rest.messages import Answer, Request
from hayat_fhir.rest.operations import PatientEverything, PatientShare
from hayat_fhir.rest.origins import PatientOrigins
from hayat_fhir.rest.outbox import OutboxOperation
from hayat_fhir.rest.pages import Pages
from hayat_fhir.rest.partners import PartnerOperations
from hayat_fhir.rest.quarantine import QuarantineOperation
from hayat_fhir.rest.routes import Action, Route
from hayat_fhir.rest.sharing import PatientSharing
from hayat_fhir.rest.site import Services, Site
from hayat_fhir.rest.smart import smart_configuration
from hayat_fhir.rest.statistics import StatisticsOperations
from hayat_fhir.rest.system import System
from hayat_fhir.rest.types import Types
from hayat_fhir.rest.verification import StudyVerification

_PUBLIC = ((b"cache-control", b"public, max-age=300"),)


def routes(services: Services, site: Site, base_url: str) -> list[Route]:
    """The table of everything below ``/fhir``."""
    pages = Pages(base_url)
    instances = Instances(services.interactions, pages, site.subsets)
    types = Types(services.interactions, services.conditional_writes, services.searching, pages)
    histories = Histories(services.histories, pages)
    everything = PatientEverything(services.everything, pages)
    glass = BreakGlass(services.emergencies)
    share = PatientShare(services.exchange, base_url)
    quarantine = QuarantineOperation(services.quarantine, base_url)
    table = [
        Route(
            "$quarantine",
            {"GET": Action("$quarantine", quarantine.list), "POST": Action("$quarantine", quarantine.resolve)},
        ),
        *PartnerOperations(services.partnership).routes(),
        *OutboxOperation(services.outbox, base_url).routes(),
        *StatisticsOperations(services.dashboard).routes(),
        Route("", {"POST": Action("transaction+batch", System(services.bundles).process)}),
        Route("_history", {"GET": Action("history-system", histories.of_system)}),
        Route("{type}/_history", {"GET": Action("history-type", histories.of_type)}),
        Route(
            "{type}",
            {
                "GET": Action("search-type", types.search),
                "POST": Action("create", types.create),
                "PUT": Action("update", types.update),
                "PATCH": Action("patch", types.patch),
                "DELETE": Action("delete", types.delete),
            },
        ),
        Route(
            "ImagingStudy/{id}/$verify",
            {"GET": Action("$verify", StudyVerification(services.verification).verify)},
        ),
        Route("{type}/_search", {"POST": Action("search-type", types.search_form)}),
        Route(
            "{type}/{id}",
            {
                "GET": Action("read", instances.read),
                "PUT": Action("update", instances.update),
                "PATCH": Action("patch", instances.patch),
                "DELETE": Action("delete", instances.delete),
            },
        ),
        Route("{type}/{id}/_history", {"GET": Action("history-instance", instances.history)}),
        Route("{type}/{id}/_history/{version}", {"GET": Action("vread", instances.vread)}),
        Route(
            "Patient/{id}/$everything",
            {
                "GET": Action("$everything", everything.everything),
                "POST": Action("$everything", everything.everything),
            },
        ),
        Route(
            "Patient/{id}/$break-glass",
            {"GET": Action("$break-glass", glass.state), "POST": Action("$break-glass", glass.open)},
        ),
        Route("Patient/{id}/$origins", {"GET": Action("$origins", PatientOrigins(services.origins).origins)}),
        Route("Patient/{id}/$sharing", {"GET": Action("$sharing", PatientSharing(services.sharing).state)}),
        Route("Patient/{id}/$fetch", {"POST": Action("$fetch", PatientFetch(services.fetching).start)}),
        Route("Patient/{id}/$share", {"GET": Action("$share", share.state), "POST": Action("$share", share.start)}),
    ]
    return [*_public(table, site, base_url), *table]


def _public(table: list[Route], site: Site, base_url: str) -> list[Route]:
    origin = site.url.rstrip("/")
    promise = dict(site.capability)
    if site.versioned_update:
        rest = promise["rest"]
        promise["rest"] = {**rest, "resource": {**rest["resource"], "versioning": "versioned-update"}}
    capability = statement(
        promise,
        table,
        site.parameters,
        site.types,
        base_url=base_url,
        token_url=f"{origin}/oauth/token",
        site=site.name,
        version=site.version,
    )
    smart = serialize(smart_configuration(origin))

    async def metadata(request: Request) -> Answer:
        return request.answer(200, capability, _PUBLIC)

    async def configuration(request: Request) -> Answer:
        del request
        return Answer(200, smart, _PUBLIC, "application/json")

    return [
        Route("metadata", {"GET": Action("capabilities", metadata)}, public=True),
        Route(
            ".well-known/smart-configuration",
            {"GET": Action("smart-configuration", configuration)},
            public=True,
        ),
    ]
