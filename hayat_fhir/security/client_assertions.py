"""Client assertions of partner hospitals, as SMART Backend Services asks.

joserfc verifies them directly: authlib's ready-made client assertion check knows neither RS384 nor ES384 (it
takes joserfc's default algorithms), accepts an expiry a year ahead, follows no ``kid`` strictly and knows no ``jku``
rule; what would remain of it after overriding these is the reading of a form.
https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from hayat_fhir.errors import InvalidRequest, Unauthenticated
from hayat_fhir.security.tokens import CLIENT_ASSERTION, verify

_LONGEST = 8192
_LONGEST_JTI = 256
_MOST_KEYS = 50
_RSA_BITS = range(2048, 8193)
_CURVE = "P-384"
_ALGORITHM = {"RSA": "RS384", "EC": "ES384"}
_PUBLIC = {"RSA": ("kty", "kid", "n", "e"), "EC": ("kty", "kid", "crv", "x", "y")}

_SECRET = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members of a JSON Web Key that nobody but its owner should know, RFC 7518 section 6."""


@dataclass(frozen=True, slots=True)
class ClientAssertion:
    """A verified assertion: whose it is, its unique name, and when it ends (seconds since 1970).

    That the name is used for the first time is for the caller to make sure, until ``expires`` and the leeway.
    """

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
        issuer, subject = claims["iss"], claims["sub"]
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _invalid() from error
    if not isinstance(issuer, str) or not issuer or issuer != subject:
        raise _invalid()
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
    claims = verify(assertion, CLIENT_ASSERTION, key_set(jwks), issuer=client_id, audience=token_endpoint, now=now)
    header = jws.extract_compact(assertion.encode()).headers()
    jti = claims.get("jti")
    if claims.get("sub") != client_id or not isinstance(jti, str) or not 1 <= len(jti) <= _LONGEST_JTI:
        raise _invalid()
    if "jku" in header and (jwks_url is None or header["jku"] != jwks_url):
        raise _invalid()
    return ClientAssertion(client_id, jti, claims["exp"])


def registrable_keys(jwks: Mapping[str, Any]) -> None:
    """Return if a key set may be registered for a client.

    Raises:
        InvalidRequest: It holds a private key, or none that may sign assertions.
    """
    rows = jwks.get("keys")
    if isinstance(rows, list) and any(isinstance(row, dict) and _SECRET & row.keys() for row in rows):
        raise InvalidRequest("the key set holds a private key: its owner must make a new one", code="security")
    try:
        usable = len(key_set(jwks).keys)
    except Unauthenticated:
        usable = 0
    if not usable:
        text = "the key set has no key for signatures that has a kid: RSA of 2048 bits or more, or EC on P-384"
        raise InvalidRequest(text, code="value")


def key_set(jwks: Mapping[str, Any]) -> KeySet:
    """The public keys of a registered key set that may sign assertions; whatever else is in it is left out."""
    rows = jwks.get("keys")
    if not isinstance(rows, list) or len(rows) > _MOST_KEYS:
        raise Unauthenticated("the client's key set is not usable")
    return KeySet([key for row in rows if isinstance(row, dict) and (key := _key(row)) is not None])


def _key(row: Mapping[str, Any]) -> ECKey | RSAKey | None:
    """A key that has a name, is for signatures by one of the two algorithms, and strong enough; else None."""
    kind = str(row.get("kty"))
    if kind not in _PUBLIC or row.get("use", "sig") != "sig" or row.get("alg", _ALGORITHM[kind]) != _ALGORITHM[kind]:
        return None
    operations = row.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    public = {name: value for name in _PUBLIC[kind] if isinstance(value := row.get(name), str)}
    if len(public) < len(_PUBLIC[kind]):
        return None
    try:
        if kind == "EC":
            return ECKey.import_key({**public}) if public["crv"] == _CURVE else None
        return RSAKey.import_key({**public}) if _modulus_bits(public["n"]) in _RSA_BITS else None
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _modulus_bits(text: str) -> int:
    if len(text) > _LONGEST:
        return 0
    return int.from_bytes(urlsafe_b64decode(f"{text}===")).bit_length()


def _invalid() -> Unauthenticated:
    return Unauthenticated("the client assertion is not valid")
