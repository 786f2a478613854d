"""Client assertions of partner hospitals, as SMART Backend Services asks.

joserfc verifies them directly: authlib's ready-made client assertion check knows neither RS384 nor ES384 (it
takes joserfc's default algorithms) and accepts an expiry a year ahead.
https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from hayat_fhir.errors import Unauthenticated
from hayat_fhir.security.tokens import CLIENT_ASSERTION, verify

_LONGEST = 8192
_MOST_KEYS = 50
_KEY_TYPES = frozenset({"EC", "RSA"})


@dataclass(frozen=True, slots=True)
class ClientAssertion:
    """A verified assertion: whose it is, its unique name, and when it ends (seconds since 1970)."""

    client_id: str
    jti: str
    expires: int


def claimed_client(assertion: str) -> str:
    """The client that an assertion claims to come from, not yet verified: only to look up its keys.

    Raises:
        Unauthenticated: Not a JWT with an issuer.
    """
    try:
        if len(assertion) > _LONGEST:
            raise ValueError("too long")
        claims = orjson.loads(jws.extract_compact(assertion.encode()).payload)
        issuer = claims["iss"]
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise Unauthenticated("the client assertion is not valid") from error
    if not isinstance(issuer, str) or issuer != claims.get("sub"):
        raise Unauthenticated("the client assertion is not valid")
    return issuer


def verify_assertion(
    assertion: str,
    jwks: Mapping[str, Any],
    *,
    client_id: str,
    token_endpoint: str,
    jwks_url: str | None = None,
    now: float | None = None,
) -> ClientAssertion:
    """Check an assertion against the client's registered keys. That ``jti`` is new is the caller's to check.

    Raises:
        Unauthenticated: It is not valid.
    """
    claims = verify(assertion, CLIENT_ASSERTION, _key_set(jwks), issuer=client_id, audience=token_endpoint, now=now)
    header = jws.extract_compact(assertion.encode()).headers()
    jti = claims.get("jti")
    if claims.get("sub") != client_id or not isinstance(jti, str) or not 1 <= len(jti) <= 256:
        raise Unauthenticated("the client assertion is not valid")
    if "jku" in header and header["jku"] != jwks_url:
        raise Unauthenticated("the client assertion is not valid")
    return ClientAssertion(client_id, jti, int(claims["exp"]))


def _key_set(jwks: Mapping[str, Any]) -> KeySet:
    """The public signing keys of a registered key set; anything else in it is left out."""
    keys = jwks.get("keys")
    if not isinstance(keys, list) or len(keys) > _MOST_KEYS:
        raise Unauthenticated("the client's key set is not usable")
    usable = [
        {name: value for name, value in key.items() if name not in {"d", "p", "q", "dp", "dq", "qi"}}
        for key in keys
        if isinstance(key, dict) and key.get("kty") in _KEY_TYPES and key.get("use", "sig") == "sig"
    ]
    try:
        return KeySet.import_key_set({"keys": usable})
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise Unauthenticated("the client's key set is not usable") from error
