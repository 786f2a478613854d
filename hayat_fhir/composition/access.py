"""The room of access: who comes in, by which token, and what patients and emergencies let them see."""

from __future__ import annotations

from dataclasses import dataclass

from hayat_fhir.composition.foundation import Foundation
from hayat_fhir.composition.records import Records
from hayat_fhir.rest.outbound import PartnerClient
from hayat_fhir.security.passwords import Passwords
from hayat_fhir.security.second_factor import SecondFactor
from hayat_fhir.security.tokens import AccessToken, verify_access
from hayat_fhir.services.authentication import Authentication
from hayat_fhir.services.authorization import Authorization
from hayat_fhir.services.consents import Consents, Sharing
from hayat_fhir.services.credentials import Credentials
from hayat_fhir.services.emergency import Emergencies
from hayat_fhir.services.password_hashing import PasswordHashing
from hayat_fhir.services.patient_numbers import PatientNumbers
from hayat_fhir.services.people import People
from hayat_fhir.services.registration import Registration
from hayat_fhir.services.sign_in import SignIn
from hayat_fhir.store.assertions import Assertions
from hayat_fhir.store.ended_tokens import EndedTokens
from hayat_fhir.store.grants import Grants
from hayat_fhir.store.throttles import Throttles


@dataclass(frozen=True, kw_only=True)
class Access:
    """People and partners, their tokens, and what is opened to them."""

    authentication: Authentication
    authorization: Authorization
    registration: Registration
    people: People
    sign_in: SignIn
    credentials: Credentials
    grants: Grants
    consents: Consents
    sharing: Sharing
    emergencies: Emergencies


def access(base: Foundation, records: Records, client: PartnerClient) -> Access:
    """Build it; ``client`` fetches the keys of partners."""
    settings, keys, accounts, partners = base.settings, base.keys, base.accounts, base.partners
    grants, ended = Grants(base.database), EndedTokens(base.database)
    consents = Consents(base.resources, grants)
    numbers = PatientNumbers(partners, settings.own_patient_id_system, settings.fhir_url)
    authorization = Authorization(
        issuer=settings.site_url,
        token_endpoint=f"{settings.site_url}/oauth/token",
        keys=keys,
        partners=partners,
        assertions=Assertions(base.database),
        fetch=client,
        auditing=base.auditing,
        refusals=base.refusals,
        ttl=settings.access_token_seconds,
        session_ttl=settings.session_seconds,
    )
    hashing = PasswordHashing(Passwords())
    second_factor = SecondFactor(keys.secret("second factor"), settings.site_name)
    people = People(accounts, base.resources, hashing)
    throttles = Throttles(base.database)

    def verify(token: str) -> AccessToken:
        return verify_access(token, keys, issuer=settings.site_url)

    return Access(
        authentication=Authentication(verify, accounts, partners, consents, ended, numbers),
        authorization=authorization,
        registration=Registration(
            records.interactions,
            accounts,
            partners,
            people,
            settings.own_patient_id_system,
            authorization,
            records.searching,
        ),
        people=people,
        sign_in=SignIn(
            accounts, people, hashing, second_factor, throttles, ended, base.auditing, authorization.session
        ),
        credentials=Credentials(accounts, hashing, second_factor, base.auditing),
        grants=grants,
        consents=consents,
        sharing=Sharing(consents, partners, base.resources, base.policy, base.auditing),
        emergencies=Emergencies(
            base.resources,
            base.policy,
            base.auditing,
            accounts,
            authorization.emergency,
            tuple(base.definitions.compartments),
        ),
    )
