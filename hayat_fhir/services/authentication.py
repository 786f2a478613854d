"""From a bearer token to a Caller, with the account's or partner's present state.

A token is verified once and its holder looked up again every two seconds, so that a disabled account or
partner is shut out within five seconds.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from hayat_fhir.errors import Unauthenticated
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.tokens import AccessToken
from hayat_fhir.services.auditing import ASKED
from hayat_fhir.services.consents import Consents
from hayat_fhir.services.patient_numbers import PatientNumbers
from hayat_fhir.store.accounts import Accounts
from hayat_fhir.store.ended_tokens import EndedTokens
from hayat_fhir.store.partners import Partners

_FRESH = 2.0
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class _Known:
    token: AccessToken
    caller: Caller
    at: float
    consents: object


class Authentication:
    """Knows who holds a token. ``verify`` checks a token's signature and claims and raises Unauthenticated."""

    def __init__(
        self,
        verify: Callable[[str], AccessToken],
        accounts: Accounts,
        partners: Partners,
        consents: Consents,
        ended: EndedTokens,
        numbers: PatientNumbers,
    ) -> None:
        self._verify = verify
        self._accounts = accounts
        self._partners = partners
        self._consents = consents
        self._ended = ended
        self._numbers = numbers
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def caller(self, token: str, address: str | None = None) -> Caller:
        """Who presents this token from this address.

        Raises:
            Unauthenticated: The token is not valid (any more), or its holder is disabled.
        """
        now = time.monotonic()
        known = self._known.get(token)
        if known is None or now - known.at > _FRESH or known.token.expires <= time.time() or await self._told(known):
            self._known.pop(token, None)
            verified = self._verify(token)
            consents = await self._consents.latest() if verified.role == Role.PARTNER else None
            known = _Known(verified, await self._load(verified), now, consents)
            self._known[token] = known
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        caller = replace(known.caller, address=address)
        asked = ASKED.get()
        if asked is not None:
            asked.caller = caller
        return caller

    async def until(self, token: str) -> float:
        """When a token that is valid ends, in seconds since 1970.

        Raises:
            Unauthenticated: The token is not valid (any more), or its holder is disabled.
        """
        await self.caller(token)
        return self._known[token].token.expires

    async def _told(self, known: _Known) -> bool:
        """Whether a patient has said meanwhile what a partner may see: that takes effect at once."""
        return known.caller.role is Role.PARTNER and known.consents != await self._consents.latest()

    async def _load(self, token: AccessToken) -> Caller:
        role = Role(token.role)
        if role is Role.PARTNER:
            return await self._partner(token)
        account = await self._accounts.by_id(token.subject)
        emergency = token.emergency
        session = token.jti if emergency is None else emergency.session
        if await self._ended.ended(token.jti) or (session != token.jti and await self._ended.ended(session)):
            raise Unauthenticated("the token has been ended")
        if (
            account is None
            or account.disabled
            or account.pending
            or account.role != role
            or account.epoch != token.epoch
        ):
            raise Unauthenticated("the token's holder is not active")
        patients = frozenset[str]()
        if role is Role.PATIENT and account.reference:
            patients = frozenset({account.reference.removeprefix("Patient/")})
        return Caller(
            role,
            account.id,
            account.reference,
            account.name,
            token.scopes,
            patients,
            None,
            token.jti,
            rights=frozenset(account.rights),
            emergency=frozenset(
                (id, until) for id, until in (emergency.patients if emergency else {}).items() if until > time.time()
            ),
            session=session,
            expires=token.expires if emergency is None else emergency.session_expires,
            epoch=token.epoch,
        )

    async def _partner(self, token: AccessToken) -> Caller:
        partner = await self._partners.by_id(token.subject)
        if partner is None or partner.disabled or partner.epoch != token.epoch:
            raise Unauthenticated("the token's holder is not active")
        shared = await self._consents.shared_with(partner.id)
        return Caller(
            Role.PARTNER,
            partner.id,
            f"Organization/{partner.id}",
            partner.name,
            token.scopes,
            shared.patients,
            partner.id,
            token.jti,
            limits=shared.limits,
            foreign=await self._numbers.foreign_to(partner),
        )
