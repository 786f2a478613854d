"""People and partner hospitals are registered: an account with its FHIR resource, a partner with its Organization.

https://hl7.org/fhir/R4/organization.html, https://hl7.org/fhir/R4/endpoint.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from hayat_fhir.errors import Conflict, InvalidRequest, NotFound
from hayat_fhir.security.authorship import RIGHTS
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.personnel import ROLE_TAGS
from hayat_fhir.security.scopes import granted
from hayat_fhir.services.authorization import Authorization
from hayat_fhir.services.drafting import new_id
from hayat_fhir.services.interactions import Interactions
from hayat_fhir.services.partner_details import PartnerDetails
from hayat_fhir.services.people import NewPerson, People
from hayat_fhir.services.searching import Searching
from hayat_fhir.store.accounts import Account, Accounts
from hayat_fhir.store.partners import Partner, Partners

_SITE = Caller(Role.SITE, "registration")
_RESOURCE = {Role.DOCTOR: "Practitioner", Role.STAFF: "Practitioner", Role.PATIENT: "Patient"}
_CONNECTION = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"


class Registration:
    """Registers accounts and partners. ``patient_id_system`` is the site's own system of patient numbers."""

    def __init__(
        self,
        interactions: Interactions,
        accounts: Accounts,
        partners: Partners,
        people: People,
        patient_id_system: str,
        authorization: Authorization,
        searching: Searching,
    ) -> None:
        self._searching = searching
        self._interactions = interactions
        self._accounts = accounts
        self._partners = partners
        self._people = people
        self._patient_id_system = patient_id_system
        self._authorization = authorization

    async def account(self, role: Role, email: str, name: str, password: str) -> Account:
        """Register a person: the account and the Practitioner or Patient that stands for them.

        Raises:
            InvalidRequest: The role, e-mail address or password will not do.
            Conflict: There is an account with this e-mail address.
        """
        if role not in _RESOURCE:
            raise InvalidRequest("the role must be staff, doctor or patient", code="value")
        if email.count("@") != 1 or not all(email.split("@")):
            raise InvalidRequest("this is not an e-mail address", code="value")
        type, id = _RESOURCE[role], new_id()
        resource: dict[str, Any] = {
            "resourceType": type,
            "id": id,
            "active": True,
            "name": [{"text": name}],
            "telecom": [{"system": "email", "value": email}],
        }
        if role is not Role.PATIENT:
            resource["meta"] = {"tag": [{"system": ROLE_TAGS, "code": str(role)}]}

        async def store() -> None:
            await self._interactions.update(_SITE, type, id, resource, absent=True)

        person = NewPerson(role, email, name, password, f"{type}/{id}")
        return await self._people.register(person, store)

    async def partner(self, details: PartnerDetails) -> Partner:
        """Register a partner hospital or PACS: Organization, Endpoints, OAuth client and DICOM peer in one.

        Raises:
            InvalidRequest: A detail is missing or malformed.
            Conflict: There is a partner with this name, client id or AE title.
        """
        details.check()
        organization = await self._interactions.create(
            _SITE, "Organization", {"resourceType": "Organization", "active": True, "name": details.name}
        )
        id = organization.stored.id
        fhir_url = details.fhir_url.rstrip("/") if details.fhir_url else None
        partner = Partner(
            id=id,
            name=details.name,
            client_id=details.client_id or fhir_url or id,
            jwks=details.jwks,
            jwks_url=details.jwks_url,
            fhir_url=fhir_url,
            ae_title=details.ae_title,
            host=details.host,
            port=details.port,
            scopes=details.scopes,
            patient_id_system=details.patient_id_system or self._patient_ids_of(fhir_url),
            certificate=details.certificate,
            tls=details.tls,
        )
        try:
            await self._partners.add(partner)
        except Conflict:
            await self._interactions.delete(_SITE, "Organization", id)
            raise
        if fhir_url:
            await self._tell(partner)
        return partner

    async def change_partner(self, id: str, changes: Mapping[str, Any]) -> Partner:
        """Change details of a partner, by the names of PartnerDetails; other keys end the tokens of the former.

        A partner without keys, ``jwks`` and ``jwks_url`` both None, cannot sign in.

        Raises:
            NotFound: No such partner.
            InvalidRequest: A detail will not do.
            Conflict: There is another partner with this AE title.
        """
        known = await self._partners.by_id(id)
        if known is None:
            raise NotFound("no such partner")
        details = {name: value for name, value in asdict(known).items() if name in PartnerDetails.__slots__}
        PartnerDetails(**{**details, **changes}).check()
        values = dict(changes)
        if values.get("fhir_url"):
            values["fhir_url"] = values["fhir_url"].rstrip("/")
        changed = await self._partners.change(id, values, end_tokens=bool({"jwks", "jwks_url"} & changes.keys()))
        if changed is None:
            raise NotFound("no such partner")
        await self._tell(changed)
        return changed

    async def _tell(self, partner: Partner) -> None:
        """Let the partner's Endpoint say what is so now; an unchanged one stays as it is."""
        found = await self._searching.search(
            _SITE, "Endpoint", [("organization", f"Organization/{partner.id}"), ("connection-type", "hl7-fhir-rest")]
        )
        for stored in found.matches:
            said = {**(stored.resource or {}), "status": "suspended" if partner.disabled else "active"}
            if partner.fhir_url:
                await self._interactions.update(
                    _SITE, "Endpoint", stored.id, {**said, "address": partner.fhir_url}, stored.version
                )
            else:
                await self._interactions.delete(_SITE, "Endpoint", stored.id)
        if partner.fhir_url and not found.matches:
            endpoint = _endpoint(partner.name, partner.fhir_url, f"Organization/{partner.id}")
            await self._interactions.create(_SITE, "Endpoint", endpoint)

    async def disable_account(self, email: str) -> None:
        """Shut an account out.

        Raises:
            NotFound: No such account.
        """
        account = await self._accounts.by_email(email)
        if account is None or not await self._accounts.disable(account.id):
            raise NotFound("no such account")

    async def enable_account(self, email: str) -> None:
        """Let a disabled account in again.

        Raises:
            NotFound: No such account.
        """
        account = await self._accounts.by_email(email)
        if account is None or not await self._accounts.enable(account.id):
            raise NotFound("no such account")

    async def set_rights(self, email: str, rights: Sequence[str]) -> None:
        """Say what the site allows a person beyond their role.

        Raises:
            NotFound: No such account.
            InvalidRequest: There is no such right.
        """
        if not set(rights) <= RIGHTS:
            raise InvalidRequest(f"there is no such right; there are {', '.join(sorted(RIGHTS))}", code="value")
        account = await self._accounts.by_email(email)
        if account is None:
            raise NotFound("no such account")
        await self._accounts.set_rights(account.id, rights)

    async def token_for_account(self, email: str) -> str:
        """A token of an account.

        Raises:
            NotFound: No such account, or a disabled one.
        """
        account = await self._accounts.by_email(email)
        if account is None or account.disabled:
            raise NotFound("no such account")
        return self._authorization.token_for_account(account)

    async def token_for_partner(self, id: str, scopes: Sequence[str] | None = None) -> str:
        """A token of a partner, with these scopes as far as it is registered for them, or all.

        Raises:
            NotFound: No such partner, or a disabled one.
            InvalidRequest: None of the scopes is the partner's.
        """
        partner = await self._partners.by_id(id)
        if partner is None or partner.disabled:
            raise NotFound("no such partner")
        allowed = granted(scopes or partner.scopes, partner.scopes)
        if not allowed:
            raise InvalidRequest("none of these scopes is the partner's", code="value")
        return self._authorization.token_for_partner(partner, allowed)

    async def partner_called(self, name: str) -> Partner:
        """The partner with this name, or with this id.

        Raises:
            NotFound: No such partner.
        """
        partner = await self._partners.by_name(name) or await self._partners.by_id(name)
        if partner is None:
            raise NotFound("no such partner")
        return partner

    async def disable_partner(self, id: str) -> None:
        """Shut a partner out.

        Raises:
            NotFound: No such partner.
        """
        await self._set_disabled(id, await self._partners.disable(id))

    async def enable_partner(self, id: str) -> None:
        """Let a partner in again.

        Raises:
            NotFound: No such partner.
        """
        await self._set_disabled(id, await self._partners.enable(id))

    async def _set_disabled(self, id: str, found: bool) -> None:
        partner = await self._partners.by_id(id) if found else None
        if partner is None:
            raise NotFound("no such partner")
        await self._tell(partner)

    def _patient_ids_of(self, fhir_url: str | None) -> str:
        """The system of a partner's patient numbers: derived from its URL; a PACS without one uses the site's own."""
        return f"{fhir_url.removesuffix('/fhir')}/identifier/patient" if fhir_url else self._patient_id_system


def _endpoint(name: str, fhir_url: str, organization: str) -> dict[str, Any]:
    return {
        "resourceType": "Endpoint",
        "status": "active",
        "connectionType": {"system": _CONNECTION, "code": "hl7-fhir-rest"},
        "name": name,
        "managingOrganization": {"reference": organization},
        "payloadType": [{"text": "FHIR R4"}],
        "payloadMimeType": ["application/fhir+json"],
        "address": fhir_url,
    }
