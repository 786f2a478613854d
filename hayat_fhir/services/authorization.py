"""The token endpoint: SMART Backend Services, client credentials with a signed assertion.

https://hl7.org/fhir/smart-app-launch/backend-services.html, RFC 6749, RFC 7523
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from hayat_fhir.errors import HTTP_STATUS, Category, Refusal, Unauthenticated
from hayat_fhir.security.callers import Caller, Role, stranger
from hayat_fhir.security.client_assertions import ClientAssertion, claimed_client, verify_assertion
from hayat_fhir.security.keys import SiteKeys
from hayat_fhir.security.scopes import EVERYTHING, granted
from hayat_fhir.security.tokens import LEEWAY, Emergency, issue_access
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.refusals import Refusals
from hayat_fhir.store.accounts import Account
from hayat_fhir.store.assertions import Assertions
from hayat_fhir.store.partners import Partner, Partners

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_JWKS_SECONDS = 300.0
_COOL_DOWN = 60.0
_AFTER_FAILURE = 5.0


class TokenRefused(Refusal):
    """The answer of a token endpoint that gives no token; ``error`` is a code of RFC 6749 section 5.2."""

    category = Category.INVALID

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description, code="login")
        self.error = error

    @property
    def status(self) -> int:
        """401 where the client is not who it says, else 400."""
        return HTTP_STATUS[Category.UNAUTHENTICATED if self.error == "invalid_client" else Category.INVALID]


class FetchesKeys(Protocol):
    """Fetches a key set from a registered URL."""

    async def jwks(self, url: str) -> tuple[dict[str, Any], float | None]:
        """The key set, and for how many seconds it may be kept; Unavailable where it cannot be had."""


@dataclass(frozen=True, slots=True)
class _Fetched:
    """A key set, when it came, and for how many seconds it may be kept."""

    keys: dict[str, Any]
    at: float
    seconds: float

    def fresh(self, seconds: float) -> bool:
        """Whether it came not longer ago than that, and may still be used."""
        return time.monotonic() - self.at <= min(seconds, self.seconds)


class Authorization:
    """Gives out access tokens. ``issuer`` is the site's base URL, ``token_endpoint`` the audience of assertions."""

    def __init__(
        self,
        *,
        issuer: str,
        token_endpoint: str,
        keys: SiteKeys,
        partners: Partners,
        assertions: Assertions,
        fetch: FetchesKeys,
        auditing: Auditing,
        refusals: Refusals,
        ttl: int = 300,
        session_ttl: int = 28800,
    ) -> None:
        self._issuer = issuer
        self._token_endpoint = token_endpoint
        self._keys = keys
        self._partners = partners
        self._assertions = assertions
        self._fetch = fetch
        self._auditing = auditing
        self._refusals = refusals
        self._ttl = ttl
        self._session_ttl = session_ttl
        self._fetched: dict[str, _Fetched] = {}
        self._tried: dict[str, float] = {}

    async def client_credentials(self, form: Mapping[str, str], address: str | None = None) -> dict[str, Any]:
        """The answer to a token request.

        Raises:
            TokenRefused: No token; with the OAuth error code.
        """
        if form.get("grant_type") != "client_credentials":
            raise TokenRefused("unsupported_grant_type", "only client_credentials is offered")
        if form.get("client_assertion_type") != _ASSERTION_TYPE or not form.get("client_assertion"):
            raise TokenRefused("invalid_client", "a signed client assertion is needed")
        try:
            partner = await self._authenticated(form["client_assertion"])
        except Refusal as refusal:
            self._refusals.note(stranger(address), "login")
            raise TokenRefused("invalid_client", "the client assertion is not valid") from refusal
        caller = Caller(Role.PARTNER, partner.id, f"Organization/{partner.id}", partner.name, address=address)
        scopes = granted(form.get("scope", "").split(), partner.scopes)
        await self._auditing.record(caller, "login", "0" if scopes else "4")
        if not scopes:
            raise TokenRefused("invalid_scope", "none of the requested scopes is granted")
        token = self.token_for_partner(partner, scopes)
        return {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": self._ttl,
            "scope": " ".join(sorted(scopes)),
        }

    def token_for_partner(self, partner: Partner, scopes: frozenset[str]) -> str:
        """A token with these scopes, for scripting by the site's own staff."""
        return issue_access(
            self._keys,
            issuer=self._issuer,
            subject=partner.id,
            role="partner",
            scopes=sorted(scopes),
            ttl=self._ttl,
            epoch=partner.epoch,
        )

    async def keys_of(self, partner: Partner) -> Mapping[str, Any]:
        """The partner's public keys, as they are now.

        Raises:
            Unauthenticated: It has none.
            Unavailable: They cannot be had now.
        """
        return await self._key_set(partner, _JWKS_SECONDS)

    def session(self, account: Account) -> tuple[str, int]:
        """A token of somebody who has signed in, and when it ends; it also says what the legacy frontend reads."""
        person = (account.reference or "").partition("/")[2]
        extra = {"id": person, "type": account.role}
        return self._token(account, self._session_ttl, extra), int(time.time()) + self._session_ttl

    def emergency(self, account: Account, emergency: Emergency) -> str:
        """A token for an emergency, which ends with the last of its patients."""
        ttl = max(int(max(emergency.patients.values()) - time.time()), 1)
        return self._token(account, ttl, {"emergency": emergency.claim})

    def token_for_account(self, account: Account) -> str:
        """A token of an account, with the widest scopes of its role, for scripting by the site's own staff."""
        return self._token(account, self._ttl, {})

    def _token(self, account: Account, ttl: int, extra: Mapping[str, Any]) -> str:
        return issue_access(
            self._keys,
            issuer=self._issuer,
            subject=account.id,
            role=account.role,
            scopes=sorted(EVERYTHING[account.role]),
            ttl=ttl,
            epoch=account.epoch,
            extra=extra,
        )

    async def _authenticated(self, assertion: str) -> Partner:
        """The partner whose assertion this is, used for the first time."""
        partner = await self._partners.by_client_id(claimed_client(assertion))
        if partner is None or partner.disabled:
            raise Unauthenticated("the client is not known")
        try:
            verified = self._verified(assertion, partner, await self._key_set(partner, _JWKS_SECONDS))
        except Unauthenticated:
            verified = self._verified(assertion, partner, await self._key_set(partner, _COOL_DOWN))
        if not await self._assertions.use(partner.client_id, verified.jti, _until(verified)):
            raise Unauthenticated("the client assertion has been used before")
        return partner

    def _verified(self, assertion: str, partner: Partner, keys: Mapping[str, Any]) -> ClientAssertion:
        return verify_assertion(
            assertion,
            keys,
            client_id=partner.client_id,
            token_endpoint=self._token_endpoint,
            jwks_url=partner.jwks_url,
        )

    async def _key_set(self, partner: Partner, freshness: float) -> Mapping[str, Any]:
        """The partner's keys: registered with it, or fetched from its URL not longer ago than ``freshness`` seconds.

        An assertion under a key not seen before asks again, at most once a minute, and a URL that fails is left alone
        for some seconds: whoever knows a client's name could have it called over and over.
        """
        if partner.jwks is not None:
            return partner.jwks
        if partner.jwks_url is None:
            raise Unauthenticated("the client has no keys")
        url = partner.jwks_url
        known = self._fetched.get(url)
        if known is not None and known.fresh(freshness):
            return known.keys
        if time.monotonic() - self._tried.get(url, -_AFTER_FAILURE) < _AFTER_FAILURE:
            if known is None or not known.fresh(_JWKS_SECONDS):
                raise Unauthenticated("the client's keys cannot be had")
            return known.keys
        self._tried[url] = time.monotonic()
        keys, seconds = await self._fetch.jwks(url)
        kept = _JWKS_SECONDS if seconds is None else max(seconds, _COOL_DOWN)
        self._fetched[url] = _Fetched(keys, time.monotonic(), kept)
        return keys


def _until(assertion: ClientAssertion) -> datetime:
    """When nobody would accept the assertion any more, clocks apart by the leeway."""
    return datetime.fromtimestamp(assertion.expires + LEEWAY, UTC)
